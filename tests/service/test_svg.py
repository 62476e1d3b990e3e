"""The picture over HTTP: asked for with Accept, drawn from the same numbers as JSON, refused like everything else."""

import re
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from attention_heat_map.viridis import VIRIDIS
from service.examples import IDS, load_examples
from tests.nested import exchange
from tests.oracle import shape
from tests.service.command_line.command import HONOR

SVG = "{http://www.w3.org/2000/svg}"
MEDIA_TYPE = "image/svg+xml"
EXAMPLES = load_examples()


async def picture(client: httpx.AsyncClient, request: Any) -> ET.Element:
    response = await client.post("/v1/attention", json=request, headers={"Accept": MEDIA_TYPE})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    return ET.fromstring(response.content)


def panels(root: ET.Element) -> list[ET.Element]:
    return [group for group in root.iter(f"{SVG}g") if group.get("class") == "panel"]


def fills(panel: ET.Element) -> list[str]:
    return [rectangle.get("fill", "") for rectangle in panel.iter(f"{SVG}rect")]


def texts(root: ET.Element) -> list[str]:
    return [text.text or "" for text in root.iter(f"{SVG}text")]


def matrices(nested: Any) -> list[Any]:
    return [nested] if len(shape(nested)) == 2 else [matrix for part in nested for matrix in matrices(part)]


def expected_fill(weight: Any, logit: Any) -> str:
    if logit is None:
        return "url(#attention-masked)"
    if weight == "NaN":
        return "url(#attention-nan)"
    return VIRIDIS[min(max(int(float(weight) * 256), 0), 255)]


HEADS = {
    "query": [
        [[[1, 0], [0, 1]], [[2, 1], [1, 1]], [[0, 1], [3, 1]]],
        [[[1, 2], [0, 1]], [[2, 1], [2, 1]], [[0, 4], [3, 1]]],
    ],
    "key": [[[[1, 0], [0, 1], [1, 1]]], [[[1, 2], [0, 1], [0, 1]]]],
    "mask": {"causal": True, "key_lengths": [2, 3]},
}
PICTURES = {
    **{name: EXAMPLES[name].request for name in IDS},
    "six panels": HEADS,
    "beyond the scale": {**HEADS, "score_model": "dot_product", "normalizer": "none"},
    "NaN": {"query": [[1e200], [1]], "key": [[1e200], [-1e200], [0]], "score_model": "dot_product"},
    "float32": {**HEADS, "dtype": "float32"},
    "minus infinity as bias": {"query": [[1]], "key": [[1], [2]], "bias": [[None, 0]]},
}


@pytest.mark.parametrize("name", PICTURES)
async def test_the_picture_shows_the_numbers_of_the_json_answer(client: httpx.AsyncClient, name: str) -> None:
    request = PICTURES[name]
    answer = (await client.post("/v1/attention", json={**request, "include": ["weights", "logits"]})).json()
    drawn = panels(await picture(client, request))
    weights, logits = matrices(answer["weights"]), matrices(answer["logits"])
    assert len(drawn) == len(weights)
    for panel, rows, seen in zip(drawn, weights, logits, strict=True):
        cells = [(rows[i][j], seen[i][j]) for i in range(len(rows)) for j in range(len(rows[i]))]
        assert fills(panel) == [expected_fill(weight, logit) for weight, logit in cells]


MEANS: dict[str, dict[str, Any]] = {
    "heads": HEADS,
    "heads by length": HEADS | {name: exchange(HEADS[name]) for name in ("query", "key")} | {"layout": "bshd"},
    "packed": {"query": [[[1, 0, 2, 1], [0, 1, 1, 3]]], "key": [[[1, 0], [2, 1], [0, 1]]],
               "labels": {"key": list("abc")}, "heads": {"query": 2, "key_value": 1}},
    "a key that one head sees": {
        "query": [[[[1, 0], [0, 1]], [[2, 1], [1, 1]]]], "key": [[[[1, 0], [0, 1], [1, 1]]]],
        "mask": {"allowed": [[[True, False, False], [False] * 3], [[True, True, False], [False] * 3]]},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", MEANS)
async def test_the_picture_is_that_of_the_mean_where_it_is_asked_for(client: httpx.AsyncClient, name: str) -> None:
    request = MEANS[name] | {"include": ["mean_weights", "logits"]}
    answer = (await client.post("/v1/attention", json=request)).json()
    root = await picture(client, request)
    drawn = panels(root)
    assert len(drawn) == len(answer["mean_weights"]) < len(panels(await picture(client, MEANS[name])))
    for batch, panel in enumerate(drawn):
        heads = answer["logits"][batch]
        rows = answer["mean_weights"][batch]
        seen = [any(head[i][j] is not None for head in heads) for i in range(len(rows)) for j in range(len(rows[0]))]
        weights = [weight for row in rows for weight in row]
        assert fills(panel) == [
            expected_fill(weight, 0 if visible else None) for weight, visible in zip(weights, seen, strict=True)
        ]
    assert any("mean over heads · 各头平均" in line for line in texts(root))


async def test_a_mean_without_heads_draws_no_picture(client: httpx.AsyncClient) -> None:
    request = {"query": [[1]], "key": [[1]], "include": ["mean_weights"]}
    response = await client.post("/v1/attention", json=request, headers={"Accept": "image/svg+xml"})
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/include/0"


@pytest.mark.parametrize("include", [[], ["scores"], ["output"], None])
async def test_what_is_included_changes_nothing_in_a_picture(client: httpx.AsyncClient, include: Any) -> None:
    plain = await picture(client, HONOR)
    assert ET.tostring(await picture(client, {**HONOR, "include": include})) == ET.tostring(plain)


async def test_labels_models_and_notes_are_in_the_picture(client: httpx.AsyncClient) -> None:
    hidden = [[True] * 4, [False] * 4]
    request = {**HONOR, "normalizer": "sparsemax", "score_model": "dot_product", "mask": {"allowed": hidden}}
    shown = texts(await picture(client, request))
    assert {"团战", "drake", "射手", "jungler 打野", "中路", "上路"} <= set(shown)
    assert any("dot_product · sparsemax" in text for text in shown)
    assert "row 1: no visible key; weights and output are zero" in shown


@pytest.mark.parametrize(
    ("accept", "expected"),
    [(MEDIA_TYPE, MEDIA_TYPE), ("image/*", MEDIA_TYPE), ("IMAGE/SVG+XML", MEDIA_TYPE), ("*/*", "application/json"),
     ("", "application/json"), ("application/json, image/svg+xml", "application/json"),
     ("application/json;q=0.5, image/svg+xml", MEDIA_TYPE), ("image/svg+xml;q=0.5, */*;q=0.1", MEDIA_TYPE),
     ("image/svg+xml;q=0.2, application/*;q=0.3", "application/json"), ("text/html, image/svg+xml;q=0.9", MEDIA_TYPE),
     ("image/svg+xml;q=0, */*", "application/json"), ("application/json;q=0, image/*", MEDIA_TYPE)],
)  # fmt: skip
async def test_accept_decides(client: httpx.AsyncClient, accept: str, expected: str) -> None:
    response = await client.post("/v1/attention", json=HONOR, headers={"Accept": accept})
    assert response.status_code == 200
    assert response.headers["content-type"] == expected


@pytest.mark.parametrize("accept", ["image/png", "image/svg+xml;q=0", "text/html"])
async def test_nothing_acceptable_is_a_406_that_offers_both(client: httpx.AsyncClient, accept: str) -> None:
    response = await client.post("/v1/attention", json=HONOR, headers={"Accept": accept})
    assert response.status_code == 406
    assert {"application/json", MEDIA_TYPE} <= set(re.split("[ ,;]+", response.json()["detail"]))


@pytest.mark.parametrize("call", ["estimate", "explain", "compare", "check"])
async def test_other_calls_draw_no_pictures(client: httpx.AsyncClient, call: str) -> None:
    response = await client.post(f"/v1/attention/{call}", json=HONOR, headers={"Accept": MEDIA_TYPE})
    assert response.status_code == 406


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b'{"query": [[1]], "key": [[1, 2]]}', 422), (b'{"query": [[1]], "key": [[1]], "valeu": 1}', 422)],
)
async def test_errors_are_problem_documents_whatever_accept_says(
    client: httpx.AsyncClient, body: bytes, status: int
) -> None:
    response = await client.post("/v1/attention", content=body, headers={"Accept": MEDIA_TYPE})
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"].startswith("/problems/")


@pytest.mark.parametrize(("queries", "keys", "status"), [(256, 2, 200), (257, 2, 413), (2, 256, 200), (2, 257, 413)])
async def test_a_picture_that_nobody_could_read_is_a_413(
    client: httpx.AsyncClient, queries: int, keys: int, status: int
) -> None:
    request = {"query": [[1]] * queries, "key": [[1]] * keys}
    response = await client.post("/v1/attention", json=request, headers={"Accept": MEDIA_TYPE})
    assert response.status_code == status
    if status == 413:
        assert response.json()["type"] == "/problems/too-large"
        for number in ("256", str(queries), str(keys)):
            assert number in response.json()["detail"]
    assert (await client.post("/v1/attention", json=request)).status_code == 200


async def test_labels_are_text_never_markup(client: httpx.AsyncClient) -> None:
    label = "</text><script>alert(1)</script><img src=x onerror=alert(1)>]]>&\"'\0"
    labels = {"query": [label, "drake"], "key": [label, "b", "c", "d"]}
    root = await picture(client, {**HONOR, "labels": labels})
    assert not [each.tag for each in root.iter() if "script" in each.tag or "img" in each.tag]
    full = [each.text for each in root.iter(f"{SVG}title") if (each.text or "") == label.replace("\0", "\ufffd")]
    assert len(full) == 2


async def test_a_large_picture_stays_small_enough(client: httpx.AsyncClient) -> None:
    rows = [[(7 * i * j) % 11 - 5] for i in range(16) for j in range(8)]
    request = {"query": rows, "key": rows, "normalizer": "sigmoid", "mask": {"causal": True}}
    response = await client.post("/v1/attention", json=request, headers={"Accept": MEDIA_TYPE})
    assert response.status_code == 200
    assert len(response.content) < 2_000_000
    assert {path.get("class") for path in panels(ET.fromstring(response.content))[0].iter(f"{SVG}path")} == {
        "weight",
        "masked",
    }
