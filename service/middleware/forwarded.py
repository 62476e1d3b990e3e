"""The prefix under which a proxy publishes the service, from `X-Forwarded-Prefix` of trusted proxies."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.problems import respond
from service.setting_types import PATH_PREFIX, UNIX_PEER

HEADER = b"x-forwarded-prefix"

MAX_PREFIX_LENGTH = 256


class InvalidPrefix(Exception):
    """A trusted proxy sent a prefix that cannot be one; the message is the detail of a problem."""


class TrustedProxies:
    """Addresses and networks whose X-Forwarded-Prefix is used."""

    def __init__(self, entries: Iterable[str]) -> None:
        listed = tuple(entries)
        self._unix = UNIX_PEER in listed
        self._networks = [ip_network(entry) for entry in listed if entry != UNIX_PEER]
        self._trusts_address = lru_cache(maxsize=256)(self._find)

    def trusts(self, host: str | None) -> bool:
        """Return whether a peer is trusted; the peer of a Unix socket has no host."""
        return self._trusts_address(host) if host else self._unix

    def _find(self, host: str) -> bool:
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            # A socket that listens on both families shows an IPv4 peer as an IPv6 address.
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def prefix(self, host: str | None, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Return the prefix that a trusted peer sent, "" for the root; None where the setting applies.

        Raises InvalidPrefix for anything else than one path, since it becomes part of links and redirects.
        """
        sent = [value for name, value in headers if name == HEADER]
        if not sent or not self.trusts(host):
            return None
        prefix = sent[0].strip().decode("latin-1").removesuffix("/")
        if len(sent) > 1 or len(prefix) > MAX_PREFIX_LENGTH or not PATH_PREFIX.fullmatch(prefix):
            received = b", ".join(sent)[: MAX_PREFIX_LENGTH + 2].decode("latin-1")
            raise InvalidPrefix(
                f"expected one path such as /attention in X-Forwarded-Prefix, of at most {MAX_PREFIX_LENGTH} ASCII "
                f"letters, digits and ._~!$&'()*+;=:@-; received {received!r}. Let the proxy replace this header, and "
                "pass on none that a client sent."
            )
        return prefix


class ForwardedPrefixMiddleware:
    """ASGI middleware that replaces the configured prefix by that of a trusted proxy, for one request."""

    def __init__(self, app: ASGIApp, proxies: TrustedProxies) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        if scope["type"] == "http":
            peer = scope.get("client")
            try:
                prefix = self._proxies.prefix(peer[0] if peer else None, scope["headers"])
            except InvalidPrefix as error:
                await respond(Request(scope), "malformed-body", str(error))(scope, receive, send)
                return
            if prefix is not None:
                scope["root_path"] = prefix
        await self._app(scope, receive, send)
