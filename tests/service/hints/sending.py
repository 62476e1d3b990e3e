"""Every name of the table, sent where it is not known, and the places that the hint must name."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from attention_core.hints import TABLE, Translation
from tests.service.specification import COMPONENTS

BASE: dict[str, Any] = {"query": [[1, 0]], "key": [[1, 2], [0, 1]], "value": [[1], [2]]}

OBJECTS: dict[str, dict[str, Any]] = {
    "window": {"mask": {"window": {}}},
    "heads": {"heads": {"query": 1, "key_value": 1}},
    "labels": {"labels": {}},
    "score_model": {"score_model": {"name": "dot_product"}},
    "normalizer": {"normalizer": {"name": "softmax"}},
    "position": {"position": {"name": "rotary"}},
    "positions": {"positions": {}},
    "scaling": {"position": {"name": "rotary", "scaling": {"kind": "linear", "factor": 2}}},
    "mask": {"mask": {}},
    "": {},
}
"""A request with each object that a name may stand in."""

FIELDS = set(COMPONENTS["AttentionRequest"]["properties"])
UNIONS = ("score_model", "normalizer", "position")


@dataclass(frozen=True)
class Sent:
    """A name of the table, and the row that it is in."""

    kind: str
    name: str
    row: Translation

    @property
    def id(self) -> str:
        """For people."""
        return f"{self.kind} {self.row.within} {self.name}".replace("  ", " ")


ALL = [Sent(kind, name, row) for kind, rows in TABLE.items() for row in rows for name in row.names]


def request_of(sent: Sent) -> tuple[dict[str, Any], str]:
    """A request to /v1/attention with the name where it is not known, and the pointer to it."""
    if sent.kind == "include":
        return BASE | {"include": [sent.name]}, "/include/0"
    if sent.kind == "offset":
        return BASE | {"mask": {"offset": sent.name}}, "/mask/offset"
    if sent.kind == "scaling":
        return BASE | {
            "position": {"name": "rotary", "scaling": {"kind": sent.name, "factor": 2}}
        }, "/position/scaling/kind"
    if sent.kind != "field":
        return BASE | {sent.kind: sent.name}, f"/{sent.kind}"
    within = sent.row.within or ("mask" if sent.name in FIELDS else "")
    request = json.loads(json.dumps(OBJECTS[within]))
    inside, pointer = request, ""
    for step in {"window": ("mask", "window"), "scaling": ("position", "scaling"), "": ()}.get(within, (within,)):
        inside, pointer = inside[step], f"{pointer}/{step}"
    inside[sent.name] = 1
    return BASE | request, f"{pointer}/{sent.name}"


def steps_of(place: str) -> tuple[list[str], str | None]:
    """The members that lead to a place, and the name of the object that has the last of them."""
    steps = place.split(".")
    if steps[0] in UNIONS and len(steps) > 1:
        return [steps[0], *steps[2:]], steps[1]
    return steps, None


def spelt_in_v1(row: Translation) -> Iterator[str]:
    """What the hint must say of each place."""
    for place, value in row.places:
        steps, name = steps_of(place)
        if name is not None and len(steps) == 1:
            yield f'"{steps[0]}": "{name}"'
        elif value is None:
            yield ".".join(steps) + (f" of {name}" if name else "")
        else:
            yield f'"{steps[-1]}": {json.dumps(value_of(place, value))}'


def value_of(place: str, value: str) -> Any:
    """The value to put in a place."""
    try:
        read = json.loads(value)
    except json.JSONDecodeError:
        read = value
    return [read] if place == "include" else read


V2_NAMES = {
    "score_model": "the model",
    "labels.query": "labels",
    "labels.key": "labels",
    "mask.window": "window_left",
    "mask.window.left": "window_left",
    "mask.window.right": "window_right",
    "heads": "query_heads",
    "heads.query": "query_heads",
    "heads.key_value": "key_value_heads",
    "position.alibi.slopes": "alibi_slopes",
    "positions.query": "query_positions",
    "positions.key": "key_positions",
}


def spelt_in_v2(row: Translation) -> Iterator[str]:
    """What the hint must say of each place in the words of the Open Inference Protocol."""
    for place, value in row.places:
        steps, name = steps_of(place)
        if place.startswith("include"):
            yield {"present": "present_key", "diagnostics": "diagnostics"}.get(value or "", value or "outputs")
        elif place == "dtype":
            yield {"float16": "FP16", "bfloat16": "BF16", "float32": "FP32", "float64": "FP64"}.get(
                value or "", "datatype"
            )
        else:
            yield V2_NAMES.get(place) or (name if name and len(steps) == 1 else steps[-1])
