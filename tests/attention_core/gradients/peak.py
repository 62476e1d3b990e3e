"""Peak memory of the backward pass, measured in a process of its own, since a peak never falls.

    python -m tests.attention_core.gradients.peak LENGTH MODEL:NORMALIZER …

Prints for each call the growth of resident memory in bytes, over inputs that are there before and less what it returns.
"""

import sys
from dataclasses import fields

import numpy as np

from attention_core import differentiate
from tests.attention_core.blockwise.peak import call_of, grown
from tests.attention_core.gradients.judge import named


def measure(length, model, normalizer):
    call = call_of(length, length, model, normalizer)
    options = {field.name: getattr(call, field.name) for field in fields(call)}
    for name in ("include", "top_k"):
        del options[name]
    upstream = np.ones((length, call.value.shape[-1]), dtype=np.float32)
    found, growth = grown(lambda: differentiate(output_gradient=upstream, **options))
    return growth - found.output.nbytes - sum(array.nbytes for array in named(found).values())


if __name__ == "__main__":
    for pair in sys.argv[2:]:
        print(measure(int(sys.argv[1]), *pair.split(":")), flush=True)
