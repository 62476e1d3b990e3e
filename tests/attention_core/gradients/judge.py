"""Compare gradients with central differences of the oracle's output along random directions."""

from dataclasses import fields

import numpy as np

from attention_core import NORMALIZERS, SCORE_MODELS, differentiate
from attention_core.descriptions import parameters_of
from tests import calls, core_calls, oracle
from tests.attention_core.directions import DIFFERENCE_STEP

TOLERANCE = 1e-7
"""Tolerance relative to the largest slope: central differences are wrong by the square of the step
and by rounding over the step."""

MAX_TRIED_PLACES = 3
"""Maximum places that are tried; two kinks in a row are rare enough."""

DIFFERENTIATED_INPUTS = ("query", "key", "value", "past_key", "past_value", "bias")


def gradients_of(request, upstream, **others):
    """Differentiate a wire document; `others` are workers, should_stop and progress."""
    call = core_calls.core_call(request)
    options = {field.name: getattr(call, field.name) for field in fields(call)}
    for name in ("include", "top_k"):
        del options[name]
    return differentiate(output_gradient=upstream, **options, **others)


MODIFIER = "score_modifier"


def named(found):
    """Every gradient by the path of what it belongs to in the wire document; None where nothing was sent."""
    gradients = {name: getattr(found, name) for name in DIFFERENTIATED_INPUTS}
    gradients |= {f"score_model.{name}": array for name, array in found.score_model.items()}
    gradients |= {f"normalizer.{name}": array for name, array in found.normalizer.items()}
    gradients |= {f"{MODIFIER}.{name}": array for name, array in found.score_modifier.items()}
    return {name: array for name, array in gradients.items() if array is not None}


DEFAULTS = {
    name: {one.name: one.default for one in parameters_of(described).values() if one.default is not None}
    for name, described in {**SCORE_MODELS, **NORMALIZERS}.items()
} | {"scaled_dot_product": {"scale": calls.FEATURES**-0.5}}
"""Parameters that have a value although nothing is sent for them."""

WITHOUT_GRADIENT = {
    one.name
    for described in (*SCORE_MODELS.values(), *NORMALIZERS.values())
    for one in parameters_of(described).values()
    if not one.has_gradient
}
"""Parameters without a gradient, such as the power of entmax."""


def sent(request):
    """Every number that has a gradient, defaults filled in, by the same paths; null stays."""
    numbers = {name: request[name] for name in DIFFERENTIATED_INPUTS if request.get(name) is not None}
    for part in ("score_model", "normalizer"):
        parameters = DEFAULTS.get(request[part]["name"], {}) | request[part]
        if "formula" in parameters:
            written = parameters.get("parameters") or {}
            parameters = {name: _shared(one) for name, one in written.items()}
        numbers |= {
            f"{part}.{name}": value
            for name, value in parameters.items()
            if name != "name" and name not in WITHOUT_GRADIENT
        }
    parameters = (request.get(MODIFIER) or {}).get("parameters") or {}
    return numbers | {f"{MODIFIER}.{name}": _shared(value) for name, value in parameters.items()}


def _shared(value):
    """The numbers of a formula's parameter, with an axis of heads in front where it differs by head."""
    return value["per_head"] if isinstance(value, dict) else value


def moved(request, numbers, directions, step):
    """The request with every number moved along its direction."""
    there = dict(request) | {"score_model": dict(request["score_model"]), "normalizer": dict(request["normalizer"])}
    for part in ("score_model", MODIFIER):
        if "formula" in (there.get(part) or {}):
            there[part] = there[part] | {"parameters": dict(there[part].get("parameters") or {})}
    for path, value in numbers.items():
        *inside, name = path.split(".")
        place = there[inside[0]] if inside else there
        place = place["parameters"] if "formula" in place else place
        one = _moved(value, directions[path], step)
        place[name] = {"per_head": one} if isinstance(place.get(name), dict) else one
    return there


def _moved(value, direction, step):
    if isinstance(value, list):
        return [_moved(item, other, step) for item, other in zip(value, direction, strict=True)]
    return None if value is None else value + step * float(direction)


def assert_gradients(request, seed):
    """Fail unless what the gradients promise along a random direction is what the oracle does.

    Where the oracle's own slope depends on the step there is a kink within it, and another place is looked at.
    """
    rng = np.random.default_rng(seed)
    for _ in range(MAX_TRIED_PLACES):
        place = Place(request, rng)
        slope = place.slope(DIFFERENCE_STEP)
        if abs(slope - place.promised) <= place.tolerance:
            return
        if abs(slope - place.slope(DIFFERENCE_STEP / 8)) <= place.tolerance:
            raise AssertionError(f"the oracle's slope is {slope}, and promised are {place.along}")
    raise AssertionError(f"kinks in {MAX_TRIED_PLACES} places")


class Place:
    """A place near a request, a direction from there, and what the core promises along it."""

    def __init__(self, request, rng):
        # Short decimals may be equal, where a laplacian has a kink.
        apart = {path: rng.standard_normal(oracle.shape(value)) for path, value in sent(request).items()}
        self.request = moved(request, sent(request), apart, 1e-3)
        self.numbers = sent(self.request)
        self.upstream = rng.standard_normal(oracle.shape(oracle.attention(self.request)["output"]))
        gradients = named(gradients_of(self.request, self.upstream))
        assert {path: np.shape(gradient) for path, gradient in gradients.items()} == {
            path: oracle.shape(value) for path, value in self.numbers.items()
        }
        self.directions = {path: rng.standard_normal(np.shape(gradient)) for path, gradient in gradients.items()}
        self.along = {path: float(np.sum(gradients[path] * self.directions[path])) for path in gradients}
        self.promised = sum(self.along.values())
        self.tolerance = TOLERANCE * max(1, *map(abs, self.along.values()))

    def slope(self, step):
        """How the oracle's output changes, by central differences."""
        ahead, behind = (
            np.sum(self.upstream * np.array(oracle.attention(there)["output"], float))
            for there in (moved(self.request, self.numbers, self.directions, way) for way in (step, -step))
        )
        return float(ahead - behind) / (2 * step)
