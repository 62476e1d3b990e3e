"""Memories as Redis has them: the fields of a hash, read and written."""

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, NamedTuple, cast

from service.memories.errors import StoreDamaged
from service.memories.form import MemoryForm, form_from_json, form_to_json
from service.memories.naming import MemoryName
from service.memories.redis.keyspace import place_of
from service.memories.redis.scripts import FIELDS
from service.memories.store import ALWAYS, Durability, MemoryDescription, MemoryOptions, Precondition


class SegmentPart(NamedTuple):
    """A segment with consecutive keys of a memory.

    :param segment_id: by which its chunks and its file in the cache are called.
    :param size: bytes.
    :param keys: keys in it.
    :param checksum: CRC-32 of all bytes.
    :param chunks: values of Redis that it is split into.
    """

    segment_id: str
    size: int
    keys: int
    checksum: int
    chunks: int


@dataclass(frozen=True, slots=True)
class RedisRow:
    """A memory; `scripts.FIELDS` says what each field is."""

    name: MemoryName
    generation: str
    version: str
    keys: int
    bytes: int
    modified: float
    created: float
    used: float
    form: MemoryForm
    options: MemoryOptions
    segments: tuple[SegmentPart, ...]
    first: int
    records: int
    first_version: str
    record_bytes: int
    stored: int

    def description(self, used: float | None = None) -> MemoryDescription:
        """Return the description of the current version.

        :param used: time of the use that the description is made for; None for one that is no use.
        """
        ttl, form = self.options.ttl_seconds, self.form
        return MemoryDescription(
            name=self.name.name,
            version=self.version,
            key_shape=form.key.shape(self.keys),
            value_shape=None if form.value is None else form.value.shape(self.keys),
            keys=self.keys,
            bytes=self.bytes,
            labels=form.labels,
            created=self.created,
            modified=self.modified,
            expires=None if ttl is None else (self.used if used is None else used) + ttl,
            options=self.options,
        )


def row_of(name: MemoryName, lines: bytes) -> RedisRow:
    """Return a memory.

    :param name: the memory.
    :param lines: the values of `FIELDS`, none of which has a line break.

    Raises StoreDamaged where they are not those that the store has written.
    """
    try:
        field = dict(zip(FIELDS, lines.split(b"\n"), strict=True))
        ttl = float(field["ttl"]) if field["ttl"] else None
        form, options = _described(field["described"], ttl)
        return RedisRow(
            name=name,
            generation=field["generation"].decode(),
            version=field["version"].decode(),
            keys=int(field["keys"]),
            bytes=int(field["bytes"]),
            modified=float(field["modified"]),
            created=float(field["created"]),
            used=float(field["used"]),
            form=form,
            options=options,
            segments=_segments(field["segments"]),
            first=int(field["first"]),
            records=int(field["records"]),
            first_version=field["first_version"].decode(),
            record_bytes=int(field["record_bytes"]),
            stored=int(field["stored"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreDamaged(f"fields of the memory {name.name!r} that the store has not written") from error


def describe(form: MemoryForm, options: MemoryOptions) -> str:
    """Return the field `described`."""
    return json.dumps(
        {
            "form": form_to_json(form),
            "layout": options.layout,
            "durability": options.durability,
            "note": options.note,
            "shards": options.shards,
        }
    )


@lru_cache(maxsize=4096)
def _described(text: bytes, ttl_seconds: float | None) -> tuple[MemoryForm, MemoryOptions]:
    described: dict[str, Any] = json.loads(text)
    form = form_from_json(described["form"])
    durability = cast("Durability", described["durability"])
    options = MemoryOptions(
        described["form"]["dtype"],
        described["layout"],
        ttl_seconds,
        durability,
        described["note"],
        described.get("shards"),
    )
    return form, options


@lru_cache(maxsize=4096)
def _segments(text: bytes) -> tuple[SegmentPart, ...]:
    return tuple(SegmentPart(*part) for part in json.loads(text))


def condition_argument(condition: Precondition) -> str:
    """Return a precondition as scripts take it: JSON with its members; empty for one that always holds."""
    return "" if condition == ALWAYS else json.dumps(asdict(condition))


def script_arguments(prefix: str, name: MemoryName, now: float) -> tuple[str, str, str]:
    """Return the arguments that every script begins with."""
    return prefix, place_of(name), repr(now)
