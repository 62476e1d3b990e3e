"""The head of a request, checked for what RFC 9110 and RFC 9112 require beyond the syntax that the parser checks."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address

MAX_HEAD_BYTES = 64 * 1024
"""Maximum bytes of the request line and header section together; also of all trailers, and of chunk extensions."""

MAX_HEADERS = 100
"""Maximum header fields of a request; also of trailer fields."""

TOKEN_PATTERN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
"""RFC 9110, 5.6.2: a method or a field name."""

METHODS_OF_NO_RESOURCE = frozenset(
    {b"ANNOUNCE", b"CONNECT", b"DESCRIBE", b"FLUSH", b"GET_PARAMETER", b"PAUSE", b"PLAY", b"RECORD", b"REDIRECT",
     b"SETUP", b"SET_PARAMETER", b"TEARDOWN"}
)  # fmt: skip
"""Methods that the parser knows, but no resource of HTTP can have: those of RTSP, and CONNECT for a tunnel."""

FRAMING_FIELDS = frozenset({b"content-length", b"expect", b"host", b"transfer-encoding"})
"""Header fields that decide how a request is framed and whether it is answered at all."""

MAX_LENGTH_DIGITS = 20
"""Maximum digits of a Content-Length: those of 2⁶⁴ - 1, the largest that the parser counts."""

HOST = re.compile(rb"(?:\[(?P<literal>[^\]]*)\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?")
"""RFC 9110, 7.2: uri-host [":" port], both of RFC 3986.

An empty name is a valid one there, and what a client must send when its target has no authority.
"""

FUTURE_ADDRESS = re.compile(rb"[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+")
"""RFC 3986, 3.2.2: IPvFuture."""

ABSOLUTE_FORM = re.compile(rb"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.DOTALL)
"""RFC 9112, 3.2.2: a target that is a whole URI."""

BLANKS = b" \t"
"""RFC 9110, 5.6.3: the optional white space around a field value, which is no part of it."""

MALFORMED = (
    "expected a request in HTTP/1.1; received something else. Check the request line, the headers and how the length "
    "of the body is announced."
)
"""Detail of the problem of bytes that are no request in HTTP/1.1."""


class RefusedRequest(Exception):
    """A request that the protocol refuses before the application sees it; `slug` names the kind of problem."""

    def __init__(self, slug: str, detail: str) -> None:
        super().__init__(detail)
        self.slug, self.detail = slug, detail


@dataclass(slots=True)
class Framing:
    """How the body of a request is announced."""

    content_length: int = 0
    chunked: bool = False
    expects_continue: bool = False

    def is_small(self, limit: int) -> bool:
        """Return whether the body is known to have at most `limit` bytes."""
        return not self.chunked and self.content_length <= limit


def read_framing(method: bytes, version: str, fields: Iterable[tuple[bytes, bytes]]) -> Framing:
    """Return how a request is framed, from those of its header fields that are in `FRAMING_FIELDS`.

    A later minor version of HTTP/1 is read as HTTP/1.1 (RFC 9110, 2.5).

    Raises RefusedRequest: 501 for a method of no resource or a transfer coding other than chunked; 400 for another
    major version, for a Host that RFC 9112, 3.2 does not allow, and for a length that RFC 9112, 6 does not.
    """
    if method in METHODS_OF_NO_RESOURCE:
        raise unknown_method(method)
    if not version.startswith("1."):
        raise RefusedRequest(
            "malformed-body",
            f"expected a request in HTTP/1.1; received HTTP/{version}. Send HTTP/1.1 in its first line.",
        )
    framing, hosts, codings = Framing(), list[bytes](), list[bytes]()
    for name, value in fields:
        if name == b"host":
            hosts.append(value)
        elif name == b"content-length":
            framing.content_length = _length(value)
        elif name == b"transfer-encoding":
            codings.append(value)
        # RFC 9110, 10.1.1: other expectations may be ignored, and are.
        elif value.lower() == b"100-continue":
            # HTTP/1.0 knows no answers before the answer.
            framing.expects_continue = version != "1.0"
    _check_hosts(hosts, version)
    if codings:
        framing.chunked = True
        _check_codings(codings, version)
    return framing


def malformed_request() -> RefusedRequest:
    """Return the refusal of a malformed head."""
    return RefusedRequest("malformed-body", MALFORMED)


def too_large_head(size: int) -> RefusedRequest:
    """Return the refusal of a head of which at least `size` bytes have arrived."""
    return RefusedRequest(
        "too-large",
        f"expected a request line and headers of at most {MAX_HEAD_BYTES} bytes; received {size} or more. Send fewer "
        "or shorter headers.",
    )


def unknown_method(method: bytes) -> RefusedRequest:
    """Return the refusal of a method; one that some resource may have is for the application to judge (405)."""
    return RefusedRequest(
        "not-implemented",
        f"expected a method of HTTP such as GET or POST, in upper case; received {quoted(method)}. GET reads, POST "
        "computes.",
    )


def origin_form(target: bytes, method: bytes) -> tuple[bytes | None, bytes]:
    """Return the authority of a target in absolute form, None for any other, and its path and query.

    Raises RefusedRequest for a target that is neither a path nor an http URI, nor the ``*`` of OPTIONS.
    """
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return None, target
    found = ABSOLUTE_FORM.fullmatch(target)
    # RFC 9110, 4.2.1: an http URI without a host is to be rejected; 7.1: so is one with user information.
    authority = b"" if found is None or found["scheme"].lower() not in (b"http", b"https") else found["authority"]
    if found is None or authority[:1] in (b"", b":") or not is_valid_host(authority):
        raise RefusedRequest(
            "malformed-body",
            f"expected a path or an http URI as the target; received {quoted(target)}. Begin it with / as in "
            "/v1/attention.",
        )
    rest = found["rest"]
    return authority, rest if rest.startswith(b"/") else b"/" + rest


def path_of(target: bytes) -> str:
    """Return the path of a target in any form, as far as it has one."""
    found = ABSOLUTE_FORM.fullmatch(target)
    return (target if found is None else found["rest"]).partition(b"?")[0].decode("latin-1")


@lru_cache(maxsize=256)
def is_valid_host(value: bytes) -> bool:
    """Return whether a Host is a name or an address of RFC 3986, with or without a port."""
    found = HOST.fullmatch(value)
    if found is None:
        return False
    literal = found["literal"]
    if literal is None or FUTURE_ADDRESS.fullmatch(literal):
        return True
    try:
        IPv6Address(literal.decode("ascii"))
    except (AddressValueError, UnicodeDecodeError):
        return False
    # Python reads a zone as well, RFC 3986 has none.
    return b"%" not in literal


def quoted(value: bytes) -> str:
    """Return what a client sent in quotes, cut to what fits into a sentence."""
    return repr(value[:100].decode("latin-1"))


def _length(value: bytes) -> int:
    if len(value) > MAX_LENGTH_DIGITS:
        raise RefusedRequest(
            "malformed-body",
            f"expected a Content-Length of at most {MAX_LENGTH_DIGITS} digits; received {len(value)} of them. Leave "
            "zeros in front out.",
        )
    return int(value)


def _check_hosts(hosts: list[bytes], version: str) -> None:
    if len(hosts) == 1 and is_valid_host(hosts[0]):
        return
    if hosts or version != "1.0":
        received = " and ".join(map(quoted, hosts[:2])) or "none"
        raise RefusedRequest(
            "malformed-body",
            f"expected exactly one Host header with a name or an address, and a port if need be; received {received}. "
            "Send one such as Host: localhost:8000.",
        )


def _check_codings(values: list[bytes], version: str) -> None:
    """Raise RefusedRequest unless a body is chunked and nothing else."""
    received = b", ".join(values)
    if version == "1.0":
        raise RefusedRequest(
            "malformed-body",
            f"expected no Transfer-Encoding in HTTP/1.0; received {quoted(received)}. Send Content-Length.",
        )
    codings = [each for each in (one.strip(BLANKS).lower() for one in received.split(b",")) if each]
    if b"chunked" in codings[:-1]:
        raise malformed_request()
    if codings != [b"chunked"]:
        raise RefusedRequest(
            "not-implemented",
            f"expected Transfer-Encoding chunked or none; received {quoted(received)}. Compress a body with "
            "Content-Encoding instead.",
        )
