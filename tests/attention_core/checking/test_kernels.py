"""The kernels of the tests of checks: the right one passes, and each wrong one fails somewhere."""

import numpy as np
import pytest

from tests import core_calls, oracle
from tests.service.checking.kernels import FIELDS, Kernel
from tests.service.checking.planting import REQUESTS

PARTS = 3


@pytest.mark.parametrize("part", range(PARTS))
def test_the_kernel_without_mistakes_is_the_oracle(part):
    named = [(name, request) for name, request in REQUESTS.items() if not name.endswith("huge")]
    for name, request in named[part :: 2 * PARTS]:
        fields, expected = Kernel(request).run(), oracle.attention(request)
        for field in FIELDS:
            reference = core_calls.with_infinities(expected[field])
            np.testing.assert_allclose(fields[field], reference, rtol=1e-9, atol=1e-11, err_msg=f"{name} {field}")


def test_in_a_lower_precision_it_differs_from_itself_by_rounding_only():
    request = REQUESTS["packed: everything"]
    exact = Kernel(request).run()
    for dtype, digits in (("float32", 1e-5), ("float16", 5e-3), ("bfloat16", 5e-2)):
        rounded = Kernel(request | {"dtype": dtype}).run()
        for field in FIELDS:
            assert 0 < np.max(np.abs(rounded[field] - exact[field])) < digits * np.max(np.abs(exact[field]))
