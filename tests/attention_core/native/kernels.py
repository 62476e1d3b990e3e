"""The kernels that run here, and how results of theirs are compared."""

import numpy as np

from attention_core import attend
from attention_core.native import available_kernels, using_kernel
from tests.sampling import sample

KERNELS = tuple(available_kernels()[0])
"""Names of the kernels, best first; `test_library.py` asserts that none is missing."""

EACH_KERNEL = sample(KERNELS, *KERNELS[:1], *KERNELS[1:][-1:])
"""The same as parameters of a test: `make test` takes the best one and the one for any processor."""


def run(kernel, **given):
    """The result of a call with a kernel."""
    with using_kernel(kernel):
        return attend(**given)


def assert_same_bits(received, expected, case):
    """Fail unless two arrays have the same bits; one NaN is as good as another."""
    assert received.shape == expected.shape, case
    assert received.dtype == expected.dtype, case
    bits = np.dtype(f"u{received.itemsize}")
    one, other = (np.ascontiguousarray(array).view(bits) for array in (received, expected))
    same = (one == other) | (np.isnan(received) & np.isnan(expected))
    assert same.all(), (case, np.argwhere(~same)[:5].tolist(), received[~same][:3], expected[~same][:3])
