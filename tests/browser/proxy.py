"""A reverse proxy that publishes a server under a prefix and strips it, as nginx does with a trailing slash."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


@dataclass
class Proxy:
    """Where the server is published, and which paths were asked for outside of it."""

    url: str
    outside: list[str] = field(default_factory=list)


@contextmanager
def stripping_proxy(upstream: str, prefix: str) -> Iterator[Proxy]:
    """Forward ``<prefix>/path`` to ``<upstream>/path``; anything else is a 404 and remembered."""

    class Forward(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(f"{prefix}/"):
                proxy.outside.append(self.path)
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with closing(HTTPConnection(urlsplit(upstream).netloc, timeout=30)) as connection:
                connection.request(self.command, self.path.removeprefix(prefix), body, dict(self.headers))
                answer = connection.getresponse()
                content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_DELETE(self) -> None:
            self.do_GET()

        def do_POST(self) -> None:
            self.do_GET()

        def do_PUT(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing: tests read answers, not logs."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Forward) as listening:
        proxy = Proxy(f"http://127.0.0.1:{listening.server_port}{prefix}")
        thread = Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield proxy
        finally:
            listening.shutdown()
            thread.join()
