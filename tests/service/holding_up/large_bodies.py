"""Large bodies, and the clients that send them."""

import asyncio
import io
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping

import httpx

from service.settings import Settings

JSON_BYTES: int = Settings.model_fields["max_json_bytes"].default - 1

MIB = 1024 * 1024

PIECE = bytes(64 * 1024)


class Zeros(io.RawIOBase):
    """A file of zeros that need no memory."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int = -1) -> bytes:
        """Return as many zeros, and at most a piece."""
        size = min(self.left, len(PIECE), size if size >= 0 else self.left)
        self.left -= size
        return PIECE[:size]


def by_urllib(url: str, size: int, headers: Mapping[str, str], *, chunked: bool) -> tuple[int, bytes]:
    """Return the status and body of the answer; urllib closes its connections after each."""
    announced = {} if chunked else {"Content-Length": str(size)}
    asked = urllib.request.Request(url, Zeros(size), {"Content-Type": "application/json", **announced, **headers})
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def by_httpx(url: str, size: int, headers: Mapping[str, str], *, chunked: bool) -> tuple[int, bytes]:
    """Return the status and body of the answer."""
    announced = {} if chunked else {"Content-Length": str(size)}
    response = httpx.post(url, content=iter(Zeros(size).read, b""), headers=announced | headers, timeout=60)
    return response.status_code, response.content


def by_curl(url: str, size: int, headers: Mapping[str, str], *, chunked: bool) -> tuple[int, bytes]:
    """Return the status and body of the answer; it would wait to be asked for the body, were it not told not to."""
    options = [f"-H{name}: {value}" for name, value in headers.items()]
    length = [] if chunked else [f"-HContent-Length: {size}", "-HTransfer-Encoding:"]
    command = ["/usr/bin/curl", "-sS", "-XPOST", "-T-", "-HExpect:", "-w%{http_code}", *length, *options, url]
    with subprocess.Popen(["/usr/bin/head", "-c", str(size), "/dev/zero"], stdout=subprocess.PIPE) as zeros:
        ended = subprocess.run(command, check=False, stdin=zeros.stdout, capture_output=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return int(ended.stdout[-3:]), ended.stdout[:-3]


CLIENTS = {"urllib": by_urllib, "httpx": by_httpx, "curl": by_curl}


async def answer_to(
    client: str, url: str, size: int, headers: Mapping[str, str], *, chunked: bool
) -> tuple[int, str, float]:
    """Return what a client says of a request: the status, the kind of problem, and the seconds it took."""
    started = time.monotonic()
    status, body = await asyncio.to_thread(CLIENTS[client], url, size, headers, chunked=chunked)
    return status, json.loads(body)["type"].removeprefix("/problems/"), time.monotonic() - started
