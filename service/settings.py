"""Every setting of the service, read once from the environment and handed on as an argument."""

import os
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024

Bytes = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """Read from environment variables of the same names with the prefix ``ATTENTION_``."""

    model_config = SettingsConfigDict(env_prefix="ATTENTION_", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on.")
    workers: int = Field(1, ge=1, description="Processes that serve requests.")
    root_path: str = Field(
        "", pattern=r"^(/[^/?#]+)*$", description="Path prefix under which a proxy publishes the service."
    )
    compute_threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        description="Threads that compute, in each process, those of BLAS included; default: all cores.",
    )
    max_body_bytes: Bytes = Field(64 * MIB, description="Largest request body.")
    max_json_bytes: Bytes = Field(32 * MIB, description="Largest JSON request body.")
    max_result_bytes: Bytes = Field(64 * MIB, description="Largest predicted response body.")
    bytes_in_flight: Bytes = Field(256 * MIB, description="Most memory that one request may hold while it is computed.")
    max_operations: int = Field(2_000_000_000_000, gt=0, description="Most floating-point operations of one request.")
    max_decompression_ratio: int = Field(
        100, ge=1, description="Most bytes that each byte of a compressed body may become."
    )
    max_json_depth: int = Field(64, ge=8, description="Deepest nesting of JSON.")
    queue_size: int = Field(64, ge=0, description="Requests that may wait for a compute thread.")
    deadline_seconds: Seconds = Field(60, description="Longest a request may take, waiting included.")
    body_timeout_seconds: Seconds = Field(30, description="Longest a request body may take to arrive.")
    drain_seconds: Seconds = Field(20, description="Longest that requests in flight may take after SIGTERM.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe level logged.")
    log_format: Literal["json", "text"] = Field("json", description="One JSON object per line, or plain text.")

    @property
    def json_limit(self) -> int:
        """The largest JSON body."""
        return min(self.max_body_bytes, self.max_json_bytes)
