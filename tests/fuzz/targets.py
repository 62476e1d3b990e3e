"""What is fuzzed: each target takes any bytes, and tells what became of them, or fails.

An input is refused with an error that the service raises on purpose; any other exception is a finding.  Decoders that
must agree are held against each other with every input.
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
from service.codecs.negotiate import SAFETENSORS
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
    """What a decoder says of an input that it does not take, with the places that it points to."""

    text: str
    pointers: tuple[str, ...] = ()


def outcome_of(decoder: Callable[[bytes], Any], data: bytes) -> Any:
    """Return what a decoder made of an input, in a form that can be compared."""
    try:
        return comparable(decoder(data))
    except InvalidRequest as error:
        return Refused(str(error), tuple(violation.pointer for violation in error.violations))
    except ServiceError as error:
        return Refused(f"{type(error).__name__}: {error}")


def comparable(value: Any) -> Any:
    """Arrays with their type and bits, every other value with its type: 1, 1.0 and True are not the same."""
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
    """The fast decoder, the plain one and the standard library's take the same documents for the same values."""
    plain = outcome_of(partial(decode_plain, max_depth=DEPTH), data)
    assert outcome_of(partial(decode, max_depth=DEPTH), data) == plain
    assert outcome_of(partial(decode_cut, max_depth=DEPTH, shortest=2), data) == plain
    expected = standard(data)
    if isinstance(plain, Refused):
        assert expected is None or "nested deeper" in plain.text, plain
        return plain.text
    assert expected is not None
    assert plain_numbers(decode_plain(data, DEPTH)) == plain_numbers(expected)
    return f"{ACCEPTED}: {type(expected).__name__}"


def standard(data: bytes) -> Any:
    """What json.loads says, strictly: no bare NaN, no lone surrogate; None where it refuses, and in place of null."""
    try:
        document = json.loads(data.decode(), parse_constant=refuse, parse_int=float_of)
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return (document,)


def refuse(constant: str) -> float:
    raise ValueError(constant)


def float_of(digits: str) -> float:
    return float(digits)


def plain_numbers(value: Any) -> Any:
    """A document with every number as float64, arrays as lists and words for what JSON does not have."""
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
    """A body of /v1/attention as far as its price; whichever decoder read it, the same is refused at the same place."""
    told = told_of(lambda: prepare_attention(Body(data), SETTINGS))
    by_way_of_lists = outcome_of(lambda body: accepted(decode_plain(body, DEPTH)), data)
    by_way_of_cuts = outcome_of(lambda body: accepted(decode_cut(body, DEPTH, shortest=2)), data)
    assert by_way_of_lists == by_way_of_cuts
    return told


def accepted(document: Any) -> str:
    """Hold a document against the schema; what is left to compare is whether it is taken, or what is said of it."""
    parse(AttentionRequest, document)
    return ACCEPTED


COUNTED, RAW = b"=", b"\n--\n"
"""What stands for the length of the JSON and for its end, so that JSON of any length can be followed by raw tensors."""


def safetensors_file(data: bytes) -> bytes:
    """Return the file that an input of that target means."""
    if not data.startswith(COUNTED):
        return data
    head, _, raw = data.removeprefix(COUNTED).partition(RAW)
    return len(head).to_bytes(8, "little") + head + raw


def inference_parts(data: bytes) -> tuple[bytes | None, bytes]:
    """Return the length of the JSON as the header tells it, if any, and the body that an input of that target means."""
    header, _, body = data.partition(b"\n")
    if header != COUNTED:
        return None if header == b"-" else header, body
    head, _, raw = body.partition(RAW)
    return b"%d" % len(head), head + raw


def read_safetensors(data: bytes) -> str:
    """A file of /v1/attention as far as its price."""
    body = Body(safetensors_file(data), media_type=SAFETENSORS)
    return told_of(lambda: prepare_attention(body, SETTINGS))


def read_inference(data: bytes) -> str:
    """A body of /v2 as far as its price."""
    header, body = inference_parts(data)
    order = InferenceOrder("scaled_dot_product", None if header is None else header.decode("latin-1"))
    return told_of(lambda: prepare_infer(order, Stopwatch(), Body(body), SETTINGS))


def undo(encoding: str, data: bytes) -> str:
    """A compressed body."""
    return told_of(lambda: decompress(data, encoding, MIB, SETTINGS.max_decompression_ratio))


def _expected(detail: str) -> str:
    """The part of a message that no input has a say in."""
    return detail.partition("; received")[0]


def told_of(act: Callable[[], Any]) -> str:
    """Return what an act says when it refuses."""
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

SHARES = {"json": 30, "attention": 10, "safetensors": 15, "inference": 15, "gzip": 8, "deflate": 6, "br": 8, "zstd": 8}
"""Of a hundred inputs so many go to each target."""

assert set(TARGETS) == set(SHARES)
assert sum(SHARES.values()) == 100


def corpus_of(target: str) -> list[bytes]:
    """Return the kept inputs of a target, in a fixed order."""
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]
