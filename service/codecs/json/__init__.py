"""JSON documents whose number arrays are NumPy arrays."""

from service.codecs.json.arrays import MOST_DIMENSIONS, NON_FINITE, Extended, as_array, plain
from service.codecs.json.decode import decode
from service.codecs.json.encode import encode, number

__all__ = ["MOST_DIMENSIONS", "NON_FINITE", "Extended", "as_array", "decode", "encode", "number", "plain"]
