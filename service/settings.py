"""Every setting of the service, read once from the environment and handed on as an argument."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_state_path
from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from service.cores import usable_cores
from service.environment import PLATFORM_VARIABLES, our_variable, variable_of, variables
from service.keys import owners_by_digest, read_keys
from service.setting_types import (
    ApiKeys,
    Bytes,
    Collector,
    FrameAncestors,
    KernelChoice,
    KeyFile,
    MemoriesUrl,
    Origins,
    PathPrefix,
    Proxies,
    RayAddress,
    Seconds,
    Setting,
)

MIB = 1024 * 1024
GIB = 1024 * MIB

MAX_JSON_DEPTH = 254
"""Levels of JSON that every parser and writer of the service manages; orjson writes no more."""

NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
"""The form of a number in a setting; Python's own `int` and `float` would read `8_000`, blanks and `inf` too."""


class Environment(PydanticBaseSettingsSource):
    """The environment variables of the named settings; a wrong value of any other is never seen."""

    def __init__(self, settings: type[BaseSettings], names: Iterable[str]) -> None:
        super().__init__(settings)
        self._names = names
        self._environment = variables()

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str | None, str, bool]:
        """Return the text of a setting, None when its variable is absent; nothing is decoded here."""
        variable = variable_of(field_name, self._environment)
        return None if variable is None else self._environment[variable], field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the texts of the settings whose variables are present."""
        fields = self.settings_cls.model_fields
        read = {name: self.get_field_value(fields[name], name)[0] for name in self._names}
        found = {name: text for name, text in read.items() if text is not None}
        if "uds" in found and variable_of("port", self._environment) == PLATFORM_VARIABLES["port"]:
            del found["port"]  # a platform sets it for every program
        return found


def _memories_directory() -> str:
    return str(user_state_path("attention-service", appauthor=False) / "memories")


KEY_SETTINGS = ("api_keys", "api_keys_file")
"""Settings that close the service: for these an empty value never means none."""


class Settings(BaseSettings):
    """Read from environment variables of the same names with the prefix ``ATTENTION_``."""

    model_config = SettingsConfigDict(frozen=True, hide_input_in_errors=True)

    host: Annotated[str, Setting(zh="监听的地址。", en="Address to listen on.", flag=True)] = "127.0.0.1"
    port: Annotated[
        int,
        Field(ge=0, le=65535),
        Setting(
            zh="监听的端口；没有设置时用环境变量 `PORT`。",
            en="Port to listen on; where it is absent, that of the variable `PORT`.",
            flag=True,
        ),
    ] = 8000
    uds: Annotated[
        Path | None,
        Setting(
            zh="用 Unix 套接字监听时的路径，代替地址与端口。",
            en="Path of a Unix socket to listen on instead of a host and a port.",
            flag=True,
        ),
    ] = None
    workers: Annotated[
        int,
        Field(ge=1),
        Setting(
            zh="处理请求的进程数；没有设置时用环境变量 `WEB_CONCURRENCY`。",
            en="Processes that serve requests; where it is absent, the number in `WEB_CONCURRENCY`.",
            flag=True,
        ),
    ] = 1
    root_path: Annotated[
        PathPrefix,
        Setting(
            zh="代理发布服务时使用的路径前缀。", en="Path prefix under which a proxy publishes the service.", flag=True
        ),
    ] = ""
    trusted_proxies: Annotated[
        Proxies,
        Setting(
            zh="可信代理的地址与网段，用逗号隔开；它们的 `X-Forwarded-Prefix` 代替路径前缀；"
            "`unix:` 表示 Unix 套接字的全部客户端。",
            en="Addresses and networks of proxies whose `X-Forwarded-Prefix` replaces the path prefix, separated by "
            "commas; `unix:` is every client of the Unix socket.",
        ),
    ] = ()
    compute_threads: Annotated[
        int,
        Field(ge=1),
        Setting(
            zh="每个进程里负责计算的线程数，BLAS 的也算在内；默认为可用的全部核心。",
            en="Threads that compute, in each process, those of BLAS included; default: all it may use.",
            shown_default={"zh": "全部可用的核心", "en": "all cores it may use"},
            offline=True,
        ),
    ] = Field(default_factory=usable_cores)
    kernel: Annotated[
        KernelChoice,
        Setting(
            zh="计算所用的内核：`auto` 取本机最快的一个，`numpy` 不用编译的代码，其余为指令集。",
            en="Kernel that computes: `auto` is the fastest that this machine runs, `numpy` uses no compiled code, "
            "others name an instruction set.",
            offline=True,
        ),
    ] = "auto"
    max_body_bytes: Annotated[Bytes, Setting(zh="请求体的最大字节数。", en="Largest request body.", offline=True)] = (
        64 * MIB
    )
    max_json_bytes: Annotated[
        Bytes, Setting(zh="JSON 请求体的最大字节数。", en="Largest JSON request body.", offline=True)
    ] = 32 * MIB
    max_result_bytes: Annotated[
        Bytes, Setting(zh="预计响应体的最大字节数。", en="Largest predicted response body.", offline=True)
    ] = 64 * MIB
    bytes_in_flight: Annotated[
        Bytes,
        Setting(
            zh="所有请求合计最多占用的内存字节数。",
            en="Maximum bytes of memory that all requests together may hold.",
            offline=True,
        ),
    ] = 256 * MIB
    max_operations: Annotated[
        int,
        Field(gt=0),
        Setting(
            zh="一个请求最多的浮点运算次数。", en="Maximum floating-point operations of one request.", offline=True
        ),
    ] = 2_000_000_000_000
    max_decompression_ratio: Annotated[
        int,
        Field(ge=1),
        Setting(
            zh="压缩请求体的每个字节最多展开成的字节数。",
            en="Maximum bytes that each byte of a compressed body may become.",
            offline=True,
        ),
    ] = 100
    max_json_depth: Annotated[
        int,
        Field(ge=8, le=MAX_JSON_DEPTH),
        Setting(zh="JSON 的最大嵌套层数，至多 254。", en="Deepest nesting of JSON, 254 at most.", offline=True),
    ] = 64
    queue_size: Annotated[
        int,
        Field(ge=0),
        Setting(zh="可以排队等待计算线程的请求数。", en="Requests that may wait for a compute thread."),
    ] = 64
    deadline_seconds: Annotated[
        Seconds, Setting(zh="一个请求最多用多少秒，包括排队。", en="Longest a request may take, waiting included.")
    ] = 60
    body_timeout_seconds: Annotated[
        Seconds, Setting(zh="请求体最多用多少秒到达。", en="Longest a request body may take to arrive.")
    ] = 30
    drain_seconds: Annotated[
        Seconds,
        Setting(
            zh="收到 SIGTERM 后，正在处理的请求最多还能用多少秒。",
            en="Longest that requests in flight may take after SIGTERM.",
        ),
    ] = 20
    ready_delay_seconds: Annotated[
        float,
        Field(ge=0, allow_inf_nan=False),
        Setting(
            zh="收到 SIGTERM 后，`/readyz` 先返回多少秒 503 才停止监听；至少是 `ATTENTION_DRAIN_SECONDS` 的十分之一。",
            en="Seconds that `/readyz` says 503 after SIGTERM before the listener closes; at least a tenth of "
            "`ATTENTION_DRAIN_SECONDS`.",
        ),
    ] = 0
    api_keys: Annotated[
        ApiKeys,
        Setting(
            zh="密钥，或其 `sha256:…`，请求必须带其中一个；用逗号隔开。可以写上所有者的名称：`team-a=sha256:…`。",
            en="Keys, or their `sha256:…`, of which requests must carry one; separated by commas. The name of their "
            "owner may stand in front: `team-a=sha256:…`.",
        ),
    ] = ()
    api_keys_file: Annotated[
        KeyFile | None,
        Setting(
            zh="存放更多密钥的文件，每行一个；改变后会重新读取。",
            en="File with more of them, one a line; read again when it changes.",
        ),
    ] = None
    cors_origins: Annotated[
        Origins,
        Setting(
            zh="哪些来源的网页可以在浏览器里使用本服务，用逗号隔开；`*` 表示全部。",
            en="Origins whose pages may use the service in a browser, separated by commas; `*` is every one.",
        ),
    ] = ()
    frame_ancestors: Annotated[
        FrameAncestors,
        Setting(
            zh="哪些来源的网页可以嵌入演练场等页面，用逗号隔开；`self` 表示同源，`*` 表示全部。",
            en="Origins whose pages may embed the playground and the other pages, separated by commas; `self` is that "
            "of the service, `*` every one.",
        ),
    ] = ()
    metrics_directory: Annotated[
        str,
        Setting(
            zh="多个进程共同计数所用的目录；默认用临时目录。",
            en="Directory where several processes add up what they count; default: a temporary one.",
        ),
    ] = ""
    memories_directory: Annotated[
        str,
        Setting(
            zh="保存记忆的目录；空值表示不提供记忆。",
            en="Directory that keeps the memories; empty switches them off.",
            shown_default={"zh": "平台的状态目录", "en": "the platform's state directory"},
        ),
    ] = Field(default_factory=_memories_directory)
    memories_url: Annotated[
        MemoriesUrl,
        Setting(
            zh="由多个副本共用的 Redis 或 Valkey，例如 redis://localhost:6379；此时上述目录只作缓存。",
            en="Redis or Valkey that keeps the memories for several replicas, such as redis://localhost:6379; the "
            "directory is a cache then.",
        ),
    ] = ""
    memories_bytes: Annotated[
        Bytes,
        Setting(zh="全部记忆合计最多占用的字节数。", en="Maximum bytes that all memories together take on the disk."),
    ] = 4 * GIB
    memory_bytes: Annotated[Bytes, Setting(zh="一个记忆的最大字节数。", en="Maximum bytes of one memory.")] = GIB
    ray_address: Annotated[
        RayAddress,
        Setting(
            zh="计算大请求的 Ray 集群：`auto`、`host:port`，或在本机启动的 `local`；空值表示不用。",
            en="Ray cluster that computes large requests: `auto`, `host:port`, or `local`, which starts one in this "
            "machine; empty for none.",
        ),
    ] = ""
    ray_min_operations: Annotated[
        int,
        Field(gt=0),
        Setting(
            zh="预计的浮点运算次数从多少起由集群计算。",
            en="Predicted floating-point operations from which on a request is computed by the cluster.",
        ),
    ] = 200_000_000_000
    otlp_endpoint: Annotated[
        Collector,
        Setting(
            zh="OpenTelemetry 收集器，例如 http://localhost:4318；每个请求向它发送一个 span。",
            en="OpenTelemetry collector, such as http://localhost:4318, that is sent a span of each request.",
        ),
    ] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Setting(zh="记录的最低级别：debug、info、warning、error。", en="Least severe level logged.", offline=True),
    ] = "info"
    log_format: Annotated[
        Literal["json", "text"],
        Setting(zh="json：每行一个 JSON 对象；text：纯文本。", en="One JSON object per line, or plain text."),
    ] = "json"

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, and then the environment."""
        return init_settings, Environment(settings_cls, cls.model_fields)

    @field_validator("*", mode="before")
    @classmethod
    def _require_digits(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse a number that is not digits with an optional fraction."""
        kind = cls.model_fields[str(info.field_name)].annotation
        if kind in (int, float) and isinstance(value, str) and not NUMBER.fullmatch(value):
            raise ValueError("expected a number: digits, with a fraction where that makes sense, and nothing else")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _not_empty(cls, value: Any, info: ValidationInfo) -> Any:
        """Take an empty text for the default where that is empty too, but never for no keys; an empty directory of
        memories is none.
        """
        if not isinstance(value, str) or value.strip():
            return value
        name = info.field_name or ""
        if name == "memories_directory":
            return ""
        default = cls.model_fields[name].default
        if name not in KEY_SETTINGS and default in ("", ()):
            return default
        raise ValueError("expected a value; received an empty one, so unset the variable to have the default")

    @field_validator("ready_delay_seconds")
    @classmethod
    def _drains_after_the_delay(cls, delay: float, info: ValidationInfo) -> float:
        drain = info.data.get("drain_seconds")
        if drain is not None and delay >= drain:
            raise ValueError(f"expected less than ATTENTION_DRAIN_SECONDS, which includes it and is {drain:g}")
        return delay

    @model_validator(mode="after")
    def _one_place_to_listen(self) -> "Settings":
        beside = sorted({"host", "port"} & self.model_fields_set)
        if self.uds is not None and beside:
            raise ValueError(
                f"expected either {our_variable('uds')} or a host and a port; received "
                f"{' and '.join(map(our_variable, beside))} as well. Unset one or the other."
            )
        return self

    @model_validator(mode="after")
    def _one_owner_of_each_key(self) -> "Settings":
        owners_by_digest((*self.api_keys, *(read_keys(self.api_keys_file) if self.api_keys_file else ())))
        return self

    @property
    def json_limit(self) -> int:
        """The largest JSON body."""
        return min(self.max_body_bytes, self.max_json_bytes)

    @property
    def asks_for_keys(self) -> bool:
        """Whether requests that compute must carry an API key."""
        return bool(self.api_keys or self.api_keys_file)


def described(name: str) -> Setting:
    """Return the texts of a setting, given the name of its field; raise TypeError for a field without."""
    for one in Settings.model_fields[name].metadata:
        if isinstance(one, Setting):
            return one
    raise TypeError(f"{name}: expected a Setting in its annotation; received none. Add Setting(zh=…, en=…).")


SERVE_OPTIONS = tuple(name for name in Settings.model_fields if described(name).flag)
"""Settings that `serve` has flags for."""

OFFLINE_SETTINGS = tuple(name for name in Settings.model_fields if described(name).offline)
"""Settings that commands without a server use."""


class OfflineSettings(Settings):
    """Settings of commands without a server: those that matter to a server alone keep their defaults."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment for the settings that are used."""
        return init_settings, Environment(settings_cls, OFFLINE_SETTINGS)
