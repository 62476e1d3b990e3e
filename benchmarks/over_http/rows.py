"""The rows of the table: what is sent to whom, and which ratio is wanted."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.over_http.exchanges import (
    ALL,
    OUTPUT,
    Exchange,
    anything,
    echo,
    inference_binary,
    inference_json,
    plain_json,
    tensors,
)
from benchmarks.over_http.servers import BARE, ECHO, KSERVE, LISTS, MLSERVER, MODELLED

OUR_MODEL, THEIR_MODEL = "scaled_dot_product", "attention"

MODELLED_PATH = "/v1/attention/modelled"

HEADS, LONG, FEATURES = 8, 4096, 64


@dataclass(frozen=True)
class Row:
    """One request beside one peer; `target` is how many times as many answers a second are wanted, None for none."""

    request: str
    peer: str
    ours: Callable[[], Exchange]
    theirs: Callable[[], Exchange]
    target: float | None = None

    @property
    def name(self) -> str:
        """Tells it from the others."""
        return f"{self.request}: {self.peer}"


def small_json() -> Exchange:
    """The service's own JSON for four keys of eight features."""
    return plain_json(tensors(1, 4, 8, "float64"))


def small_inference() -> Exchange:
    """The same for a model server."""
    return inference_json(tensors(1, 4, 8, "float64"), ALL, THEIR_MODEL)


def square_json(
    length: int, include: tuple[str, ...] | None = None, path: str = "/v1/attention"
) -> Callable[[], Exchange]:
    """So many queries and keys as the service's own JSON."""
    return lambda: replace(plain_json(tensors(length, length, FEATURES, "float32"), include), path=path)


def square_inference(length: int) -> Callable[[], Exchange]:
    """The same for a model server, output only."""
    return lambda: inference_json(tensors(length, length, FEATURES, "float32"), OUTPUT, THEIR_MODEL)


def square_binary(length: int, model: str) -> Callable[[], Exchange]:
    """So many queries and keys as raw float32, output only."""
    return lambda: inference_binary(tensors(length, length, FEATURES, "float32"), OUTPUT, model)


def heads_binary() -> Exchange:
    """Eight heads of long sequences as raw float32, output only."""
    return inference_binary(tensors(LONG, LONG, FEATURES, "float32", HEADS), OUTPUT, OUR_MODEL)


def echoed(length: int) -> Callable[[], Exchange]:
    """The same body for the echo, which answers about as many bytes as the output has."""
    return lambda: echo(square_binary(length, OUR_MODEL)(), 4 * length * FEATURES)


SMALL, OUTPUT_256 = "4 keys × 8, JSON, all three results", "256 × 64, JSON, output only"
ALL_256, ALL_1024 = "256 × 64, JSON, all three", "1024 × 64, JSON, all three"
BINARY_256, BINARY_1024 = "256 × 64, binary V2", "1024 × 64, binary V2"

ROWS = (
    Row(SMALL, MLSERVER, small_json, small_inference, 3),
    Row(SMALL, BARE, small_json, lambda: anything(small_json()), 0.6),
    Row(SMALL, LISTS, small_json, small_json),
    Row(SMALL, KSERVE, small_json, small_inference),
    Row(OUTPUT_256, MLSERVER, square_json(256, OUTPUT), square_inference(256), 3),
    Row(OUTPUT_256, KSERVE, square_json(256, OUTPUT), square_inference(256)),
    Row(ALL_256, LISTS, square_json(256), square_json(256), 25),
    Row(ALL_256, MODELLED, square_json(256), square_json(256, path=MODELLED_PATH)),
    Row(ALL_1024, LISTS, square_json(1024), square_json(1024), 30),
    Row(ALL_1024, MODELLED, square_json(1024), square_json(1024, path=MODELLED_PATH)),
    Row(BINARY_256, KSERVE, square_binary(256, OUR_MODEL), square_binary(256, THEIR_MODEL), 20),
    Row(BINARY_256, ECHO, square_binary(256, OUR_MODEL), echoed(256)),
    Row(BINARY_1024, KSERVE, square_binary(1024, OUR_MODEL), square_binary(1024, THEIR_MODEL), 10),
    Row(BINARY_1024, ECHO, square_binary(1024, OUR_MODEL), echoed(1024)),
)

BESIDE_ECHO = "8 heads × 4096 × 64, binary V2"
"""Measured in seconds: end to end, less what the echo takes, beside the core's own call."""

BESIDE_ECHO_TARGET = 1.05
