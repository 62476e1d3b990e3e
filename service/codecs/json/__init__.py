"""JSON documents whose number arrays are NumPy arrays."""

from attention_wire.documents import plain
from service.codecs.json.arrays import NON_FINITE, Extended, as_array
from service.codecs.json.decode import decode
from service.codecs.json.encode import encode, number
from service.codecs.json.names import count_members, require_distinct
from service.codecs.json.native import STRING, count_structure

__all__ = [
    "NON_FINITE",
    "STRING",
    "Extended",
    "as_array",
    "count_members",
    "count_structure",
    "decode",
    "encode",
    "number",
    "plain",
    "require_distinct",
]
