"""Links to the playground: the state of the page in the fragment."""

import base64
import json
import zlib
from typing import Any


def fragment(document: Any) -> str:
    """Write a link as the page does."""
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(json.dumps(document).encode()) + packer.flush()
    return "#1." + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read(link: str) -> Any:
    """Read a link as the page does."""
    letters = link.partition("#1.")[2]
    return json.loads(zlib.decompress(base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4)), wbits=-15))
