"""The health check of a container: asks the service with the same settings whether it is ready."""

import http.client
import socket

from service.environment import variable_of, variables

TIMEOUT_SECONDS = 4.0

EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - a server listens on these; clients reach it on this machine


class UnixConnection(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def why_not_ready(host: str | None, port: str | None, uds: str | None) -> str | None:
    """Ask for /readyz and return why the service is not ready; None when it is.

    Arguments that are None are read from the environment, whose proxies are not used.
    """
    environment = variables()

    def setting(name: str, default: str) -> str:
        variable = variable_of(name, environment)
        return default if variable is None else environment[variable]

    path = uds or ("" if host or port else setting("uds", ""))
    try:
        connection = (
            UnixConnection(path, TIMEOUT_SECONDS)
            if path
            else _tcp_connection(host or setting("host", "127.0.0.1"), int(port or setting("port", "8000")))
        )
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"expected a service that is ready; received: {error}"
    return None if status == http.client.OK else f"expected status 200 from /readyz; received {status}"


def _tcp_connection(host: str, port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("localhost" if host in EVERY_ADDRESS else host, port, timeout=TIMEOUT_SECONDS)
