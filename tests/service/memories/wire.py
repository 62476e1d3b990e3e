"""Memories over HTTP: requests that tests send, and what they expect of the answers."""

import json
import struct
from datetime import UTC, datetime

import numpy as np
import safetensors

from tests.service.safetensors.stored import NUMPY, SEND, saved

MEMORIES = "/v1/memories"

DTYPES = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": NUMPY["BF16"]}

MEMBERS = (
    "name", "version", "shape", "keys", "dtype", "layout", "bytes", "labels", "created", "modified", "expires",
    "ttl_seconds", "durability", "note", "shards",
)  # fmt: skip
"""Members of a description."""

HEROES = {
    "key": [[1.5, 0.25], [0.5, 1.0], [-0.5, 2.0]],
    "value": [[1.0], [2.0], [3.0]],
    "labels": {"key": ["射手", "打野", "中路"]},
    "note": "三个英雄",
}


MORE = {"key": [[7, 8], [9, 10]], "value": [[4], [5]], "labels": {"key": ["上路", "辅助"]}}
"""Keys that can be appended to those."""


async def put(client, name, document=HEROES, **headers):
    """Send a PUT; names of header fields are written with underscores."""
    fields = {field.replace("_", "-"): value for field, value in headers.items()}
    return await client.put(f"{MEMORIES}/{name}", json=document, headers=fields)


async def put_file(client, name, tensors, request=None):
    return await client.put(f"{MEMORIES}/{name}", content=saved(tensors, request or {}), headers=SEND)


async def described(client, name):
    """Return the description of a memory, after a look at its form and its entity tag."""
    answer = await client.get(f"{MEMORIES}/{name}")
    assert answer.status_code == 200, answer.text
    return checked(answer)


def checked(answer):
    """Return the description that an answer holds; fail unless its form is as documented."""
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert tuple(document) == MEMBERS
    assert answer.headers["etag"] == tag_of(document)
    for member in ("created", "modified", "expires"):
        if document[member] is not None:
            assert document[member].endswith("Z")
            assert datetime.fromisoformat(document[member]).tzinfo == UTC
    return document


def tag_of(document):
    return f'"{document["version"]}"'


async def download(client, name):
    """Return the metadata and the tensors of a memory, as the official library reads them."""
    answer = await client.get(f"{MEMORIES}/{name}/tensors")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.safetensors"
    assert int(answer.headers["content-length"]) == len(answer.content)
    return read_file(answer.content)


def read_file(content):
    """Return the JSON of `request` and the tensors of a file."""
    tensors = {
        name: np.frombuffer(bytes(one["data"]), NUMPY[one["dtype"]]).reshape(one["shape"])
        for name, one in safetensors.deserialize(content)
    }
    length = struct.unpack("<Q", content[:8])[0]
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    return json.loads(metadata["request"]), tensors
