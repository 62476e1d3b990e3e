"""The rows of the table: the request, the servers that get it, and the ratio to reach."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.backend_process import PYTORCH
from benchmarks.over_http.exchanges import (
    ALL,
    OUTPUT,
    Exchange,
    anything,
    inference_binary,
    inference_json,
    plain_json,
    tensors,
)
from benchmarks.over_http.servers import BARE, KSERVE, LISTS, MLSERVER, MODELLED

OURS_V2, THEIRS_V2 = "scaled_dot_product", "attention"
"""Models of the Open Inference Protocol."""

MODELLED_PATH = "/v1/attention/modelled"

HEADS, LONG, FEATURES = 8, 4096, 64


@dataclass(frozen=True)
class Row:
    """One request beside one peer; `target` is the least ratio of answers per second, None for none."""

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
    return inference_json(tensors(1, 4, 8, "float64"), ALL, THEIRS_V2)


def square(length: int, form: Callable[..., Exchange], *options: object) -> Callable[[], Exchange]:
    """`length` queries and keys in float32, in a form of `exchanges`."""
    return lambda: form(tensors(length, length, FEATURES, "float32"), *options)


def heads_binary() -> Exchange:
    """Eight heads of long sequences as raw float32, output only."""
    return inference_binary(tensors(LONG, LONG, FEATURES, "float32", HEADS), OUTPUT, OURS_V2)


SMALL, OUTPUT_256 = "4 keys × 8, JSON, all three results", "256 × 64, JSON, output only"
INFERENCE_256 = "256 × 64, V2 JSON, output only"

JSON_256 = square(256, plain_json, OUTPUT)
MODEL_256 = square(256, inference_json, OUTPUT, THEIRS_V2)

ROWS = (
    Row(SMALL, MLSERVER, small_json, small_inference, 3),
    Row(SMALL, BARE, small_json, lambda: anything(small_json()), 0.6),
    Row(SMALL, LISTS, small_json, small_json),
    Row(SMALL, KSERVE, small_json, small_inference),
    Row(OUTPUT_256, MLSERVER, JSON_256, MODEL_256, 3.5),
    Row(INFERENCE_256, MLSERVER, square(256, inference_json, OUTPUT, OURS_V2), MODEL_256, 3.5),
    Row(OUTPUT_256, KSERVE, JSON_256, MODEL_256),
    *(
        Row(
            f"{length} × 64, JSON, all three",
            peer,
            square(length, plain_json),
            square(length, plain_json, *path),
            target,
        )
        for length in (256, 1024)
        for peer, path, target in ((LISTS, (), 40), (MODELLED, (None, MODELLED_PATH), None))
    ),
    *(
        Row(
            f"{length} × 64, binary V2",
            KSERVE,
            square(length, inference_binary, OUTPUT, OURS_V2),
            square(length, inference_binary, OUTPUT, THEIRS_V2),
            target,
        )
        for length, target in ((256, 35), (1024, 25))
    ),
    Row("8 heads × 4096 × 64, binary V2", PYTORCH, heads_binary, heads_binary, 1),
)
"""PyTorch is no server: its call in process takes turns with the request, on the same core."""
