"""The curl commands of the pages, sent to another server than the one they name."""

import argparse
from typing import Any

import httpx

ADDRESS = "http://127.0.0.1:8000"


class Curl(argparse.ArgumentParser):
    """As much of curl as the pages need; anything else fails."""

    def error(self, message: str) -> Any:
        raise AssertionError(f"this test does not know how curl reads that: {message}")


def read(words: list[str]) -> argparse.Namespace:
    """The arguments of a curl command."""
    curl = Curl(allow_abbrev=False)
    curl.add_argument("url")
    curl.add_argument("-s", action="store_true")
    curl.add_argument("-i", action="store_true")
    curl.add_argument("-o")
    curl.add_argument("-X")
    curl.add_argument("-H", action="append", default=[])
    curl.add_argument("-d")
    curl.add_argument("-G", action="store_true")
    curl.add_argument("--data-urlencode", action="append", default=[])
    return curl.parse_args(words[1:])


def send(words: list[str], url: str) -> httpx.Response:
    """Send what a curl command would."""
    options = read(words)
    assert options.url.startswith(f"{ADDRESS}/"), options.url
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if options.d is not None else {}
    headers |= dict(header.split(": ", 1) for header in options.H)
    assert bool(options.data_urlencode) == options.G, "without -G the fields would be a body"
    fields = dict(field.split("=", 1) for field in options.data_urlencode)
    method = options.X or ("GET" if options.d is None else "POST")
    body = None if options.d is None else options.d.encode()
    address = url + options.url.removeprefix(ADDRESS)
    return httpx.request(method, address, headers=headers, content=body, params=fields or None)
