"""Errors of an inference request in the words of the client: its arguments in place of inputs, parameters, outputs."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from attention_client.errors import Violation
from attention_client.names import INPUTS, OUTPUTS, PARAMETERS, Path
from attention_wire.datatypes import BY_DTYPE

PATHS: dict[str, Path] = {name: path for path, name in (INPUTS | PARAMETERS).items()}
"""Arguments by the names of inputs and parameters."""

FIELDS = {output: field for field, outputs in OUTPUTS.items() for output in outputs}
DTYPES = {one.name: dtype for dtype, one in BY_DTYPE.items()}

PLACE_IN_OPTIONS = re.compile(r" ?The place in options is (/[^ ]*)\.$")
IN_OPTIONS = " in the parameter options"

TENSOR_OR_PARAMETER = re.compile(
    r"the (?:inputs? (?:and|or) parameters?|inputs?|parameters?) "
    rf"(?P<names>\w+(?:, (?:{'|'.join(PATHS)})\b)*)"
    r'(?:: (?P<value>"[^"]*"|true|false|-?\d+(?:\.\d+)?))?'
    r'(?: beside normalizer: "(?P<normalizer>\w+)"| of the (?:model|position) (?P<member>\w+))?'
)
OUTPUT = re.compile(r"the output (\w+)(?: and \w+)?")
DATATYPE = re.compile(r"the datatype (of query|\w+)")
MODEL = re.compile(r"the model(?:, which the path names| (\w+))")


def reword(text: str) -> str:
    """Return a detail with arguments in place of names of the Open Inference Protocol."""
    text = PLACE_IN_OPTIONS.sub("", text).replace(IN_OPTIONS, "")
    rules: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
        (TENSOR_OR_PARAMETER, _argument),
        (OUTPUT, lambda match: f"include={[FIELDS[match[1]]]!r}" if match[1] in FIELDS else match[0]),
        (DATATYPE, lambda match: f"dtype={DTYPES[match[1]]!r}" if match[1] in DTYPES else "dtype"),
        (MODEL, lambda match: f"score_model={match[1]!r}" if match[1] else "score_model"),
    )
    for pattern, write in rules:
        text = pattern.sub(write, text)
    return text


def translate(violation: Violation, locate: Callable[[str], str]) -> Violation:
    """Return a violation about arguments.

    :param violation: one about the inference request.
    :param locate: returns the pointer to an argument for a pointer into the request; the detail of a violation in the
        options says its place itself.
    """
    inside = PLACE_IN_OPTIONS.search(violation.detail)
    place = inside[1] if inside else locate(violation.pointer)
    return replace(violation, pointer=place, detail=reword(violation.detail))


def _argument(match: re.Match[str]) -> str:
    """Return the argument that inputs or parameters are, as a keyword of Python; unknown names stay as they are."""
    names, member = match["names"].split(", "), match["normalizer"] or match["member"]
    paths = [PATHS.get(name, ("score_model", name) if member else ()) for name in names]
    if not all(paths):
        return match[0]
    steps = [members[0] for members in takewhile(lambda members: len(set(members)) == 1, zip(*paths, strict=False))]
    if len(paths) < sum(path[: len(steps)] == tuple(steps) for path in PATHS.values()):
        return ", ".join(_keyword(path, ..., member) for path in paths)
    if len(steps) > 1 and steps[-1] == "name":
        steps = steps[:-1]
    return _keyword(steps, json.loads(match["value"]) if match["value"] else ..., member)


def _keyword(steps: Sequence[str], value: Any, member: str | None) -> str:
    """Return ``mask={'causal': True}``; three dots stand for a value that is not given, except of a whole argument.

    :param steps: members that lead to the value.
    :param value: the value; an ellipsis for none.
    :param member: name of the score model, normalizer or position that has it; None for any other argument.
    """
    argument, *inside = steps
    if value is ... and not inside:
        return argument
    for step in reversed(inside):
        value = {step: value}
    if member and inside:
        value = {"name": member, **value}
    return f"{argument}={value!r}".replace("Ellipsis", "...")
