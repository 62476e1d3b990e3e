"""A proxy before a server of Redis that loses what it is told to lose."""

import socket
import threading
from contextlib import suppress
from pathlib import Path
from select import select

MAX_READ_BYTES = 1024 * 1024


class LossyProxy:
    """Passes everything on, until it is told to break a connection.

    :param path: of its socket.
    :param server: path of the socket of the server.
    """

    def __init__(self, path: Path, server: Path):
        self.path, self._server = path, server
        self._loses = None
        self.lost = 0
        """Connections that it has broken."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, what, script):
        """Break the connection of the next call of a script.

        :param what: "answer", behind its request; or "request", in the middle of it.
        :param script: the `Script`.
        """
        self._loses = what, script.digest.encode()

    def close(self):
        """Take no more connections."""
        self._listener.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        server = socket.socket(socket.AF_UNIX)
        with client, server, suppress(OSError):
            server.connect(str(self._server))
            while True:
                for ready in select([client, server], [], [])[0]:
                    content = ready.recv(MAX_READ_BYTES)
                    if not content:
                        return
                    if ready is server:
                        client.sendall(content)
                    elif self._loses is not None and self._loses[1] in content:
                        self._break(server, content)
                        return
                    else:
                        server.sendall(content)

    def _break(self, server, request):
        (what, _), self._loses = self._loses, None
        server.sendall(request if what == "answer" else request[: len(request) // 2])
        if what == "answer":
            server.recv(MAX_READ_BYTES)
        self.lost += 1
