"""Hypothesis strategies for attention requests whose shapes fit: whatever they draw, the service must answer 200.

Everything that has a name has an entry in a table here: score models, normalizers, the fields of a request, of a mask
and of `include`.  `missing_strategies` names what the service knows and the tables do not, and a test fails on it, so
a new member is one entry here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, get_args

from hypothesis import strategies as st

from service.schemas.attention import AttentionRequest, DTypeName, FieldName, MaskSchema
from service.schemas.normalizers import NORMALIZER_SCHEMAS
from service.schemas.score_models import SCORE_MODEL_SCHEMAS

Request = dict[str, Any]
Fields = dict[str, Any]
Shape = tuple[int, ...]

DTYPES: tuple[str, ...] = get_args(DTypeName)
INCLUDABLE: tuple[str, ...] = get_args(FieldName)


@dataclass(frozen=True)
class Sizes:
    """What the parts of one request must agree on; `scores` is the shape (…, Lq, Lk)."""

    query: Shape
    key: Shape
    value: Shape
    scores: Shape
    non_negative: bool

    def numbers(self, *shape: int, scale: float = 1) -> st.SearchStrategy[Any]:
        """Nested lists of short decimals and integers, none of them negative where the normalizer takes none."""
        lowest = 0 if self.non_negative else -THOUSANDTHS
        number = st.integers(lowest, THOUSANDTHS).map(lambda n: scale * (n // 1000 if n % 1000 == 0 else n / 1000))
        return nested(number, shape)


THOUSANDTHS = 3000
"""Numbers reach from −3 to 3 in steps of a thousandth."""


def nested(element: st.SearchStrategy[Any], shape: Shape) -> st.SearchStrategy[Any]:
    """Nested lists of a shape; shape () is the element itself."""
    count = prod(shape)
    return st.lists(element, min_size=count, max_size=count).map(lambda flat: _folded(iter(flat), shape))


def _folded(leaves: Iterator[Any], shape: Shape) -> Any:
    return [_folded(leaves, shape[1:]) for _ in range(shape[0])] if shape else next(leaves)


@st.composite
def shrunk(draw: st.DrawFn, shape: Shape) -> Shape:
    """A shape that broadcasts, right-aligned, to this one: outer axes dropped, others cut to 1."""
    kept = shape[draw(st.integers(0, len(shape))) :]
    return tuple(draw(st.sampled_from((size, size, 1))) for size in kept)


def broadcast(left: Shape, right: Shape) -> Shape:
    """The shape that two shapes broadcast to, right-aligned; they are known to fit."""
    rank = max(len(left), len(right))
    padded = ((1,) * (rank - len(shape)) + shape for shape in (left, right))
    return tuple(max(sizes) for sizes in zip(*padded, strict=True))


@st.composite
def sizes(draw: st.DrawFn, *, equal_features: bool, non_negative: bool) -> Sizes:
    """Queries, keys and values of ranks 2 to 4 whose leading axes broadcast."""
    full = draw(st.lists(st.integers(1, 3), max_size=2).map(tuple))
    query, key, value = (draw(shrunk(full)) for _ in range(3))
    queries, keys, features, value_features = (draw(st.integers(1, 4)) for _ in range(4))
    key_features = features if equal_features else draw(st.integers(1, 4))
    return Sizes(
        query=(*query, queries, features),
        key=(*key, keys, key_features),
        value=(*value, keys, value_features),
        scores=(*broadcast(query, key), queries, keys),
        non_negative=non_negative,
    )


def groups(*members: tuple[st.SearchStrategy[Fields], ...] | st.SearchStrategy[Fields]) -> st.SearchStrategy[Fields]:
    """Objects with the fields of every group."""
    return st.tuples(*members).map(lambda parts: {name: value for part in parts for name, value in part.items()})


def optional(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Fields]:
    """A field that is there, is null, or is left out."""
    return st.one_of(values.map(lambda value: {name: value}), st.sampled_from(({}, {name: None})))


@dataclass(frozen=True)
class Model:
    """How to draw the parameters of a score model or normalizer, and what it asks of the rest of the request."""

    parameters: Callable[[Sizes], st.SearchStrategy[Fields]] = lambda sizes: st.just({})
    equal_features: bool = True
    non_negative: bool = True
    """Of a score model: numbers that are not negative give scores that are not negative."""
    needs_non_negative: bool = False
    """Of a normalizer: no visible logit may be negative."""


def _additive(sizes: Sizes) -> st.SearchStrategy[Fields]:
    def of_units(units: int) -> st.SearchStrategy[Fields]:
        required = {
            "query_weight": sizes.numbers(units, sizes.query[-1]),
            "key_weight": sizes.numbers(units, sizes.key[-1]),
            "score_vector": sizes.numbers(units),
        }
        return groups(st.fixed_dictionaries(required), optional("hidden_bias", sizes.numbers(units)))

    return st.integers(1, 3).flatmap(of_units)


SCORE_MODELS: dict[str, Model] = {
    "scaled_dot_product": Model(lambda sizes: optional("scale", sizes.numbers())),
    "dot_product": Model(),
    "additive": Model(_additive, equal_features=False),
}

NORMALIZERS: dict[str, Model] = {
    "softmax": Model(lambda sizes: optional("temperature", st.sampled_from((0.05, 0.5, 1, 2.5, 100)))),
    "proportional": Model(needs_non_negative=True),
}


def _broadcastable(element: st.SearchStrategy[Any], sizes: Sizes) -> st.SearchStrategy[Any]:
    """Nested lists of rank 1 or more that broadcast to the scores' shape."""
    return shrunk(sizes.scores).filter(len).flatmap(lambda shape: nested(element, shape))


MASK_FIELDS: dict[tuple[str, ...], Callable[[Sizes], st.SearchStrategy[Fields]]] = {
    ("allowed",): lambda sizes: optional("allowed", _broadcastable(st.booleans(), sizes)),
    ("causal",): lambda sizes: optional("causal", st.booleans()),
    ("offset",): lambda sizes: optional("offset", st.integers(-4, 4)),
}
"""How to draw the fields of a mask; fields that come together share an entry."""


def _mask(sizes: Sizes) -> st.SearchStrategy[Fields]:
    return optional("mask", groups(*(draw(sizes) for draw in MASK_FIELDS.values())))


def _bias(sizes: Sizes) -> st.SearchStrategy[Fields]:
    return optional("bias", _broadcastable(st.none() | sizes.numbers(), sizes))


REQUEST_FIELDS: dict[tuple[str, ...], Callable[[Sizes], st.SearchStrategy[Fields]]] = {
    ("mask",): _mask,
    ("bias",): _bias,
    ("dtype",): lambda sizes: optional("dtype", st.sampled_from(DTYPES)),
}
"""How to draw the fields of a request that `attention_requests` does not draw itself; fields that come together share
an entry."""

DRAWN_FIRST = ("query", "key", "value", "score_model", "normalizer", "include")
"""The fields that the others depend on, or that depend on the others."""

INCLUDE_NEEDS: dict[str, Callable[[Request], bool]] = {
    "scores": lambda request: True,
    "logits": lambda request: True,
    "weights": lambda request: True,
    "output": lambda request: request.get("value") is not None,
    "logsumexp": lambda request: name_of(request.get("normalizer"), "softmax") == "softmax",
}
"""Which requests may include a field."""


@st.composite
def attention_requests(draw: st.DrawFn, dtypes: tuple[str, ...] = DTYPES) -> Request:
    """Requests that the service must answer, with every combination of what it offers; `dtypes` may be narrowed."""
    normalizer = draw(st.sampled_from(sorted(NORMALIZERS)))
    non_negative = NORMALIZERS[normalizer].needs_non_negative
    score_model = draw(
        st.sampled_from(sorted(name for name, model in SCORE_MODELS.items() if model.non_negative or not non_negative))
    )
    drawn = draw(sizes(equal_features=SCORE_MODELS[score_model].equal_features, non_negative=non_negative))
    request = {
        "query": draw(drawn.numbers(*drawn.query, scale=draw(st.sampled_from((1, 1, 0.001, 100))))),
        "key": draw(drawn.numbers(*drawn.key)),
        **draw(optional("value", drawn.numbers(*drawn.value))),
        **draw(_chosen("score_model", score_model, SCORE_MODELS[score_model], drawn, "scaled_dot_product")),
        **draw(_chosen("normalizer", normalizer, NORMALIZERS[normalizer], drawn, "softmax")),
        **draw(groups(*(field(drawn) for field in REQUEST_FIELDS.values()))),
    }
    if request.get("dtype") not in (None, *dtypes):
        request["dtype"] = draw(st.sampled_from(dtypes))
    allowed = [name for name, possible in INCLUDE_NEEDS.items() if possible(request)]
    return request | draw(optional("include", st.lists(st.sampled_from(allowed), unique=True)))


def _chosen(field: str, name: str, model: Model, drawn: Sizes, default: str) -> st.SearchStrategy[Fields]:
    """A score model or normalizer as an object, as a bare name where no parameter is set, or left to the default."""
    return model.parameters(drawn).flatmap(
        lambda parameters: st.sampled_from(
            [
                {field: {"name": name, **parameters}},
                *([{field: name}] if not parameters else []),
                *([{}, {field: None}] if not parameters and name == default else []),
            ]
        )
    )


def name_of(model: Any, default: str) -> str:
    """The name of a score model or normalizer as it stands in a request."""
    return default if model is None else model if isinstance(model, str) else model["name"]


def missing_strategies() -> dict[str, set[str]]:
    """What the service knows and the tables above do not, or the other way round."""
    known = {
        "score models": ({_name(schema) for schema in SCORE_MODEL_SCHEMAS}, set(SCORE_MODELS)),
        "normalizers": ({_name(schema) for schema in NORMALIZER_SCHEMAS}, set(NORMALIZERS)),
        "request fields": (set(AttentionRequest.model_fields), {*DRAWN_FIRST, *_flat(REQUEST_FIELDS)}),
        "mask fields": (set(MaskSchema.model_fields), _flat(MASK_FIELDS)),
        "include": (set(INCLUDABLE), set(INCLUDE_NEEDS)),
    }
    return {kind: here ^ there for kind, (here, there) in known.items() if here ^ there}


def _name(schema: Any) -> str:
    return schema.model_fields["name"].default


def _flat(fields: dict[tuple[str, ...], Any]) -> set[str]:
    return {name for group in fields for name in group}
