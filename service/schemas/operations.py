"""Small bodies of the operational endpoints."""

from pydantic import BaseModel, Field


class Probe(BaseModel):
    """The answer of a probe that succeeds."""

    status: str


class Index(BaseModel):
    """Where everything is, for a program that asks for /."""

    name: str
    version: str
    links: dict[str, str] = Field(description="Paths by name.")
