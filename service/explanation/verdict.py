"""Advice after a check, in both languages."""

from collections.abc import Sequence
from typing import Any

from attention_core.checking import PIPELINE, CheckResult, Rounding
from attention_core.differences import FieldDifference
from service.explanation.numbers import short
from service.explanation.texts import ADVICE, VERDICT
from service.schemas.base import Text


def advice_on(result: CheckResult) -> Text:
    """Return advice: the likely causes, or else the first wrong step with its worst index."""
    if result.passed:
        return VERDICT["passed"]
    if not result.wrong_fields:
        return _advice_on_roundings(result)
    if result.explanation.causes:
        return _advice_on_causes(result)
    return _advice_on_numbers(result)


def _advice_on_roundings(result: CheckResult) -> Text:
    """Say to how many places every field that did not pass is right: once if they share it, else for each."""
    roundings = result.explanation.roundings
    if len(roundings) == len(result.fields) and len(set(roundings.values())) == 1:
        rounding = next(iter(roundings.values()))
        return _said(f"right to {rounding.kind}", **_places(rounding))
    each = [_said(f"field right to {one.kind}", field=name, **_places(one)) for name, one in roundings.items()]
    coarsest = {one.kind: one for one in sorted(roundings.values(), key=lambda one: one.places, reverse=True)}
    tolerances = [_said(f"tolerance for {kind}", **_places(one)) for kind, one in sorted(coarsest.items())]
    whole = VERDICT["each right but rounded"]
    return Text(
        whole.zh.format(each="，".join(one.zh for one in each), tolerances="，".join(one.zh for one in tolerances)),
        whole.en.format(each=", ".join(one.en for one in each), tolerances=" and ".join(one.en for one in tolerances)),
    )


def _advice_on_causes(result: CheckResult) -> Text:
    """Return advice on each mistake that fits, and on rounded numbers."""
    each: list[Text] = []
    for cause in result.explanation.causes:
        text = ADVICE[cause.name]
        if cause.fitted is not None:
            own = f"fitted {cause.name}"
            name = own if own in VERDICT else "fitted"
            fitted = _said(name, found=short(cause.fitted.found), expected=short(cause.fitted.expected))
            text = _joined([text, fitted])
        each += [VERDICT["or"], text] if each else [text]
    rounding = result.explanation.candidate_rounding
    if rounding is not None:
        each.append(_said(f"candidate rounded to {rounding.kind}", **_places(rounding)))
    return _joined(each)


def _places(rounding: Rounding) -> dict[str, Any]:
    """Return the words about a rounding: its decimals or digits, and tolerances that allow for it."""
    last = 10.0**-rounding.places
    return {
        "places": rounding.places,
        "s": "" if rounding.places == 1 else "s",
        "atol": f"{last:.0e}",
        "rtol": f"{10 * last:.0e}",
    }


def _said(name: str, **words: Any) -> Text:
    text = VERDICT[name]
    return Text(text.zh.format(**words), text.en.format(**words))


def _joined(texts: Sequence[Text]) -> Text:
    return Text("".join(one.zh for one in texts), "".join(one.en for one in texts))


def _advice_on_numbers(result: CheckResult) -> Text:
    """Return the first wrong step, where it is wrong and the likely reason."""
    name = result.wrong_fields[0]
    before = [one for one in PIPELINE[: PIPELINE.index(name)] if one in result.fields]
    field = result.fields[name]
    said = [*([VERDICT["first"]] if before else []), _finding(field), _reading(result, field)]
    words = {
        "field": name,
        "right": before[-1] if before else "",
        "nan": field.wrong_nan,
        "infinities": field.wrong_infinities,
        "wrong": field.wrong,
        "size": field.size,
        "index": list(field.worst_index or ()),
        "expected": _written(field.expected),
        "received": _written(field.received),
        "factor": _written(field.factor),
        "coarser": result.explanation.coarser,
        "dtype": result.dtype,
    }
    return Text("".join(one.zh for one in said).format(**words), " ".join(one.en for one in said).format(**words))


def _finding(field: FieldDifference) -> Text:
    """Return the sentence about the wrong numbers of a field."""
    if field.wrong_nan:
        return VERDICT["not numbers"]
    return VERDICT["overflowed"] if field.wrong_infinities else VERDICT["different"]


def _reading(result: CheckResult, field: FieldDifference) -> Text:
    """Return the sentence about the likely reason."""
    if field.factor is not None:
        return VERDICT["by a factor"]
    return VERDICT["unknown"] if result.explanation.coarser is None else VERDICT["coarser"]


def _written(number: float | None) -> str:
    return "" if number is None else short(number)
