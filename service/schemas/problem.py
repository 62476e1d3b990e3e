"""Problem documents, described (RFC 9457)."""

from pydantic import BaseModel, Field


class ProblemError(BaseModel, extra="forbid"):
    """One thing that is wrong with a request. 一处错误。"""

    pointer: str = Field(description="JSON Pointer to the first offending element. 出错位置。")
    detail: str = Field(description="Expected, received, what to change. 期望、收到、怎么改。")


class ProblemDocument(BaseModel, extra="forbid"):
    """What every error looks like (RFC 9457). 错误的统一格式。"""

    type: str = Field(description="/problems/<slug>: a page that explains this kind of problem. 说明页的路径。")
    title: str = Field(description="The kind of problem. 错误的种类。")
    status: int = Field(description="The HTTP status. HTTP 状态码。")
    detail: str = Field(description="Expected, received, what to change. 期望、收到、怎么改。")
    instance: str = Field(description="The request id. 请求编号。")
    errors: list[ProblemError] | None = Field(None, description="Everything that is wrong. 全部错误。")
