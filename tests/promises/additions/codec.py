"""A representation in lines of JSON, each an object with members of the document, both ways."""

from development.generate import pages_of
from tests.promises.additions import Addition
from tests.promises.tree import Edit

CODEC = '''\
"""Documents as lines of JSON, each an object with some of their members."""

from typing import Any

from service.codecs import json
from service.codecs.codec import Codec
from service.errors import MalformedBody
from service.schemas.base import Text
from service.settings import Settings


def decode(body: bytes, settings: Settings) -> dict[str, Any]:
    """Return the document that the lines spell out together; raises MalformedBody."""
    document: dict[str, Any] = {}
    for line in body.splitlines():
        members = json.decode(line, settings.max_json_depth)
        if not isinstance(members, dict):
            raise MalformedBody("expected an object in each line; received something else. Send one field a line.")
        document |= members
    return document


def encode(document: dict[str, Any]) -> bytes:
    """Return one line for each member."""
    return b"".join(json.encode({name: value}) + b"\\n" for name, value in document.items())


CODEC = Codec(
    media_type="application/x-ndjson",
    suffix=".ndjson",
    title=Text("JSON 行", "JSON lines"),
    body=Text("每行一个字段的 JSON。", "JSON with one field a line."),
    answer=Text("每行一个字段的 JSON。", "JSON with one field a line."),
    decode=decode,
    encode=encode,
    all_json=True,
)
'''

PROOF = """
import asyncio
import json

import httpx

from service.main import create_app
from service.settings import Settings

TYPE = "application/x-ndjson"
LINES = b'{"query": [[1.0, 0.0]]}\\n{"key": [[1.0, 0.0], [0.0, 1.0]]}\\n{"score_model": "dot_product"}\\n'


async def main() -> None:
    transport = httpx.ASGITransport(app=create_app(Settings(max_json_bytes=300)))
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        answer = await client.post("/v1/attention", content=LINES, headers={"Content-Type": TYPE, "Accept": TYPE})
        assert answer.headers["content-type"] == TYPE, answer.text
        members = [json.loads(line) for line in answer.text.splitlines()]
        assert {"scores": [[1.0, 0.0]]} in members, members
        long = LINES + b" " * 300
        assert (await client.post("/v1/attention", content=long, headers={"Content-Type": TYPE})).status_code == 413
        counted = (await client.get("/metrics")).text
        [received] = [line for line in counted.splitlines() if f'direction="in",media_type="{TYPE}"' in line]
        assert float(received.split()[-1]) == len(LINES), received


asyncio.run(main())
"""

ADDITION = Addition(
    edits=(
        Edit("service/codecs/lines.py", CODEC),
        Edit(
            "service/codecs/registry.py",
            "from service.codecs.lines import CODEC as LINES_CODEC\n",
            before="from service.codecs.safetensors.codec",
        ),
        Edit("service/codecs/registry.py", "    LINES_CODEC,\n", before=")\n\nCODECS"),
    ),
    max_files=2,
    generated=(*pages_of("problems", "representations"), "openapi/openapi.json"),
    proof=PROOF,
    tests=(
        "tests/promises/test_generated.py",
        "tests/promises/test_representations.py",
        "tests/service/test_specification.py::test_the_file_is_what_the_command_prints",
        "tests/service/test_specification.py::test_it_is_valid_openapi",
    ),
)
