"""Hypothesis strategies for attention requests whose parts fit: whatever they draw, the service must answer 200.

Everything that has a name has an entry in a table here.  Those of score models, normalizers and positions are made from
the descriptions of the core; those of the fields of a request, of a mask and of `include` are written down, and a test
fails on what `missing_strategies` finds.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from hypothesis import strategies as st

import attention_core as core
from attention_core.capabilities import RefusesLogits
from attention_core.descriptions import Described, Parameter, parameters_of, takes_two_sizes
from service.schemas.attention import AttentionRequest, DTypeName, FieldName
from service.schemas.masks import MaskSchema
from service.schemas.models import NORMALIZER_SCHEMAS, POSITION_SCHEMAS, SCORE_MODEL_SCHEMAS
from tests import calls, oracle
from tests.nested import exchange, shape
from tests.service.layouts import Layout, layouts, nested

Request = dict[str, Any]
Fields = dict[str, Any]
DrawFields = Callable[[Layout], st.SearchStrategy[Fields]]

DTYPES: tuple[str, ...] = get_args(DTypeName)


def together(*groups: st.SearchStrategy[Fields]) -> st.SearchStrategy[Fields]:
    """Objects with the fields of every group."""
    return st.tuples(*groups).map(lambda parts: {name: value for part in parts for name, value in part.items()})


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Fields]:
    """Fields that are there together, are null together, or are left out together."""
    return st.fixed_dictionaries(fields) | st.sampled_from(({}, dict.fromkeys(fields)))


def independent(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Fields]:
    """Fields each of which is there, is null, or is left out."""
    return together(*(optional(**{name: values}) for name, values in fields.items()))


@dataclass(frozen=True)
class Model:
    """How to draw the parameters of a score model, normalizer or position, and what it asks of the rest."""

    parameters: DrawFields = lambda layout: st.just({})
    equal_features: bool = True
    even_features: bool = False
    keeps_non_negative: bool = True
    """Whether numbers that are not negative lead to logits that are not."""
    needs_non_negative: bool = False


SPECIAL_VALUES: dict[tuple[str, str], tuple[Any, ...]] = {
    ("softmax", "temperature"): (0.05, 0.5, 1, 2.5, 100),
    ("rotary", "base"): (10, 500, 10000),
    ("rotary", "dims"): (2,),
    ("rotary", "scaling"): (
        {"kind": "linear", "factor": 2},
        {"kind": "yarn", "factor": 4, "original_max_position_embeddings": 20, "truncate": False},
        {"kind": "yarn", "factor": 2.5, "original_max_position_embeddings": 7, "mscale": 1, "mscale_all_dim": 0.5},
        calls.LLAMA3,
    ),
}
"""Values of parameters for which those of `samples` would be too tame, or would mean nothing."""


def _parameters(described: type[Described]) -> DrawFields:
    """Return how to draw the parameters that a class describes: the required ones, and any of the others."""

    def draw_all(layout: Layout, units: int) -> st.SearchStrategy[Fields]:
        values = {name: _values(described.name, one, layout, units) for name, one in parameters_of(described).items()}
        required = {name: drawn for name, drawn in values.items() if parameters_of(described)[name].required}
        others = {name: drawn for name, drawn in values.items() if name not in required}
        return together(st.fixed_dictionaries(required), independent(**others))

    return lambda layout: st.integers(1, 2).flatmap(lambda units: draw_all(layout, units))


def _written(layout: Layout) -> st.SearchStrategy[Fields]:
    """Draw the parameters of a built-in score model, and write it as a formula."""

    def as_fields(name: str) -> st.SearchStrategy[Fields]:
        drawn = _parameters(core.SCORE_MODELS[name])(layout)
        return drawn.map(lambda parameters: calls.written({"name": name, **parameters}))

    return st.sampled_from(calls.BUILT_IN).flatmap(as_fields)


def _values(described: str, one: Parameter, layout: Layout, units: int) -> st.SearchStrategy[Any]:
    sizes = {"D": layout.features, "Dq": layout.features, "Dk": layout.key_features}
    axes = [axis.rpartition("·") for axis in one.axes]
    shape = [int(factor or 1) * sizes.get(axis, units) for factor, _, axis in axes]
    if (described, one.name) in SPECIAL_VALUES or one.condition or one.kind == "boolean":
        element = st.sampled_from(SPECIAL_VALUES.get((described, one.name), calls.samples(one)))
        return layout.per_head(element, *shape) if one.per_head else element
    return layout.numbers_per_head(*shape) if one.per_head else layout.numbers(*shape)


def _keeps_non_negative(name: str) -> bool:
    """Whether the oracle scores numbers that are not negative with numbers that are not."""
    rng = random.Random(name)
    pairs = []
    for variant in calls.MODEL_PARAMETERS[name] * 20:
        drawn = variant(lambda: abs(rng.gauss(0, 1)))
        query, key = ([rng.random() for _ in range(size)] for size in (calls.FEATURES, calls.key_features(name)))
        pairs.append(oracle.score({"name": name, **drawn}, query, key))
    return min(pairs) >= 0


SCORE_MODELS: dict[str, Model] = {
    name: Model(
        _written if calls.is_written(name) else _parameters(model),
        equal_features=not takes_two_sizes(model),
        keeps_non_negative=_keeps_non_negative(name),
    )
    for name, model in core.SCORE_MODELS.items()
}

# Of entmax, `samples` ends at alpha 2: above it the weights have no bounded slope.
NORMALIZERS: dict[str, Model] = {
    name: Model(_parameters(normalizer), needs_non_negative=issubclass(normalizer, RefusesLogits))
    for name, normalizer in core.NORMALIZERS.items()
}

POSITIONS: dict[str, Model] = {
    name: Model(_parameters(position), even_features=name == "rotary", keeps_non_negative=False)
    for name, position in core.POSITIONS.items()
}

SEGMENT = st.integers(0, 2)


def _per_head(layout: Layout) -> st.SearchStrategy[Any]:
    """A number, or one for each query head where there is a head axis."""
    number = layout.numbers()
    if len(layout.scores) != 4:
        return number
    return number | nested(number, (layout.scores[1],)).map(lambda numbers: {"per_head": numbers})


MASK_FORMULAS: dict[str, dict[str, DrawFields]] = {
    "j <= p": {},
    "p - j < width or j == 0": {"width": lambda layout: st.integers(0, 3)},
    "document[i] == document[j]": {
        "document": lambda layout: nested(SEGMENT, (max(layout.scores[-2:]),)),
    },
    "(i + j + b) % 2 == h % 2": {},
    "j > threshold": {"threshold": _per_head},
}
SUBTRACTS = "score - slope * abs(p - j)"
"""Makes negative numbers of others, which some normalizers do not take."""

MODIFIERS: dict[str, dict[str, DrawFields]] = {
    "2 * tanh(score / 2)": {},
    SUBTRACTS: {"slope": _per_head},
    "where(j <= p, score, -inf)": {},
    "score + table[i, j] / Lk": {"table": lambda layout: layout.numbers(*layout.scores[-2:])},
    "score * (b + h + 1)": {},
}
"""Formulas, with how to draw the parameters of each."""


def optional_formula(formulas: dict[str, dict[str, DrawFields]], layout: Layout) -> st.SearchStrategy[Fields]:
    """One of the formulas with its parameters, or none."""
    return optional_or_none(
        st.sampled_from(list(formulas)).flatmap(
            lambda formula: st.fixed_dictionaries({name: draw(layout) for name, draw in formulas[formula].items()}).map(
                lambda parameters: {"formula": formula} | ({"parameters": parameters} if parameters else {})
            )
        )
    )


def optional_or_none(fields: st.SearchStrategy[Fields]) -> st.SearchStrategy[Fields]:
    """The fields, or none of them; more often none."""
    return st.just({}) | st.just({}) | fields


MASK_FIELDS: dict[tuple[str, ...], DrawFields] = {
    ("allowed",): lambda layout: optional(allowed=layout.broadcastable(st.booleans())),
    ("causal",): lambda layout: optional(causal=st.booleans()),
    ("offset",): lambda layout: optional(offset=_offset(layout)),
    ("window",): lambda layout: optional(window=independent(left=st.integers(0, 3), right=st.integers(0, 3))),
    ("key_lengths",): lambda layout: optional(
        key_lengths=layout.per_batch(st.integers(0, layout.scores[-1]), layout.scores[-2])
    ),
    ("prefix_lengths",): lambda layout: optional(
        prefix_lengths=nested(st.integers(0, layout.scores[-1]), (layout.batch,))
    ),
    ("key_allowed",): lambda layout: optional(
        key_allowed=nested(st.booleans(), (layout.scores[-1],))
        | nested(st.booleans(), (layout.batch, layout.scores[-1]))
    ),
    ("formula", "parameters"): lambda layout: optional_formula(MASK_FORMULAS, layout),
    ("query_segments", "key_segments"): lambda layout: optional(
        query_segments=_segments(layout, layout.scores[-2]), key_segments=_segments(layout, layout.scores[-1])
    ),
}
"""How to draw the fields of a mask; fields that come together share an entry."""


def _offset(layout: Layout) -> st.SearchStrategy[Any]:
    return st.integers(-4, 4) | st.just("bottom_right") | nested(st.integers(-4, 4), (layout.batch,))


def _segments(layout: Layout, length: int) -> st.SearchStrategy[Any]:
    return nested(SEGMENT, (length,)) | nested(SEGMENT, (layout.batch, length))


def _positions(layout: Layout) -> st.SearchStrategy[Fields]:
    """Positions of queries, of keys, or of both."""
    of_queries, of_keys = (
        nested(st.integers(-3, 9), (length,)) | nested(st.integers(-3, 9), (layout.batch, length))
        for length in layout.scores[-2:]
    )
    return optional(positions=independent(query=of_queries, key=of_keys))


def _mask(layout: Layout) -> st.SearchStrategy[Fields]:
    return optional(mask=together(*(draw(layout) for draw in MASK_FIELDS.values())))


def _labels(layout: Layout) -> st.SearchStrategy[Fields]:
    queries, keys = (nested(st.text(max_size=3), (length,)) for length in layout.scores[-2:])
    return optional(labels=independent(query=queries, key=keys))


REQUEST_FIELDS: dict[tuple[str, ...], DrawFields] = {
    ("softcap",): lambda layout: optional(softcap=st.sampled_from((0.5, 2, 50))),
    ("mask",): _mask,
    ("positions",): _positions,
    ("bias",): lambda layout: optional(bias=layout.broadcastable(st.none() | layout.numbers())),
    ("score_modifier",): lambda layout: optional_formula(
        {formula: drawn for formula, drawn in MODIFIERS.items() if formula != SUBTRACTS or not layout.non_negative},
        layout,
    ).map(lambda modifier: {"score_modifier": modifier} if modifier else {}),
    ("heads",): lambda layout: (
        st.just({"heads": {"query": layout.packed[0], "key_value": layout.packed[1]}})
        if layout.packed
        else st.sampled_from(({}, {"heads": None}))
    ),
    ("dtype",): lambda layout: optional(dtype=st.sampled_from(DTYPES)),
    ("labels",): _labels,
    ("decimals",): lambda layout: optional(decimals=st.integers(0, 17)),
}
"""How to draw the fields of a request that stand for themselves; fields that come together share an entry."""

VECTORS = ("query", "key", "value", "past_key", "past_value")
DRAWN_FIRST = (*VECTORS, "score_model", "normalizer", "position")
DRAWN_LAST = ("include", "top_k", "layout")
"""The fields that the others depend on, or that depend on the others, are drawn by `attention_requests`."""

INCLUDE_NEEDS: dict[str, Callable[[Request], bool]] = {
    "scores": lambda request: True,
    "capped_scores": lambda request: True,
    "modified": lambda request: True,
    "logits": lambda request: True,
    "weights": lambda request: True,
    "mean_weights": lambda request: oracle.Inputs(request).has_heads,
    "output": lambda request: request.get("value") is not None,
    "logsumexp": lambda request: name_of(request.get("normalizer"), "softmax") == "softmax",
    "diagnostics": lambda request: True,
    "ranking": lambda request: True,
    "present": lambda request: request.get("value") is not None,
}
"""Which requests may include a field."""


@st.composite
def attention_requests(
    draw: st.DrawFn, *, score_models: Sequence[str] = tuple(SCORE_MODELS), dtypes: Sequence[str] = DTYPES
) -> Request:
    """Requests that the service must answer, with every combination of what it offers, or of some of it."""
    score_model = draw(st.sampled_from(score_models))
    # Softmax has the most parameters and alone has a logsumexp.
    normalizer = draw(st.sampled_from([*["softmax"] * 3, *(name for name in NORMALIZERS if fit(score_model, name))]))
    non_negative = NORMALIZERS[normalizer].needs_non_negative
    positions = [name for name, one in POSITIONS.items() if one.keeps_non_negative or not non_negative]
    position = draw(st.sampled_from((None, None, *positions)))
    layout = draw(
        layouts(
            equal_features=SCORE_MODELS[score_model].equal_features,
            even_features=position is not None and POSITIONS[position].even_features,
            non_negative=non_negative,
        )
    )
    request: Request = {
        **draw(_vectors(layout)),
        **draw(_chosen("score_model", score_model, SCORE_MODELS, layout)),
        **draw(_chosen("normalizer", normalizer, NORMALIZERS, layout)),
        **({} if position is None else draw(_chosen("position", position, POSITIONS, layout))),
        **draw(together(*(field(layout) for field in REQUEST_FIELDS.values()))),
    }
    if any(numbers is not None for numbers in (request.get("positions") or {}).values()):
        # An offset beside positions is refused.
        (request.get("mask") or {}).pop("offset", None)
    if request.get("dtype") not in (None, *dtypes):
        request["dtype"] = draw(st.sampled_from(dtypes))
    included = [name for name, possible in INCLUDE_NEEDS.items() if possible(request)]
    request |= draw(optional(include=_some(included)))
    if "ranking" in (request.get("include") or ()):
        request |= draw(optional(top_k=st.integers(1, 6)))
    return request | draw(_layout(request))


def _layout(request: Request) -> st.SearchStrategy[Fields]:
    """The default layout, or vectors of rank 4 with their lengths before their heads."""
    vectors = {name: request[name] for name in VECTORS if request.get(name) is not None}
    default = optional(layout=st.just("bhsd"))
    if any(len(shape(vector)) != 4 for vector in vectors.values()):
        return default
    return default | st.just({name: exchange(vector) for name, vector in vectors.items()} | {"layout": "bshd"})


def _some(names: Sequence[str]) -> st.SearchStrategy[list[str]]:
    """Any of the names, each as often as not, in any order."""
    return st.permutations(names).flatmap(
        lambda shuffled: nested(st.booleans(), (len(shuffled),)).map(
            lambda taken: [name for name, is_taken in zip(shuffled, taken, strict=True) if is_taken]
        )
    )


def fit(score_model: str, normalizer: str) -> bool:
    """Whether scores of this kind can be what the normalizer takes."""
    return SCORE_MODELS[score_model].keeps_non_negative or not NORMALIZERS[normalizer].needs_non_negative


NO_PAST = optional(past_key=st.none(), past_value=st.none())


def _vectors(layout: Layout) -> st.SearchStrategy[Fields]:
    """Queries, keys and values; a past cannot do without values."""
    query = st.sampled_from((1, 1, 0.001, 100)).flatmap(lambda scale: layout.numbers(*layout.query, scale=scale))
    required = {"query": query, "key": layout.numbers(*layout.key)}
    value = layout.numbers(*layout.value)
    if layout.past_key is None or layout.past_value is None:
        return together(st.fixed_dictionaries(required), optional(value=value), NO_PAST)
    past = {"past_key": layout.numbers(*layout.past_key), "past_value": layout.numbers(*layout.past_value)}
    return st.fixed_dictionaries(required | {"value": value} | past)


DEFAULTS = {"score_model": "scaled_dot_product", "normalizer": "softmax"}


def _chosen(field: str, name: str, models: dict[str, Model], layout: Layout) -> st.SearchStrategy[Fields]:
    """A member of a union as an object, as a bare name where no parameter is set, or left to the default."""

    def spelt(parameters: Fields) -> st.SearchStrategy[Fields]:
        ways: list[Fields] = [{field: {"name": name, **parameters}}]
        if not parameters:
            ways.append({field: name})
            ways.extend(({}, {field: None}) if name == DEFAULTS.get(field) else ())
        return st.sampled_from(ways)

    return models[name].parameters(layout).flatmap(spelt)


def name_of(model: Any, default: str) -> str:
    """The name of a score model, normalizer or position as it stands in a request."""
    return default if model is None else model if isinstance(model, str) else model["name"]


def missing_strategies() -> dict[str, set[str]]:
    """What the service knows and the tables above do not, or the other way round."""
    known = {
        "score models": (_schema_names(SCORE_MODEL_SCHEMAS), set(SCORE_MODELS)),
        "normalizers": (_schema_names(NORMALIZER_SCHEMAS), set(NORMALIZERS)),
        "positions": (_schema_names(POSITION_SCHEMAS), set(POSITIONS)),
        # A memory is compared with the tensors that it holds: tests/service/memories/test_equality.py.
        "request fields": (
            {*AttentionRequest.model_fields} - {"memory", "append"},
            {*DRAWN_FIRST, *_flat(REQUEST_FIELDS), *DRAWN_LAST},
        ),
        "mask fields": (set(MaskSchema.model_fields), _flat(MASK_FIELDS)),
        "include": (set(get_args(FieldName)), set(INCLUDE_NEEDS)),
    }
    return {kind: here ^ there for kind, (here, there) in known.items() if here ^ there}


def _schema_names(schemas: Any) -> set[str]:
    return {schema.model_fields["name"].default for schema in schemas}


def _flat(fields: dict[tuple[str, ...], Any]) -> set[str]:
    return {name for group in fields for name in group}
