"""Small bodies of the operational endpoints."""

from pydantic import BaseModel, Field


class Probe(BaseModel):
    """The answer of a probe that succeeds. 探针的回答。"""

    status: str = Field(description="alive or ready. 状态。")


class Index(BaseModel):
    """Where everything is, for a program that asks for /. 首页索引。"""

    name: str = Field(description="Of the service. 服务的名称。")
    version: str = Field(description="Of the service. 服务的版本。")
    kernel: str = Field(description="The compiled kernel that computes, or numpy. 计算所用的内核，没有编译时为 numpy。")
    links: dict[str, str] = Field(description="Paths by name. 各路径。")
