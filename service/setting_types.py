"""Types of settings, each with the texts that it accepts, and the description of a setting for people."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from attention_core.native import AUTO, NUMPY, available_kernels
from service.keys import hashed, read_keys

PATH_PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~!$&'()*+;=:@-]+)*")
"""Path segments in ASCII, without percent signs, commas and dot segments: safe in links, redirects and lists."""

UNIX_PEER = "unix:"
"""Among trusted proxies: every client of the Unix socket, as nginx writes it."""

COLLECTOR = re.compile(r"https?://[^/?#@\s]+(/[^?#\s]*)?")

RAY_ADDRESS = re.compile(r"local|auto|[^\s:/@]+:[0-9]{1,5}|\[[0-9a-fA-F:]+\]:[0-9]{1,5}")

MEMORIES_URL = re.compile(r"(redis|rediss|unix)://[^\s]+")

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s]+")

FRAME_ANCESTOR = re.compile(r"https?://(\*\.)?[A-Za-z0-9.-]+(:([0-9]+|\*))?")
"""A source of the directive frame-ancestors; nothing in it can end the directive or the header."""

Bytes = Annotated[int, Field(gt=0)]
"""A size; the name of its setting contains `bytes`, by which tables show MiB."""
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A time; the name of its setting ends in `_seconds`."""


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


def _frame_ancestor(entry: str) -> str:
    word = entry.strip("'")
    if word in ("self", "none"):
        return f"'{word}'"
    if entry != "*" and not FRAME_ANCESTOR.fullmatch(entry):
        raise ValueError("expected none, self, *, or origins such as https://*.example.org: a scheme, a host, no path")
    return entry


def _alone(entries: tuple[str, ...]) -> tuple[str, ...]:
    if "'none'" not in entries:
        return entries
    if len(entries) > 1:
        raise ValueError("expected none by itself, or sites without it")
    return ()


def _readable(path: Path) -> Path:
    read_keys(path)
    return path


def _collector(url: str) -> str:
    if url and not COLLECTOR.fullmatch(url):
        raise ValueError("expected a URL such as http://localhost:4318")
    if url and find_spec("opentelemetry.sdk") is None:
        raise ValueError("expected the extra otel to be installed: pip install 'attention-service[otel]'")
    return url


def _memories_url(url: str) -> str:
    # The URL may hold a password, so that no text shows it.
    if url and not MEMORIES_URL.fullmatch(url):
        raise ValueError("expected a URL such as redis://localhost:6379, rediss://… or unix://…")
    if url and find_spec("redis") is None:
        raise ValueError("expected the extra redis to be installed: pip install 'attention-service[redis]'")
    return url


def _ray_address(address: str) -> str:
    if address and not RAY_ADDRESS.fullmatch(address):
        raise ValueError("expected local, auto, or the host and port of a cluster, such as ray-head:6379")
    return address


def _path_prefix(prefix: str) -> str:
    if not PATH_PREFIX.fullmatch(prefix):
        raise ValueError(
            "expected a path such as /attention: segments of ASCII letters, digits and ._~!$&'()*+;=:@-, no slash at "
            "the end"
        )
    return prefix


def _proxy(entry: str) -> str:
    if entry == UNIX_PEER:
        return entry
    try:
        return str(ip_network(entry))
    except ValueError as error:
        raise ValueError(f"expected addresses, networks such as 10.0.0.0/8, or {UNIX_PEER} ({error})") from None


def _runnable(choice: str) -> str:
    kernels, missing = available_kernels()
    if choice not in (AUTO, NUMPY, *kernels):
        why = f" ({missing})" if missing else ""
        raise ValueError(f"expected a kernel that this machine has: {', '.join((AUTO, NUMPY, *kernels))}{why}")
    return choice


ApiKeys = Annotated[tuple[Annotated[str, AfterValidator(hashed)], ...], NoDecode, BeforeValidator(_keys_listed)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_listed)]
FrameAncestors = Annotated[
    tuple[Annotated[str, AfterValidator(_frame_ancestor)], ...],
    NoDecode,
    BeforeValidator(_listed),
    AfterValidator(_alone),
]
Proxies = Annotated[tuple[Annotated[str, AfterValidator(_proxy)], ...], NoDecode, BeforeValidator(_listed)]
PathPrefix = Annotated[str, AfterValidator(_path_prefix)]
Collector = Annotated[str, AfterValidator(_collector)]
MemoriesUrl = Annotated[str, AfterValidator(_memories_url)]
RayAddress = Annotated[str, AfterValidator(_ray_address)]
KernelChoice = Annotated[str, AfterValidator(_runnable)]
KeyFile = Annotated[Path, AfterValidator(_readable)]


@dataclass(frozen=True, slots=True)
class Setting:
    """The texts of a setting; its name, type, unit, default and constraint are those of its field.

    The table in docs/reference/settings.md and the flags of `serve` are made from it by `make generate`.
    """

    zh: str
    """One sentence."""
    en: str
    """One sentence."""
    shown_default: Mapping[str, str] | None = None
    """By language, instead of a default that depends on the machine."""
    flag: bool = False
    """Whether `serve` has a flag for it as well."""
    offline: bool = False
    """Whether commands without a server use it; a wrong value of another setting does not end them."""
