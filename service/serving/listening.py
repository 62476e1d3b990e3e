"""Listening sockets: one way to bind them for any number of workers, and an end that resets no connection."""

import ctypes
import errno
import logging
import socket
import stat
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SOCKET_MODE = 0o666
"""Permissions of a Unix socket: open to every user as 127.0.0.1 is; its directory restricts them."""

BACKLOG = 2048
"""Connections that the kernel holds until they are accepted; it may hold fewer (net.core.somaxconn)."""

UNAVAILABLE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""Errors of an address or family that the machine does not have, though a name such as `localhost` resolves to it."""

SO_ATTACH_FILTER = 26

DROP_NEW_CONNECTIONS = (
    (0x30, 0, 0, 13),  # load the byte of the TCP flags
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone begins a connection:
    (0x06, 0, 0, 0),  # drop it;
    (0x06, 0, 0, 0xFFFFFFFF),  # let everything else pass
)
"""Instructions of a classic BPF program (code, jump if true, jump if false, operand), as in linux/filter.h."""

log = logging.getLogger("service.server")


class CannotListen(Exception):
    """An address on which the service cannot listen; the message is for the operator."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Bound sockets, and the file of a Unix socket with its device and inode: another process may replace it."""

    sockets: tuple[socket.socket, ...]
    file: tuple[Path, int, int] | None = None

    @property
    def urls(self) -> list[str]:
        """Where clients find the sockets, for the log."""
        return [_url_of(listener) for listener in self.sockets]

    def refuse_new_connections(self) -> None:
        """Drop new connections; those that the kernel has begun can still be accepted.

        Closing a socket resets connections that no process has accepted yet, though their clients are connected.  After
        this no connection is added, so the sockets can be closed when all are accepted.  A client that connects in
        between repeats its SYN a second later, and is then refused.  Where the kernel has no such filter, nothing
        changes.
        """
        self.remove_file()
        if sys.platform == "linux":
            for listener in self.sockets:
                if listener.family != socket.AF_UNIX:
                    _attach_filter(listener)

    def remove_file(self) -> None:
        """Remove the file of the Unix socket, unless another process has put its own there since."""
        if self.file is not None:
            path, *identity = self.file
            with suppress(FileNotFoundError):
                if _identity(path) == tuple(identity):
                    path.unlink()

    def close(self) -> None:
        """Close the sockets of this process."""
        for listener in self.sockets:
            listener.close()


def bind(host: str, port: int, uds: Path | None) -> Listeners:
    """Bind a Unix socket if there is a path for one, else one socket for each address of the host.

    `::` takes IPv4 as well as IPv6.  With port 0 all addresses share one free port.  Raises CannotListen.
    """
    return _bind_unix(uds) if uds is not None else _bind_inet(host, port)


def _bind_inet(host: str, port: int) -> Listeners:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CannotListen(_refusal(f"{host} port {port}", error, "ATTENTION_HOST")) from None
    bound: list[socket.socket] = []
    failures: list[OSError] = []
    for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
        chosen = bound[0].getsockname()[1] if bound else port
        try:
            bound.append(_bind_address(family, (address[0], chosen, *address[2:])))
        except OSError as error:
            failures.append(error)
    listeners = Listeners(tuple(bound))
    serious = [error for error in failures if not bound or error.errno not in UNAVAILABLE]
    if serious:
        listeners.close()
        raise CannotListen(_refusal(f"{host} port {port}", serious[0], "ATTENTION_HOST or ATTENTION_PORT"))
    return listeners


def _bind_address(family: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _bind_unix(path: Path) -> Listeners:
    """Bind a Unix socket, in place of a stale one on which no process listens."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        listener.bind(str(path))
        path.chmod(SOCKET_MODE)
        # Listen at once: another server that starts now would take this socket for a stale one.
        listener.listen(BACKLOG)
        return Listeners((listener,), (path, *_identity(path)))
    except OSError as error:
        listener.close()
        raise CannotListen(_refusal(str(path), error, "ATTENTION_UDS")) from None


def _remove_stale(path: Path) -> None:
    """Remove a Unix socket that refuses connections; raise OSError for a live one and for any other file."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise OSError(errno.EEXIST, "a file is there that is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass  # its queue is full, so a process listens
    raise OSError(errno.EADDRINUSE, "another process listens there")


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _refusal(where: str, error: OSError, setting: str) -> str:
    return f"expected an address to listen on; received {where}: {error.strerror or error}. Change {setting}."


def _url_of(listener: socket.socket) -> str:
    if listener.family == socket.AF_UNIX:
        return f"unix:{listener.getsockname()}"
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _attach_filter(listener: socket.socket) -> None:
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in DROP_NEW_CONNECTIONS)
    instructions = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("HP", len(DROP_NEW_CONNECTIONS), ctypes.addressof(instructions))
    try:
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, described)
    except OSError as error:
        log.debug("draining: no filter for new connections: %s", error.strerror)
