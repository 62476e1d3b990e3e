"""The score models, normalizers and positions of a request, made from what the core describes."""

from collections.abc import Iterable, Mapping
from math import inf
from typing import Annotated, Any, Literal

from numpy.typing import NDArray
from pydantic import Field, create_model

from attention_core import NORMALIZERS, POSITIONS, SCORE_MODELS
from attention_core.descriptions import Described as CoreDescribed
from attention_core.descriptions import Parameter, ParameterKind, parameters_of
from service.schemas.base import Described, OneOf, Parameters
from service.schemas.components import Component
from service.schemas.fields import FlatName, NamedTensors
from service.schemas.formulas import FormulaParameter
from service.schemas.tensors import Tensor


def _schemas_of(registry: Iterable[type[CoreDescribed]]) -> tuple[type[Described], ...]:
    """Return the request schema of each member of a registry of the core."""
    return tuple(map(_schema_of, registry))


def _schema_of(member: type[CoreDescribed]) -> type[Described]:
    definitions: dict[str, Any] = {"name": (Literal[member.name], member.name)}
    schema = create_model(
        member.__name__, __base__=Described, __module__=__name__, **(definitions | _fields_of(member))
    )
    schema.core = member
    return schema


def _parameters_schema_of(described: type[CoreDescribed]) -> type[Parameters]:
    """Return the request schema of an object that is a parameter itself."""
    about = described.description
    schema = create_model(
        described.__name__,
        __base__=Parameters,
        __module__=__name__,
        __doc__=f"{about.title.en}. {about.summary.en} {about.title.zh}。{about.summary.zh}",
        **_fields_of(described),
    )
    schema.core = described
    return schema


def _fields_of(described: type[CoreDescribed]) -> dict[str, Any]:
    return {name: _field_of(one) for name, one in parameters_of(described).items()}


def _field_of(one: Parameter) -> tuple[Any, Any]:
    """Return the type and the field of a parameter; one that is not required may be null for its default."""
    spelled = _type_of(one) if one.flat_name is None else Annotated[_type_of(one), FlatName(one.flat_name)]
    if one.required:
        return spelled, Field(description=one.summary)
    return spelled | None, Field(None, description=one.summary)


TYPES_OF_KINDS: Mapping[ParameterKind, Any] = {
    "boolean": bool,
    "formula": str,
    "named values": Annotated[dict[str, Annotated[Any, FormulaParameter()]], NamedTensors()],
}
"""Types of parameters that are no numbers."""


def _type_of(one: Parameter) -> Any:
    """Return the type of a parameter; the core checks the bounds of a number that may be one for each head."""
    if one.kind in TYPES_OF_KINDS:
        return TYPES_OF_KINDS[one.kind]
    if one.kind == "choice":
        return Literal[one.choices]
    if one.of is not None:
        return _parameters_schema_of(one.of)
    if one.axes or (one.per_head and one.kind == "number"):
        array: Any = NDArray[Any] if one.axes else float | NDArray[Any]
        return Annotated[array, Tensor(min_rank=one.rank, max_rank=one.rank + one.per_head)]
    above, minimum = (bound if bound > -inf else None for bound in (one.above, one.minimum))
    if one.kind == "integer":
        return Annotated[int, Field(gt=above, ge=minimum)]
    return Annotated[float, Field(gt=above, ge=minimum, allow_inf_nan=False)]


SCORE_MODEL_SCHEMAS = _schemas_of(SCORE_MODELS.values())
NORMALIZER_SCHEMAS = _schemas_of(NORMALIZERS.values())
POSITION_SCHEMAS = _schemas_of(POSITIONS.values())

AnyScoreModel = Annotated[
    Described,
    OneOf("a score model", SCORE_MODEL_SCHEMAS),
    Component("ScoreModel", "How a query scores a key: a name, or an object. 打分函数：名称或对象。"),
]
AnyNormalizer = Annotated[
    Described,
    OneOf("a normalizer", NORMALIZER_SCHEMAS),
    Component("Normalizer", "How scores become weights: a name, or an object. 归一化方法：名称或对象。"),
]
AnyPosition = Annotated[
    Described,
    OneOf("a position", POSITION_SCHEMAS),
    Component("Position", "How positions count: a name, or an object. 位置编码：名称或对象。"),
]
