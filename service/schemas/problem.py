"""Problem documents, described (RFC 9457)."""

from pydantic import BaseModel, ConfigDict, Field


class ProblemError(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(extra="forbid")

    pointer: str = Field(description="JSON Pointer to the first offending element. 出错位置。")
    detail: str = Field(description="Expected, received, what to change. 期望、收到、怎么改。")


class ProblemDocument(BaseModel):
    """What every error looks like."""

    model_config = ConfigDict(extra="forbid", title="Problem")

    type: str = Field(description="/problems/<slug>: a page that explains this kind of problem.")
    title: str
    status: int
    detail: str = Field(description="Expected, received, what to change.")
    instance: str = Field(description="The request id.")
    errors: list[ProblemError] | None = None
