"""Header fields of a request that come on several lines (RFC 9110, section 5.3).

A list-based field on several lines is one list.  A singleton field with two different values is refused: a proxy in
front of the service may have acted on the other one.
"""

from collections.abc import Mapping, Sequence

from starlette.types import Scope

STATE = "header_fields"
"""Where the state of a request keeps its combined fields."""

LIST_FIELDS = frozenset(
    b"accept accept-encoding accept-language access-control-request-headers connection "
    b"content-encoding if-match if-none-match tracestate transfer-encoding".split()
)
"""Fields whose value is a list: their lines are joined with commas."""

SINGLETON_FIELDS = frozenset(
    b"access-control-request-method authorization content-length content-range content-type host if-modified-since "
    b"if-range inference-header-content-length origin range request-timeout x-api-key".split()
)
"""Fields with a single value: several lines must agree."""

IDENTIFIERS = frozenset((b"traceparent", b"x-request-id"))
"""Fields that only help to find a request: two different values are ignored."""

Lines = Sequence[tuple[bytes, bytes]]


def combine(lines: Lines) -> tuple[dict[bytes, bytes], list[bytes]]:
    """Return the value of each field, and the names of singleton fields that came with different values.

    Fields that the service does not read are joined as lists are.
    """
    values: dict[bytes, list[bytes]] = {}
    for name, value in lines:
        values.setdefault(name, []).append(value)
    fields: dict[bytes, bytes] = {}
    contradictory: list[bytes] = []
    for name, several in values.items():
        distinct = dict.fromkeys(several)
        if len(distinct) == 1 and name not in LIST_FIELDS:
            fields[name] = several[0]
        elif name in IDENTIFIERS:
            continue
        else:
            fields[name] = b", ".join(several)
            if name in SINGLETON_FIELDS:
                contradictory.append(name)
    return fields, contradictory


def contradiction(names: Sequence[bytes]) -> str:
    """Return the detail of the error for fields that came with different values."""
    named = " and of ".join(name.decode("latin-1") for name in names)
    return f"expected one value of {named}; received several that differ. Send the header once."


def header_fields(scope: Scope) -> Mapping[bytes, bytes]:
    """Return the fields of a request by their lower-case names."""
    fields: Mapping[bytes, bytes] = scope["state"][STATE]
    return fields


def header_field(scope: Scope, name: bytes) -> str | None:
    """Return the value of one field, given its lower-case name; None when it is absent."""
    value = header_fields(scope).get(name)
    return None if value is None else value.decode("latin-1")
