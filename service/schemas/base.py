"""Base classes of request models, and unions whose members are distinguished by name."""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from attention_core.descriptions import Described as CoreDescribed
from attention_core.descriptions import Text
from attention_wire.documents import expand_name
from service.schemas.tensors import describe, fault

__all__ = ["Described", "OneOf", "Parameters", "PositiveFloat", "StrictModel", "Text", "name_of"]

PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class StrictModel(BaseModel):
    """Refuses unknown fields and converts nothing: a string is never a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class Parameters(StrictModel):
    """Parameters of an object of the core, made from its description."""

    core: ClassVar[type[CoreDescribed]]
    """What they belong to in the core."""

    def to_core(self) -> Any:
        """Return the core's object; a parameter that was not sent, or is null, keeps the core's default."""
        given = {name: value for name, value in vars(self).items() if name != "name" and value is not None}
        return self.core(
            **{name: value.to_core() if isinstance(value, Parameters) else value for name, value in given.items()}
        )


class Described(Parameters):
    """A member of a discriminated union, distinguished by `name`, made from the core's description.

    `service.schemas.models` makes them; the catalogue and Swagger UI show their descriptions.
    """

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Put title, summary, formula, source and example of the core's description into the JSON Schema."""
        described = handler.resolve_ref_schema(handler(schema))
        about = cls.core.description
        described["description"] = (
            f"{about.title.en}. {about.summary.en}\n\n{about.title.zh}。{about.summary.zh}\n\n"
            f"Formula: `{about.plain}`\n\nSource: {about.source}"
        )
        described["examples"] = [{"name": cls.core.name, **about.example}]
        described["required"] = sorted({"name", *described.get("required", [])})
        return described


@dataclass(frozen=True, slots=True)
class OneOf:
    """Any of `members`, distinguished by name; used as ``Annotated[Base, OneOf(kind, members)]``.

    A bare name is read as the object of that name with default parameters, and a misspelt one is recognised.
    """

    kind: str
    members: tuple[type[Described], ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Expand bare names, then validate with the member of that name."""
        choices = {name: handler.generate_schema(member) for name, member in zip(self.names, self.members, strict=True)}
        return core_schema.no_info_before_validator_function(
            self._expand, core_schema.tagged_union_schema(choices, discriminator="name")
        )

    def _expand(self, value: Any) -> Any:
        """Expand a bare name; raise for a name that no member has, or that is no string."""
        expanded = expand_name(value)
        if isinstance(expanded, dict) and "name" in expanded:
            self._require_known(expanded["name"], within="name" if expanded is value else "")
        return expanded

    def _require_known(self, name: Any, within: str) -> None:
        """Raise unless a member has this name."""
        if not isinstance(name, str):
            raise fault(
                "name_type",
                "expected the name of {kind}, one of {known}; received {received}. Send a string.",
                kind=self.kind,
                known=", ".join(self.names),
                received=describe(name),
                index=(within,),
            )
        if name not in self.names:
            raise fault(
                "unknown_name",
                "expected {expected}; received '{received}'",
                expected=f"{self.kind}, one of {', '.join(self.names)}",
                known=self.names,
                received=name,
                index=(within,) if within else (),
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all members."""
        return _names(self.members)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Offer the bare names of those members that need no parameter, beside the objects."""
        bare = [
            member.model_fields["name"].default
            for member in self.members
            if not any(field.is_required() for field in member.model_fields.values())
        ]
        return {"anyOf": [{"type": "string", "enum": bare}, handler(schema)]}


@cache
def _names(members: tuple[type[Described], ...]) -> tuple[str, ...]:
    """Return the names of members; cached, as every request that names one needs them."""
    return tuple(map(name_of, members))


def name_of(member: type[BaseModel]) -> str:
    """Return the `name` of a member of a union."""
    return str(member.model_fields["name"].default)
