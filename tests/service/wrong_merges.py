"""Wrong requests continued: partial results that cannot be merged, one thing wrong in each."""

from typing import Any

from tests.service.wrong_requests import BASE, INVALID, SHAPE, TOO_LARGE, UNKNOWN, Request, WrongRequest

PATH = "/v1/attention/merge"

PART: Request = {"output": [[1, 2], [3, 4]], "logsumexp": [0.5, 1]}
"""Two queries, two features of values: right as it is."""


def merged(*partials: Any, **fields: Any) -> Request:
    """PART and others."""
    return {"partials": [PART, *partials]} | fields


def _with(**fields: Any) -> Request:
    """PART and another like it with some fields replaced or added."""
    return merged(PART | fields)


def _without(name: str) -> Request:
    return merged({field: value for field, value in PART.items() if field != name})


ROWS: list[tuple[Any, ...]] = [
    ("merge nothing", {}, INVALID, "/partials"),
    ("merge a list of partials", [PART, PART], INVALID, ""),
    ("no partials", {"partials": []}, INVALID, "/partials"),
    ("partials null", {"partials": None}, INVALID, "/partials"),
    ("partials an object", {"partials": PART}, INVALID, "/partials"),
    ("partials of numbers", {"partials": [1, 2]}, INVALID, "/partials/0"),
    ("partial null", merged(None), INVALID, "/partials/1"),
    ("merge an attention request", BASE, UNKNOWN, "/query"),
    ("field of merge misspelt", {"partial": [PART]}, UNKNOWN, "/partial"),
    ("field of a partial misspelt", _with(logsumexps=[1, 2]), UNKNOWN, "/partials/1/logsumexps"),
    ("weights in a partial", _with(weights=[[1], [1]]), UNKNOWN, "/partials/1/weights"),
    *((f"partial without {name}", _without(name), INVALID, f"/partials/1/{name}") for name in PART),
    ("output null", _with(output=None), INVALID, "/partials/1/output"),
    ("logsumexp a number", _with(logsumexp=1), INVALID, "/partials/1/logsumexp"),
    ("output of rank 1", _with(output=[1, 2]), SHAPE, "/partials/1/output"),
    ("output empty", _with(output=[]), INVALID, "/partials/1/output"),
    ("string in an output", _with(output=[[1, 2], [3, "4"]]), INVALID, "/partials/1/output/1/1"),
    ("boolean in an output", _with(output=[[1, 2], [3, True]]), INVALID, "/partials/1/output/1/1"),
    ("minus infinity in words, merged", _with(logsumexp=["-Infinity", 1]), INVALID, "/partials/1/logsumexp/0"),
    ("ragged output", _with(output=[[1, 2], [3]]), INVALID, "/partials/1/output/1", False),
    ("output beyond float64", _with(output=[[1, 2], [TOO_LARGE, 4]]), INVALID, "/partials/1/output/1/0", False),
    ("dtype of merge unknown", merged(dtype="float8"), UNKNOWN, "/dtype"),
    ("dtype of merge a number", merged(dtype=16), UNKNOWN, "/dtype"),
    ("base of a partial 10", _with(log_base=10), INVALID, "/partials/1/log_base"),
    ("base of a partial true", _with(log_base=True), INVALID, "/partials/1/log_base"),
    ("base in words", merged(log_base="2"), INVALID, "/log_base"),
    ("base a list", merged(log_base=[2]), INVALID, "/log_base"),
    ("base misspelt", _with(logbase=2), UNKNOWN, "/partials/1/logbase"),
    (
        "logsumexp beyond float32 in base 2",
        merged({"output": [[1, 2], [3, 4]], "logsumexp": [1, 3e38]}, dtype="float32", log_base=2)
        | {"partials": [PART, {"output": [[1, 2], [3, 4]], "logsumexp": [1, 3e38], "log_base": "e"}]},
        INVALID,
        "/partials/1/logsumexp/1",
        False,
    ),
    ("fewer queries", _with(output=[[1, 2]], logsumexp=[1]), SHAPE, "/partials/1/output", False),
    ("other features of values", _with(output=[[1], [2]]), SHAPE, "/partials/1/output", False),
    ("another rank", _with(output=[PART["output"]], logsumexp=[PART["logsumexp"]]), SHAPE, "/partials/1/output", False),
    ("the third of three", merged(PART, {"output": [[1]], "logsumexp": [1]}), SHAPE, "/partials/2/output", False),
    ("a logsumexp too many", _with(logsumexp=[1, 2, 3]), SHAPE, "/partials/1/logsumexp", False),
    ("a logsumexp for each feature", _with(logsumexp=PART["output"]), SHAPE, "/partials/1/logsumexp", False),
    (
        "a logsumexp that the first does not fit either",
        {"partials": [PART | {"logsumexp": [1]}, PART]},
        SHAPE,
        "/partials/0/logsumexp",
        False,
    ),
    (
        "packed heads",
        {"partials": [{"output": [[[1, 2, 3, 4]]], "logsumexp": [[[1], [2]]]}]},
        SHAPE,
        "/partials/0/logsumexp",
        False,
    ),
    (
        "output beyond float16",
        merged({"output": [[1, 2], [3, 7e4]], "logsumexp": [1, 1]}, dtype="float16"),
        INVALID,
        "/partials/1/output/1/1",
        False,
    ),
    (
        "logsumexp beyond float32",
        merged({"output": [[1, 2], [3, 4]], "logsumexp": [1, -1e39]}, dtype="bfloat16"),
        INVALID,
        "/partials/1/logsumexp/1",
        False,
    ),
]
"""Id, request, slug, pointer, and whether a schema can tell."""

WRONG_MERGES: list[WrongRequest] = [WrongRequest(*(*row, True)[:5], path=PATH) for row in ROWS]
"""Every one of them."""
