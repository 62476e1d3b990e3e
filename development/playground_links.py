"""Links to the playground that hold the request of a snippet, for pages that show a calculation step by step.

A page has the markers ``generated: playground 1`` and ``end: playground 1`` behind its first request, and so on;
`development.generate` writes the link between them, so that it always opens what the snippet sends.
"""

import base64
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from development.tables import Language
from service.examples import Example, load_examples

ROOT = Path(__file__).parent.parent
PLAYGROUND = "http://127.0.0.1:8000/playground"
"""Address of the playground in the pages; the site turns it into that of the service which shows the page."""

WORDS: Mapping[Language, str] = {"en": "Open this step in the playground", "zh": "在演练场中打开这一步"}
REQUEST = re.compile(r"^```bash request\n(.*?)^```$", re.MULTILINE | re.DOTALL)
AXES = ("query", "key", "feature", "value")
MAX_STORED_BYTES = 0xFFFF


def playground_link(path: str, number: int, language: Language) -> list[str]:
    """Return the lines of Markdown with the link to one request of a page.

    Raises ValueError for a page with fewer requests.

    :param path: the page, relative to the root.
    :param number: which of its requests, from 1.
    """
    requests = REQUEST.findall((ROOT / path).read_text(encoding="utf-8"))
    if not 1 <= number <= len(requests):
        raise ValueError(f"{path}: expected a request number {number}; the page has {len(requests)}")
    words = shlex.split(requests[number - 1])
    request = json.loads(words[words.index("-d") + 1])
    return [f"[{WORDS[language]}]({PLAYGROUND}{fragment(state_of(request))})"]


def state_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a link, in the form that the playground writes, without its defaults."""
    examples = list(load_examples().values())
    same = [one for one in examples if _content(one.request) == _content(request)]
    named = next((one for one in [*same, *examples] if one.request["key"] == request["key"]), None)
    document = {
        "e": same[0].id if same else None,
        "q": [request["query"]],
        "k": [request["key"]],
        "v": [request["value"]] if "value" in request else None,
        "n": _names(named),
        "s": _choice(request.get("score_model", "scaled_dot_product")),
        "w": _choice(request.get("normalizer", "softmax")),
    }
    mask = request.get("mask")
    return document if mask is None else {**document, "m": _mask(mask, len(request["query"]))}


def fragment(document: Mapping[str, Any]) -> str:
    """Return a document as the fragment of a link.

    It is stored without compression, as deflate allows (RFC 1951, 3.2.4): compressed bytes depend on the version of
    zlib.

    Raises ValueError for a document that is longer than one stored block.
    """
    content = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    if len(content) > MAX_STORED_BYTES:
        raise ValueError(f"expected a document of at most {MAX_STORED_BYTES} bytes; received {len(content)}")
    size = len(content).to_bytes(2, "little")
    stored = b"\x01" + size + bytes(byte ^ 0xFF for byte in size) + content
    return "#2." + base64.urlsafe_b64encode(stored).decode().rstrip("=")


def _content(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a request computes with: all but its labels and the fields of its answer."""
    return {name: value for name, value in request.items() if name not in ("labels", "include", "decimals")}


def _choice(choice: Any) -> list[Any]:
    """Return a score model or normalizer as its name and its parameters."""
    given = {"name": choice} if isinstance(choice, str) else dict(choice)
    return [given.pop("name"), given]


def _mask(mask: Mapping[str, Any], queries: int) -> dict[str, Any]:
    """Return a mask of one row of booleans for every query; raises ValueError for any other."""
    allowed = mask.get("allowed")
    if len(mask) != 1 or not isinstance(allowed, list) or not all(isinstance(one, bool) for one in allowed):
        raise ValueError(f"expected a mask of booleans, one for each key; received {mask}")
    rows = [list(allowed) for _ in range(queries)]
    return {"kind": "custom", "offset": None, "left": 1, "right": 0, "lengths": [], "allowed": rows}


def _names(example: Example | None) -> dict[str, list[dict[str, str]]]:
    """Return the names of each axis in both languages, of the worked example with the same keys."""
    names = (example and example.names) or {"en": {}, "zh": {}}
    return {
        axis: [
            {"zh": zh, "en": en} for zh, en in zip(names["zh"].get(axis, []), names["en"].get(axis, []), strict=True)
        ]
        for axis in AXES
    }
