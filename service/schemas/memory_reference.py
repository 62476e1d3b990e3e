"""Which memory an attention request reads."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from attention_wire.documents import expand_name
from service.memories import NAME
from service.schemas.base import StrictModel
from service.schemas.fields import FlatName
from service.schemas.tensors import describe, fault

NAME_PATTERN = f"^{NAME.pattern}$"


@dataclass(frozen=True, slots=True)
class NameOfMemory:
    """Accepts the name of a memory; used as ``Annotated[str, NameOfMemory()]``."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the form of a string."""
        return core_schema.no_info_after_validator_function(self._require_form, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe the form."""
        return {**handler(schema), "pattern": NAME_PATTERN}

    def _require_form(self, name: str) -> str:
        if not NAME.fullmatch(name):
            raise fault(
                "memory_name",
                "expected a name of 1 to 128 characters: ASCII letters and digits, behind the first also . _ and -; "
                "received {received}. Rename it.",
                received=repr(name[:40]),
            )
        return name


class MemoryReference(StrictModel):
    """A memory, and the version that it must have. 一个记忆，以及所要求的版本。"""

    name: Annotated[str, NameOfMemory(), FlatName("memory")] = Field(description="Its name. 名称。")
    version: Annotated[str, FlatName("memory_version")] | None = Field(
        None, description="The only version that will do, else 409; default the present one. 所要求的版本。"
    )


@dataclass(frozen=True, slots=True)
class OrName:
    """Accepts a bare name as well as an object with it; used as ``Annotated[MemoryReference, OrName()]``."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Expand a bare name."""
        return core_schema.no_info_before_validator_function(self._expand, handler(source))

    def _expand(self, value: Any) -> Any:
        if not isinstance(value, str | dict):
            raise fault(
                "memory_type",
                "expected the name of a memory, or an object with name and version; received {received}. Send a "
                "string.",
                received=describe(value),
            )
        return expand_name(value)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Offer both."""
        return {"anyOf": [{"type": "string", "pattern": NAME_PATTERN}, handler(schema)]}
