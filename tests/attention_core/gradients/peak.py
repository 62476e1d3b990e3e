"""Peak memory of the backward pass, measured in a process of its own, since a peak never falls.

    python -m tests.attention_core.gradients.peak LENGTH MODEL:NORMALIZER …

Prints for each call the growth of resident memory in bytes, over inputs that are there before and less what it returns,
and the prediction, what it returns left out too.
"""

import sys

import numpy as np

from attention_core import evaluate_gradients, predict_gradients, resolve_gradients
from tests.attention_core.blockwise.peak import call_of, grown
from tests.attention_core.gradients.judge import named


def measure(length, model, normalizer):
    call = call_of(length, length, model, normalizer)
    upstream = np.ones((length, call.value.shape[-1]), dtype=np.float32)
    resolved = resolve_gradients(call, upstream)
    found, growth = grown(lambda: evaluate_gradients(resolved))
    returned = found.output.nbytes + sum(array.nbytes for array in named(found).values())
    return growth - returned, predict_gradients(resolved).bytes - returned


if __name__ == "__main__":
    for pair in sys.argv[2:]:
        print(*measure(int(sys.argv[1]), *pair.split(":")), flush=True)
