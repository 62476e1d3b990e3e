"""Every setting of the service, read once from the environment and handed on as an argument."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.cores import usable_cores
from service.keys import hashed, read_keys

MIB = 1024 * 1024

COLLECTOR = re.compile(r"https?://[^/?#@\s]+(/[^?#\s]*)?")

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s]+")

Bytes = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _listed(value: Any) -> Any:
    """Return the entries of a text: separated by commas or spaces, or a JSON array."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return value.replace(",", " ").split()


def _keys_listed(value: Any) -> Any:
    entries = _listed(value)
    if isinstance(value, str) and not entries:
        raise ValueError("expected at least one key; without the variable none is asked for")
    return entries


def _origin(entry: str) -> str:
    if entry != "*" and not ORIGIN.fullmatch(entry):
        raise ValueError("expected *, or origins such as https://example.org: a scheme, a host, no path")
    return entry


def _readable(path: Path) -> Path:
    read_keys(path)
    return path


def _collector(url: str) -> str:
    if url and not COLLECTOR.fullmatch(url):
        raise ValueError("expected a URL such as http://localhost:4318")
    if url and find_spec("opentelemetry.sdk") is None:
        raise ValueError("expected the extra otel to be installed: pip install 'attention-service[otel]'")
    return url


ApiKey = Annotated[str, AfterValidator(hashed)]
Origin = Annotated[str, AfterValidator(_origin)]


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
        default_factory=usable_cores,
        ge=1,
        description="Threads that compute, in each process, those of BLAS included; default: all it may use.",
    )
    max_body_bytes: Bytes = Field(64 * MIB, description="Largest request body.")
    max_json_bytes: Bytes = Field(32 * MIB, description="Largest JSON request body.")
    max_result_bytes: Bytes = Field(64 * MIB, description="Largest predicted response body.")
    bytes_in_flight: Bytes = Field(256 * MIB, description="Most memory that all requests together may hold.")
    max_operations: int = Field(2_000_000_000_000, gt=0, description="Most floating-point operations of one request.")
    max_decompression_ratio: int = Field(
        100, ge=1, description="Most bytes that each byte of a compressed body may become."
    )
    max_json_depth: int = Field(64, ge=8, description="Deepest nesting of JSON.")
    queue_size: int = Field(64, ge=0, description="Requests that may wait for a compute thread.")
    deadline_seconds: Seconds = Field(60, description="Longest a request may take, waiting included.")
    body_timeout_seconds: Seconds = Field(30, description="Longest a request body may take to arrive.")
    drain_seconds: Seconds = Field(20, description="Longest that requests in flight may take after SIGTERM.")
    api_keys: Annotated[tuple[ApiKey, ...], NoDecode, BeforeValidator(_keys_listed)] = Field(
        (), description="Keys, or their `sha256:…`, of which requests must carry one; separated by commas."
    )
    api_keys_file: Annotated[Path, AfterValidator(_readable)] | None = Field(
        None, description="File with more of them, one a line; read again when it changes."
    )
    cors_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_listed)] = Field(
        (), description="Origins whose pages may use the service in a browser, separated by commas; `*` is every one."
    )
    metrics_directory: str = Field(
        "", description="Directory where several processes add up what they count; default: a temporary one."
    )
    otlp_endpoint: Annotated[str, AfterValidator(_collector)] = Field(
        "", description="OpenTelemetry collector, such as http://localhost:4318, that is sent a span of each request."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe level logged.")
    log_format: Literal["json", "text"] = Field("json", description="One JSON object per line, or plain text.")

    @property
    def json_limit(self) -> int:
        """The largest JSON body."""
        return min(self.max_body_bytes, self.max_json_bytes)

    @property
    def asks_for_keys(self) -> bool:
        """Whether requests that compute must carry an API key."""
        return bool(self.api_keys or self.api_keys_file)
