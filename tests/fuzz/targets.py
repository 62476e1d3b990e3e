"""The targets of the fuzzer: each takes any bytes and returns the outcome as text, or fails.

An input is refused with an error that the service raises on purpose; any other exception is a finding.  Decoders that
must agree are compared with each other on every input.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from service.codecs.compression import CODINGS, decompress
from service.codecs.json import Extended
from service.codecs.json.decode import decode, decode_cut, decode_plain
from service.codecs.registry import BY_SUFFIX
from service.compute import Body, InferenceOrder, Stopwatch, prepare_attention, prepare_infer
from service.errors import InvalidRequest, ServiceError
from service.schemas.attention import AttentionRequest
from service.schemas.parse import parse
from service.settings import MIB, Settings

CORPUS = Path(__file__).parent / "corpus"

DEPTH = 64

SETTINGS = Settings(compute_threads=1)

ACCEPTED = "accepted"

Target = Callable[[bytes], str]


@dataclass(frozen=True)
class Refused:
    """The refusal of a decoder: its text, and the JSON Pointers that it names."""

    text: str
    pointers: tuple[str, ...] = ()


def outcome_of(decoder: Callable[[bytes], Any], data: bytes) -> Any:
    """Return the value or the refusal of a decoder, in a form that can be compared."""
    try:
        return comparable(decoder(data))
    except InvalidRequest as error:
        return Refused(str(error), tuple(violation.pointer for violation in error.violations))
    except ServiceError as error:
        return Refused(f"{type(error).__name__}: {error}")


def comparable(value: Any) -> Any:
    """Return arrays with their type and bits, every other value with its type: 1, 1.0 and True are not equal."""
    if isinstance(value, Extended):
        return ("extended", *comparable(value.numbers))
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, dict):
        return {name: comparable(member) for name, member in value.items()}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return (type(value).__name__, repr(value))


def read_json(data: bytes) -> str:
    """Check that the fast decoder, the plain one and the standard library read the same values."""
    plain = outcome_of(partial(decode_plain, max_depth=DEPTH), data)
    assert outcome_of(partial(decode, max_depth=DEPTH), data) == plain
    assert outcome_of(partial(decode_cut, max_depth=DEPTH, min_bytes=2), data) == plain
    expected = standard(data)
    if isinstance(plain, Refused):
        assert expected is None or "nested deeper" in plain.text, plain
        return plain.text
    assert expected is not None
    assert plain_numbers(decode_plain(data, DEPTH)) == plain_numbers(expected)
    return f"{ACCEPTED}: {type(expected).__name__}"


def standard(data: bytes) -> Any:
    """Read a document by json.loads, strictly: no bare NaN, no lone surrogate, no name twice in an object.

    None where it refuses, and a tuple of the document otherwise.
    """
    try:
        document = json.loads(data.decode(), parse_constant=refuse, parse_int=float_of, object_pairs_hook=distinct)
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return (document,)


def refuse(constant: str) -> float:
    raise ValueError(constant)


def distinct(members: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(members)) < len(members):
        raise ValueError("a name comes twice")
    return dict(members)


def float_of(digits: str) -> float:
    return float(digits)


def plain_numbers(value: Any) -> Any:
    """Return a document with every number as float64, arrays as lists and words for numbers that JSON does not have."""
    if isinstance(value, tuple):
        return plain_numbers(value[0])
    if isinstance(value, Extended):
        return plain_numbers(value.lists())
    if isinstance(value, np.ndarray):
        return plain_numbers(value.tolist())
    if isinstance(value, dict):
        return {name: plain_numbers(member) for name, member in value.items()}
    if isinstance(value, list):
        return [plain_numbers(item) for item in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    number = float(value) if abs(value) < math.inf else math.copysign(math.inf, value)
    return ("number", number)


def read_attention(data: bytes) -> str:
    """Read a body of /v1/attention up to its cost; check that each decoder refuses the same at the same place."""
    text = outcome_text(lambda: prepare_attention(Body(data), SETTINGS))
    through_lists = outcome_of(lambda body: accepted(decode_plain(body, DEPTH)), data)
    through_cuts = outcome_of(lambda body: accepted(decode_cut(body, DEPTH, min_bytes=2)), data)
    assert through_lists == through_cuts
    return text


def accepted(document: Any) -> str:
    """Parse a document by the schema; return ACCEPTED, so that only refusals differ."""
    parse(AttentionRequest, document)
    return ACCEPTED


COUNTED, RAW = b"=", b"\n--\n"
"""Marks of the length of the JSON and of its end, so that JSON of any length can be followed by raw tensors."""


def safetensors_file(data: bytes) -> bytes:
    """Return the file that an input of that target means."""
    if not data.startswith(COUNTED):
        return data
    head, _, raw = data.removeprefix(COUNTED).partition(RAW)
    return len(head).to_bytes(8, "little") + head + raw


def inference_parts(data: bytes) -> tuple[bytes | None, bytes]:
    """Return the length of the JSON as the header has it, if any, and the body that an input of that target means."""
    header, _, body = data.partition(b"\n")
    if header != COUNTED:
        return None if header == b"-" else header, body
    head, _, raw = body.partition(RAW)
    return b"%d" % len(head), head + raw


def read_safetensors(data: bytes) -> str:
    """Read a safetensors file of /v1/attention up to its cost."""
    body = Body(safetensors_file(data), media_type=BY_SUFFIX[".safetensors"])
    return outcome_text(lambda: prepare_attention(body, SETTINGS))


def read_inference(data: bytes) -> str:
    """Read a body of /v2 up to its cost."""
    header, body = inference_parts(data)
    order = InferenceOrder("scaled_dot_product", None if header is None else header.decode("latin-1"))
    return outcome_text(lambda: prepare_infer(order, Stopwatch(), Body(body), SETTINGS))


def undo(encoding: str, data: bytes) -> str:
    """Decompress a body."""
    return outcome_text(lambda: decompress(data, encoding, MIB, SETTINGS.max_decompression_ratio))


def _expected(detail: str) -> str:
    """Return the part of a message that does not quote the input."""
    return detail.partition("; received")[0]


def outcome_text(act: Callable[[], Any]) -> str:
    """Return the outcome of a call: ACCEPTED, or the text of the refusal."""
    try:
        act()
    except InvalidRequest as error:
        return " ".join(sorted({f"{one.kind}: {_expected(one.detail)}" for one in error.violations}))
    except ServiceError as error:
        return f"{type(error).__name__}: {_expected(str(error))}"
    return ACCEPTED


TARGETS: dict[str, Target] = {
    "json": read_json,
    "attention": read_attention,
    "safetensors": read_safetensors,
    "inference": read_inference,
    **{encoding: partial(undo, encoding) for encoding in CODINGS},
}

INPUT_PERCENTS = {
    "json": 30,
    "attention": 10,
    "safetensors": 15,
    "inference": 15,
    "gzip": 8,
    "deflate": 6,
    "br": 8,
    "zstd": 8,
}
"""Percent of the inputs for each target."""

assert set(TARGETS) == set(INPUT_PERCENTS)
assert sum(INPUT_PERCENTS.values()) == 100


def corpus_of(target: str) -> list[bytes]:
    """Return the kept inputs of a target, in a fixed order."""
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]
