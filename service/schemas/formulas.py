"""Formulas on the wire: the parameters of one, and the score modifier."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from attention_core import ScoreModifier
from attention_core.formulas import ParameterValue, PerHead
from service.schemas.base import StrictModel
from service.schemas.components import as_component
from service.schemas.fields import FlatName
from service.schemas.tensors import Tensor, fault

PER_HEAD = "per_head"

SHARED = Tensor(min_rank=0, max_rank=2)
"""A number, a vector or a matrix."""

EACH_HEAD = Tensor(min_rank=1, max_rank=3)
"""One of these for each query head."""


@dataclass(frozen=True, slots=True)
class FormulaParameter:
    """A parameter of a formula in a request; used as ``Annotated[Any, FormulaParameter()]``."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate through `read` alone."""
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe the numbers, and the object with one of them for each head."""
        shared, each_head = (tensor.__get_pydantic_json_schema__(schema, handler) for tensor in (SHARED, EACH_HEAD))
        by_head = {
            "type": "object",
            "properties": {PER_HEAD: each_head},
            "required": [PER_HEAD],
            "additionalProperties": False,
        }
        return as_component(
            "FormulaParameter",
            "A number, a vector or a matrix; or one for each query head, as per_head. "
            "数、向量或矩阵；per_head 为每个查询头各给一个。",
            {"anyOf": [*shared["anyOf"], by_head]},
        )

    def read(self, value: Any) -> ParameterValue | PerHead:
        """Return a parameter as the core takes it; raise an error that names the first offending index."""
        if not isinstance(value, dict):
            return _numbers(SHARED, value)
        if value.keys() != {PER_HEAD}:
            raise fault(
                "per_head",
                "expected a number, a vector, a matrix, or an object with per_head alone; received {received}. "
                'Send {"per_head": […]} with one entry for each query head.',
                received=f"an object with {', '.join(map(str, value))[:80]}" if value else "an empty object",
            )
        try:
            return PerHead(_numbers(EACH_HEAD, value[PER_HEAD]))
        except PydanticCustomError as error:
            context = error.context or {}
            index = (PER_HEAD, *context.get("index", ()))
            raise PydanticCustomError(error.type, error.message_template, {**context, "index": index}) from None


def _numbers(tensor: Tensor, value: Any) -> Any:
    """Return the numbers that a tensor reads; integers stay integers, which a formula may use as an index."""
    numbers = tensor.read(value)
    if isinstance(value, np.ndarray):
        return value.astype(np.int64) if np.can_cast(value.dtype, np.int64) else numbers
    return value if isinstance(value, int) else numbers


FormulaText = Annotated[str, FlatName("")]
FormulaParameters = Annotated[dict[str, Annotated[Any, FormulaParameter()]], FlatName("")]
"""Text and parameters of a formula; neither has a name where all fields of a request share one namespace."""


class ScoreModifierSchema(StrictModel, title="ScoreModifier"):
    """Changes every score after bias and ALiBi, before the masks; −∞ hides the key. 得分修饰：用公式修改每个得分。"""

    formula: FormulaText = Field(
        description="A formula of score and of the positions i, j, p, b, h, Lq, Lk, such as score + slope * (j - p). "
        "得分与位置的公式。"
    )
    parameters: FormulaParameters | None = Field(
        None, description="Numbers, vectors and matrices by the names in the formula. 公式中的参数。"
    )

    def to_core(self) -> ScoreModifier:
        """Return the core's score modifier."""
        return ScoreModifier(self.formula, self.parameters or {})


def require_formula(formula: str | None, parameters: Mapping[str, Any] | None) -> None:
    """Raise unless parameters come with the formula that they belong to."""
    if formula is None and parameters is not None:
        raise fault(
            "parameters",
            "expected a formula, since parameters are given; received none. Add formula, or leave out parameters.",
            index=("formula",),
        )
