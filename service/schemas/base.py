"""What every request model has in common, and how a member of a union describes itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from attention_core.errors import did_you_mean
from service.schemas.tensors import describe

FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class StrictModel(BaseModel):
    """Refuses unknown fields and converts nothing: a string is never a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


@dataclass(frozen=True, slots=True)
class Text:
    """One text in the two languages of the service."""

    zh: str
    en: str

    def as_dict(self) -> dict[str, str]:
        """Both, by language."""
        return {"zh": self.zh, "en": self.en}


@dataclass(frozen=True, slots=True)
class About:
    """What a person should know about a score model or normalizer."""

    title: Text
    description: Text
    latex: str
    plain: str
    reference: str
    example: Mapping[str, Any]


class Described(StrictModel):
    """A member of a discriminated union, told apart by `name`, with the text that the catalogue and Swagger UI show."""

    about: ClassVar[About]

    def parameters(self) -> dict[str, Any]:
        """Return what was sent besides the name; null is left out, so that the core's default applies."""
        return {name: value for name, value in self if name != "name" and value is not None}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Put title, description, formula and example of `about` into the JSON Schema."""
        described = handler.resolve_ref_schema(handler(schema))
        about = cls.about
        described["description"] = (
            f"{about.title.en}. {about.description.en}\n\n{about.title.zh}。{about.description.zh}\n\n"
            f"Formula: `{about.plain}`\n\nSource: {about.reference}"
        )
        described["examples"] = [dict(about.example)]
        described["required"] = sorted({"name", *described.get("required", [])})
        return described


@dataclass(frozen=True, slots=True)
class OneOf:
    """Any of `members`, told apart by name; used as ``Annotated[Base, OneOf(kind, members)]``.

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
        if isinstance(value, str):
            self._require_known(value, within="")
            return {"name": value}
        if isinstance(value, dict) and "name" in value:
            self._require_known(value["name"], within="name")
        return value

    def _require_known(self, name: Any, within: str) -> None:
        """Raise unless a member has this name."""
        if not isinstance(name, str):
            raise PydanticCustomError(
                "name_type",
                "expected the name of {kind}, one of {known}; received {received}. Send a string.",
                {
                    "kind": self.kind,
                    "known": ", ".join(self.names),
                    "received": describe(name),
                    "index": (within,),
                },
            )
        if name not in self.names:
            raise PydanticCustomError(
                "unknown_name",
                "expected {kind}, one of {known}; received '{received}'. {advice}",
                {
                    "kind": self.kind,
                    "known": ", ".join(self.names),
                    "received": name[:40],
                    "advice": did_you_mean(name, self.names) or "Use one of these names.",
                    "index": (within,) if within else (),
                },
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
    """Return the names of members; asked for with every request that names one."""
    return tuple(member.model_fields["name"].default for member in members)
