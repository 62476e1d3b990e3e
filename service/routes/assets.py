"""What the pages are made of, as it is sent: bundled, compressed, and at addresses with the hash of the content.

Everything is made in memory from the files in `service/pages`, once in each process for the first request: a checkout
serves what its files say, and nothing needs to be built.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import Response

from service.codecs.compression import MIN_COMPRESSED_BYTES, compress_for_many
from service.codecs.negotiate import WantedEncoding, choose_encoding
from service.middleware.header_fields import header_field
from service.routes.bundles import bundle_later, bundle_modules, bundle_styles
from service.routes.document import has_tag

PAGES = files("service") / "pages"

MEDIA_TYPES = {
    "": "text/plain; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""Media types by suffix, independent of the tables of the machine; LICENSE and NOTICE have no suffix.  Other files, as
the HTML templates of the pages, are not served."""

HTML_MEDIA_TYPE = "text/html; charset=utf-8"

MAIN, LATER = "playground/main.js", "playground/later.js"
"""The script that the playground starts with, and the one with its views, which it loads when one is opened."""

HASH_DIGITS = 16

HASHED = re.compile(rf"(?P<path>.+)\.(?P<hash>[0-9a-f]{{{HASH_DIGITS}}})(?P<suffix>\.\w+)")

STYLE_SHEETS = re.compile(r'(?:[ \t]*<link rel="stylesheet" href="(?:\.\./)?static/playground/[^"]+">\n)+')

REFERENCE = re.compile(r'(?<==")((?:\.\./|\{root\}/)?static/)([^"]+)(?=")')
"""The address of a file in a page, relative to the page or below the public prefix."""


@dataclass(frozen=True, slots=True)
class Asset:
    """Bytes that are sent as they are, or in a content coding; each coding is made once."""

    content: bytes
    media_type: str
    _encoded: dict[str, bytes] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """Hash of the content, the first `HASH_DIGITS` digits."""
        return sha256(self.content).hexdigest()[:HASH_DIGITS]

    def respond(self, request: Request, headers: Mapping[str, str], status: int = 200) -> Response:
        """Return the answer in the content coding that Accept-Encoding prefers, or 304 to a client that has it.

        :raises NotAcceptable: where Accept-Encoding excludes every coding, the plain content included.
        """
        wanted = choose_encoding(header_field(request.scope, b"accept-encoding"))
        content, coding = self._represent(wanted)
        tag = f'"{self.tag}-{coding}"' if coding else f'"{self.tag}"'
        headers = {"Vary": "Accept-Encoding", **headers, "ETag": tag}
        if status == 200 and has_tag(tag, header_field(request.scope, b"if-none-match") or ""):
            return Response(status_code=304, headers=headers)
        if coding:
            headers["Content-Encoding"] = coding
        return Response(content, status, headers | {"Content-Type": self.media_type})

    def _represent(self, wanted: WantedEncoding) -> tuple[bytes, str]:
        """Return the content and its coding, an empty one where it is plain."""
        coding = wanted.name or ""
        if not coding or (len(self.content) < MIN_COMPRESSED_BYTES and not wanted.insistent):
            return self.content, ""
        if coding not in self._encoded:
            self._encoded[coding] = compress_for_many(self.content, coding)
        return self._encoded[coding], coding


@cache
def hashed_path(path: str) -> str:
    """Return the path of a file below /static with the hash of its sent content in front of its suffix."""
    whole = PurePosixPath(path)
    return f"{whole.with_suffix('')}.{asset(path).tag}{whole.suffix}"


def find_hashed(path: str) -> tuple[Asset, bool] | None:
    """Return the asset at a path with a hash, and whether the hash is that of its content; None for another path.

    During an update another replica may have sent the page, and its hash is not known here: what this one has is a
    better answer than none, but not one to be kept.
    """
    found = HASHED.fullmatch(path)
    if found is None or (named := found["path"] + found["suffix"]) not in _referenced():
        return None
    one = asset(named)
    return one, found["hash"] == one.tag


@cache
def asset(path: str) -> Asset:
    """Return the sent form of a file below /static that a page names: the whole bundle for the playground's."""
    if path == MAIN:
        content = bundle_modules(path, read_page_file, f"./{PurePosixPath(hashed_path(LATER)).name}")
    elif path == LATER:
        content = bundle_later(MAIN, read_page_file)
    elif path == "playground/styles.css":
        content = bundle_styles(_style_sheets(), read_page_file)
    else:
        content = read_page_file(path)
    return Asset(content.encode(), MEDIA_TYPES[PurePosixPath(path).suffix])


@cache
def template(name: str) -> str:
    """Return the HTML of a page; its files are named by `hashed_path`, and one style sheet takes the place of many."""
    return REFERENCE.sub(lambda found: found[1] + hashed_path(found[2]), _merged(name))


@cache
def read_page_file(path: str) -> str:
    """Return the text of a file of the pages."""
    return (PAGES / path).read_text(encoding="utf-8")


def _merged(name: str) -> str:
    merged = '  <link rel="stylesheet" href="static/playground/styles.css">\n'
    return STYLE_SHEETS.sub(merged, read_page_file(name))


def _style_sheets() -> list[str]:
    """Return the paths of the playground's style sheets, in the order in which its page names them."""
    found = STYLE_SHEETS.search(read_page_file("playground.html"))
    return [path for _, path in REFERENCE.findall(found[0])] if found else []


@cache
def _referenced() -> frozenset[str]:
    """Return the paths of all files that a page or its script names."""
    pages = [each.name for each in PAGES.iterdir() if each.name.endswith(".html")]
    return frozenset((LATER, *(path for name in pages for _, path in REFERENCE.findall(_merged(name)))))
