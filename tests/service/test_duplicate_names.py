"""A name that comes twice in an object is a 400 that says which and where, in every document that is JSON."""

import json
import struct
from typing import Any

import httpx
import pytest

from tests.service.open_inference.inference import frame
from tests.service.specification import ANSWERING
from tests.service.wrong_merges import PART
from tests.service.wrong_requests import BASE

ATTENTION = "/v1/attention"
INFER = "/v2/models/scaled_dot_product/infer"
SAFETENSORS = {"Content-Type": "application/vnd.safetensors"}

VECTORS = [{"name": name, "shape": [1, 2], "datatype": "FP32", "data": [1, 2]} for name in ("query", "key", "value")]

QUESTIONS: dict[str, dict[str, Any]] = {
    "/v1/attention": BASE,
    "/v1/attention/estimate": BASE,
    "/v1/attention/explain": {"request": BASE, "index": [], "query_index": 0, "key_index": 0},
    "/v1/attention/compare": {"base": BASE, "variants": [{"label": "a", "overrides": {"softcap": 2}}]},
    "/v1/attention/check": {"request": BASE, "candidate": {"logsumexp": [0, 0]}},
    "/v1/attention/merge": {"partials": [PART]},
    "/v2/models/{model}/infer": {"inputs": VECTORS},
}
for _label, _body in ANSWERING.items():
    # A newer endpoint is asked its first documented example.
    QUESTIONS.setdefault(_label.removeprefix("POST "), next(iter(_body["examples"].values()))["value"])


def objects_in(document: Any, path: str = "") -> list[str]:
    """The JSON Pointers of the objects in a document."""
    if isinstance(document, dict):
        return [path, *(place for name, item in document.items() for place in objects_in(item, f"{path}/{name}"))]
    if isinstance(document, list):
        return [place for index, item in enumerate(document) for place in objects_in(item, f"{path}/{index}")]
    return []


def doubled(document: Any, place: str, escape: bool, path: str = "") -> str:
    """The document with the first member of the object at a place once more at its end."""
    if isinstance(document, list):
        return f"[{','.join(doubled(item, place, escape, f'{path}/{index}') for index, item in enumerate(document))}]"
    if not isinstance(document, dict):
        return json.dumps(document)
    members = [(json.dumps(name), doubled(item, place, escape, f"{path}/{name}")) for name, item in document.items()]
    if path == place:
        name = next(iter(document))
        members.append((f'"\\u{ord(name[0]):04x}{name[1:]}"' if escape else json.dumps(name), members[0][1]))
    return "{" + ",".join(f"{name}:{item}" for name, item in members) + "}"


def assert_refused(response: httpx.Response, name: str, place: str) -> None:
    assert response.status_code == 400, response.text
    problem = response.json()
    assert problem["type"] == "/problems/malformed-body"
    assert f"received '{name}' twice" in problem["detail"]
    assert f"at {place}. " in problem["detail"]


def test_every_document_is_asked_about():
    assert {f"POST {path}" for path in QUESTIONS} == set(ANSWERING)


@pytest.mark.parametrize("path", [call.removeprefix("POST ") for call in ANSWERING])
@pytest.mark.parametrize("escape", [False, True], ids=["as it is", "escaped"])
async def test_a_name_twice_in_any_object_is_refused(client, path, escape):
    document, url = QUESTIONS[path], path.format(model="scaled_dot_product")
    assert (await client.post(url, json=document)).status_code == 200
    for place in objects_in(document):
        body = doubled(document, place, escape)
        inside: Any = document
        for step in place.split("/")[1:]:
            inside = inside[int(step)] if isinstance(inside, list) else inside[step]
        first = next(iter(inside))
        for padding in ("", " " * 5000):
            response = await client.post(url, content=body + padding)
            assert_refused(response, first, f"{place}/{first}")


NAMES_TWICE = {
    "the last would win": ('{"query":[[1]],"key":[[1]],"value":[[1]],"softcap":1,"softcap":null}', "/softcap"),
    "an array, cut or not": (
        f'{{"query":[[1]],"key":{[[0.5]] * 2000},"value":{[[0.5]] * 2000},"key":[[1]]}}', "/key"),
    "two arrays": (f'{{"query":[[1]],"key":{[[0.5]] * 2000},"key":{[[0.25]] * 2000}}}', "/key"),
    "in a part that the schema refuses": ('{"mask":[[[{"causal":true,"causal":false}]]]}', "/mask/0/0/0/causal"),
    "beside a number beyond float64": ('{"query":[[1e400]],"query":[[1]]}', "/query"),
    "quotes, escapes and colons in strings": (
        r'{"labels":{"query":["a\":\\",":","\\\":"]},"labels":null,"query":[[1]]}', "/labels"),
    "a slash and a tilde": ('{"a/~":{"b":1,"b":2}}', "/a~1~0/b"),
    "an empty name": ('{"":1,"":2}', "/"),
    "characters beyond ASCII": ('{"键":1,"\\u952e":2}', "/键"),
    "characters beyond the first plane": ('{"𝑘":1,"\\ud835\\udc58":2}', "/𝑘"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "place"), NAMES_TWICE.values(), ids=NAMES_TWICE)
async def test_wherever_it_stands_and_however_it_is_spelt(client, body, place):
    response = await client.post(ATTENTION, content=body.encode())
    name = place.rpartition("/")[2]
    assert_refused(response, name, place)


async def test_colons_and_names_in_strings_are_no_members(client):
    labels = {"query": ['"query":', "::::"], "key": [":", "\\", '\\":']}
    request = {"query": [[1, 2]] * 2, "key": [[1, 2]] * 3, "value": [[1]] * 3, "labels": labels, "include": ["ranking"]}
    for padding in ("", " " * 5000):
        response = await client.post(ATTENTION, content=json.dumps(request) + padding)
        assert response.status_code == 200, response.text
        assert [one["label"] for one in response.json()["ranking"][0]] == labels["key"]


async def test_the_same_name_in_different_objects_is_right(client):
    variants = [{"label": "a", "overrides": {"softcap": 2}}, {"label": "b", "overrides": {"softcap": 3}}]
    response = await client.post("/v1/attention/compare", json={"base": BASE, "variants": variants})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("parameters", "name", "place"),
    [
        ('{"causal":true,"causal":false}', "causal", "/parameters/causal"),
        (json.dumps({"options": '{"softcap":1,"softcap":2}'}), "softcap", "/softcap"),
        (json.dumps({"options": '{"mask":{"causal":true,"c\\u0061usal":false}}'}), "causal", "/mask/causal"),
    ],
)
async def test_in_an_inference_and_in_the_options_it_carries(client, parameters, name, place):
    body = f'{{"inputs":{json.dumps(VECTORS)},"parameters":{parameters}}}'
    for padding in ("", " " * 5000):
        response = await client.post(INFER, content=body + padding)
        assert_refused(response, name, place)
        assert ("/parameters/options" in response.json()["detail"]) == ("options" in parameters)


@pytest.mark.parametrize("padding", ["", " " * 5000])
async def test_in_an_inference_with_raw_tensors_or_a_bare_nan(client, padding):
    raw = struct.pack("2f", 1, 2)
    inputs = [
        {k: v for k, v in one.items() if k != "data"} | {"parameters": {"binary_data_size": 8}} for one in VECTORS
    ]
    content, headers = frame({"id": "1", "inputs": inputs}, raw, raw, raw)
    assert (await client.post(INFER, content=content, headers=headers)).status_code == 200
    head = json.dumps({"id": "1", "inputs": inputs})[:-1] + f',"id":"2"{padding}}}'
    headers = {next(iter(headers)): str(len(head))}
    assert_refused(await client.post(INFER, content=head.encode() + raw * 3, headers=headers), "id", "/id")
    body = json.dumps({"inputs": VECTORS}).replace("[1, 2], ", "[1, 2],", 1).replace("1, 2]}", "1, NaN]}", 1)
    assert "NaN" in body
    assert (await client.post(INFER, content=body)).status_code == 200
    body = f'{{"id":"1",{body[1:-1]},"id":"2"{padding}}}'
    assert_refused(await client.post(INFER, content=body), "id", "/id")


@pytest.mark.parametrize(
    ("metadata", "name", "place", "within"),
    [
        ({"request": '{"softcap":1,"softcap":2}'}, "softcap", "/softcap", "request in the metadata"),
        ({"request": '{"mask":{"causal":true,"causal":true}}'}, "causal", "/mask/causal", "request in the metadata"),
        ('{"request":"{}","request":"{}"}', "request", "/__metadata__/request", "header of the safetensors file"),
    ],
)
async def test_in_a_safetensors_file_and_in_the_request_it_carries(client, metadata, name, place, within):
    entry = json.dumps({"dtype": "F64", "shape": [1, 1], "data_offsets": [0, 8]})
    text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    header = f'{{"__metadata__":{text},"query":{entry}}}'.encode()
    content = len(header).to_bytes(8, "little") + header + bytes(8)
    response = await client.post(ATTENTION, content=content, headers=SAFETENSORS)
    assert_refused(response, name, place)
    assert within in response.json()["detail"]
