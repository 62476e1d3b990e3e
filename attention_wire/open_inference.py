"""Binary frames of the Open Inference Protocol V2: JSON, and behind it the raw tensors that it names.

The tensors follow in the order in which the JSON names them, little-endian, row-major, unpadded.  A header says how
many bytes the JSON has.
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/binary_tensor_data_extension.md
"""

import re
from typing import Any

from attention_wire.datatypes import Datatype

HEADER = "Inference-Header-Content-Length"
"""Its value is the length of the JSON in bytes; without it the whole body is JSON."""

BINARY_SIZE = "binary_data_size"
"""Parameter of a tensor: its raw bytes behind the JSON."""

DIGITS = re.compile(r"[0-9]{1,18}")


def json_length(header: str | None) -> int | None:
    """Return the bytes of JSON that the value of `HEADER` announces; None if it is absent or not in decimal digits."""
    return int(header) if header is not None and DIGITS.fullmatch(header) else None


def describe_tensor(name: str, shape: tuple[int, ...], datatype: Datatype, nbytes: int) -> dict[str, Any]:
    """Return the JSON of a tensor with `nbytes` raw bytes."""
    return {"name": name, "shape": list(shape), "datatype": datatype.name, "parameters": {BINARY_SIZE: nbytes}}
