"""Parts of the Helm chart that are made from the settings: their values, the schema of these, and defaults.

A setting is a value of the chart unless `OWNED_SETTINGS` names it: a new one reaches the chart by `make generate`.
"""

import json
import textwrap
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from service.settings import Settings, described

OWNED_SETTINGS = {
    "port": "the port of the container, which the Service and the probes name",
    "uds": "a Service reaches a port alone",
    "compute_threads": "resources.limits.cpu divided by settings.workers",
    "api_keys": "keys, which makes a Secret",
    "api_keys_file": "keys, which mounts a Secret",
    "metrics_directory": "the temporary directory of the pod",
    "memories_directory": "memories, which mounts a volume there",
    "memories_url": "memories.redis, which makes a Secret",
    "ray_address": "ray, which adds a node of the cluster to the pod",
}
"""Settings that are no values of the chart, each with the part of the chart that decides it."""

TEMPLATE_DEFAULTS = (
    "max_body_bytes",
    "drain_seconds",
    "deadline_seconds",
    "body_timeout_seconds",
    "ray_min_operations",
)
"""Settings whose defaults the templates use: for grace periods, bodies and times of an ingress, and notes."""

MAX_COLUMNS = 116


def setting_names() -> Iterator[str]:
    """Yield the names of the settings that are values of the chart, in the order of their declaration."""
    return (name for name in Settings.model_fields if name not in OWNED_SETTINGS)


def commented_settings() -> Iterator[str]:
    """Yield the lines of values.yaml about the settings: a sentence each, and the default where there is one."""
    for name in setting_names():
        yield from textwrap.wrap(
            described(name).en, MAX_COLUMNS, initial_indent="  # ", subsequent_indent="  # ", break_on_hyphens=False
        )
        yield f"  # {name}: {json.dumps(_default(name))}"


def settings_schema() -> Iterator[str]:
    """Yield the lines of values.schema.json with the schema of the settings, `serviceSettings` of ``$defs``."""
    properties = {name: _schema(name) for name in setting_names()}
    schema = {"type": "object", "additionalProperties": False, "properties": properties}
    lines = json.dumps({"serviceSettings": schema}, indent=2, ensure_ascii=False).splitlines()[1:-1]
    yield from (f"  {line}" for line in lines[:-1])
    yield f"  {lines[-1]},"


def template_defaults() -> Iterator[str]:
    """Yield the lines of a template that defines the defaults which other templates use."""
    return (
        f'{{{{- define "attention.default.{name}" }}}}{_default(name):g}{{{{ end }}}}'
        if name.endswith("_seconds")
        else f'{{{{- define "attention.default.{name}" }}}}{_default(name)}{{{{ end }}}}'
        for name in TEMPLATE_DEFAULTS
    )


def _default(name: str) -> Any:
    """Return a default as YAML and JSON have it: a list of texts is one text."""
    default = Settings.model_fields[name].default
    return ",".join(default) if isinstance(default, tuple) else default


def _schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a setting: its type, bounds, description and default."""
    field = Settings.model_fields[name]
    schema: dict[str, Any]
    if field.annotation in (int, float):
        schema = {"type": "integer" if field.annotation is int else "number", **_bounds(field.metadata)}
    elif get_origin(field.annotation) is Literal:
        schema = {"enum": list(get_args(field.annotation))}
    elif isinstance(field.default, tuple):
        schema = {"type": ["string", "array"], "items": {"type": "string"}}
    else:
        schema = {"type": "string"}
    return {**schema, "description": described(name).en, "default": _default(name)}


KEYWORDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


def _bounds(metadata: list[Any]) -> dict[str, float]:
    return {
        keyword: getattr(one, bound) for one in metadata for bound, keyword in KEYWORDS.items() if hasattr(one, bound)
    }
