"""Masks on the wire."""

from collections.abc import Mapping
from dataclasses import fields
from functools import reduce
from operator import and_
from typing import Annotated, Any, Literal, Self

from numpy.typing import NDArray
from pydantic import Field, model_validator

from attention_core import MASKS
from attention_core.interfaces import Mask
from attention_core.mask_base import BaseMask
from service.schemas.base import StrictModel
from service.schemas.fields import FlatName
from service.schemas.formulas import FormulaParameters, FormulaText, require_formula
from service.schemas.tensors import Booleans, PerBatchRow, Tensor, fault

Offset = Annotated[
    int | Literal["bottom_right"] | NDArray[Any], Tensor("integer", min_rank=0, max_rank=1, names=("bottom_right",))
]
Side = Annotated[int, Field(ge=0)]


class WindowSchema(StrictModel, title="Window"):
    """With p = i + offset, key j is visible iff p − left ≤ j ≤ p + right. 滑动窗口。"""

    left: Annotated[Side | None, FlatName("window_left")] = Field(
        None, description="Keys to the left; null is unbounded. 向左可见的键数。"
    )
    right: Annotated[Side | None, FlatName("window_right")] = Field(
        None, description="Keys to the right; null is unbounded. 向右可见的键数。"
    )


class MaskSchema(StrictModel, title="Mask"):
    """Which keys a query may see; everything given must allow it. 掩码：各条件同时满足才可见。"""

    allowed: Booleans | None = Field(
        None,
        description="Booleans, true = may see, broadcast right-aligned to the scores' shape, or one for all. "
        "布尔数组，true 表示可见；也可为一个布尔值。",
    )
    causal: bool | None = Field(
        None, description="Key j is visible to query i iff j ≤ i + offset; default false. 因果掩码：不看未来。"
    )
    offset: Offset | None = Field(
        None,
        description="Position of query 0 among the keys: an integer, one per batch row, or bottom_right; default the "
        "length of the past. 第 0 个查询在键序列中的位置。",
    )
    window: WindowSchema | None = Field(None, description="A window around each query's position. 滑动窗口。")
    key_lengths: PerBatchRow | None = Field(
        None,
        description="Valid keys of each batch row, [B], or of each query, [B, Lq]; the rest is padding. 有效长度。",
    )
    query_segments: PerBatchRow | None = Field(
        None, description="Document number of each query, [Lq] or [B, Lq]; with key_segments. 查询的分段编号。"
    )
    key_segments: PerBatchRow | None = Field(
        None, description="Document number of each key, [Lk] or [B, Lk]; visible iff equal. 键的分段编号。"
    )

    formula: FormulaText | None = Field(
        None,
        description="A condition on the positions i, j, p, b, h, Lq, Lk: visible iff it holds, as in "
        "j <= p and p - j < 128. 位置的条件公式，成立则可见。",
    )
    parameters: FormulaParameters | None = Field(
        None, description="Numbers, vectors and matrices by the names in formula. 公式中的参数。"
    )

    @model_validator(mode="after")
    def _parameters_of_a_formula(self) -> Self:
        require_formula(self.formula, self.parameters)
        return self

    @model_validator(mode="after")
    def _segments_together(self) -> Self:
        if (self.query_segments is None) != (self.key_segments is None):
            missing = "query_segments" if self.query_segments is None else "key_segments"
            raise fault(
                "segments",
                "expected query_segments and key_segments together; received only one of them. Add {missing}.",
                missing=missing,
                index=(missing,),
            )
        return self

    def to_core(self) -> Mask | None:
        """Return the masks combined, or None when everything is visible."""
        masks: list[Mask] = []
        for name, members in MASK_MEMBERS.items():
            given = getattr(self, members[0])
            if given is not None and given is not False:
                masks.append(self._mask(MASKS[name], given, members))
        return reduce(and_, masks) if masks else None

    def _mask(self, make: Any, given: Any, members: tuple[str, ...]) -> Mask:
        """Return the mask of a flag, of an object with its fields, or of one array or more."""
        mask: Mask
        if given is True:
            mask = make()
        elif isinstance(given, StrictModel):
            mask = make(**vars(given))
        else:
            mask = make(*(value for member in members if (value := getattr(self, member)) is not None))
        return mask


def _members(mask: type[BaseMask]) -> tuple[str, ...]:
    """Return the members that make a mask: its fields if one of them, or no member, has its name; else its name."""
    own = tuple(one.name for one in fields(mask) if one.name in MaskSchema.model_fields)
    return own if mask.name in own or mask.name not in MaskSchema.model_fields else (mask.name,)


MASK_MEMBERS: Mapping[str, tuple[str, ...]] = {name: _members(mask) for name, mask in MASKS.items()}
"""Members of a request that are a mask, by the name of the mask."""
