"""/docs in a browser: Swagger UI shows the whole specification, its examples run, and it stays at home."""

import json
import re
from pathlib import Path

import httpx
import numpy as np
import pytest
import safetensors.numpy

from service.examples import IDS, load_examples
from service.schemas.base import Described
from service.schemas.models import NORMALIZER_SCHEMAS, SCORE_MODEL_SCHEMAS
from service.specification.examples import requests_to, worked_examples
from tests.browser.conftest import OpenPage
from tests.browser.swagger import Attention
from tests.compare import assert_close
from tests.server import Server

pytestmark = pytest.mark.browser

EXAMPLES = load_examples()

UNPROCESSABLE = "the server responded with a status of 422"
"""What chromium itself notes in the console."""


@pytest.fixture
def docs(server: Server) -> str:
    return f"{server.url}/docs"


@pytest.mark.soak
async def test_the_playground_leads_to_every_operation_of_the_specification_and_back(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient
) -> None:
    recorded = await open_page(f"{server.url}/playground")
    await recorded.page.locator("#docs").click()
    await recorded.page.locator(".opblock").first.wait_for()
    assert recorded.page.url == f"{server.url}/docs"
    assert await recorded.page.title() == "Attention as a service · 注意力即服务"
    listed = await recorded.page.locator(".opblock-summary").evaluate_all(
        "all => all.map(one => [one.querySelector('.opblock-summary-method').textContent.toLowerCase(),"
        " one.querySelector('.opblock-summary-path').dataset.path])"
    )
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert sorted(map(tuple, listed)) == sorted((method, path) for path in paths for method in paths[path])
    await recorded.page.get_by_role("link", name="Playground").click()
    await recorded.page.locator("#results").wait_for()
    assert recorded.page.url == f"{server.url}/playground"
    await recorded.assert_clean()


@pytest.mark.soak
async def test_every_worked_example_is_offered_and_runs_in_a_page_that_fits(open_page: OpenPage, docs: str) -> None:
    recorded = await open_page(docs)
    attention = Attention(recorded.page)
    await attention.open()
    options = attention.examples.locator("option")
    offered = worked_examples() | requests_to("attend")
    assert [name for name in offered if name in IDS] == list(IDS)
    assert await options.evaluate_all("all => all.map(one => one.value)") == list(offered)
    assert await options.all_inner_texts() == [one["summary"] for one in offered.values()]
    for name in reversed(offered):
        await attention.examples.select_option(name)
        assert await attention.body() == offered[name]["value"], name

    # The first of them is the one that is selected last, and shown one row of a matrix a line.
    assert "\n    [1.9, 1.5, 1, 0.3],\n" in await attention.editor.input_value()
    assert await attention.execute() == 200
    shown = await attention.answer.locator(".highlight-code pre").inner_text()
    # 1.6 with rounding after each product, one step less where a kernel fuses it with the sum.
    assert re.search(r"\n    \[3\.15, 1\.(6|5999999999999999), 1\.2, 0\.5\]\n", shown)
    assert "\n    [0.70166907360510" in shown
    for name in ("honor-of-kings", "additive"):
        await attention.examples.select_option(name)
        assert await attention.execute() == 200
        answered = await attention.answered()
        for field, expected in EXAMPLES[name].expected.items():
            assert_close(answered[field], expected, EXAMPLES[name].tolerance)
    await recorded.assert_fits()
    await recorded.assert_clean()


@pytest.mark.soak
async def test_what_a_person_types_is_sent_as_typed_and_a_wrong_request_is_answered_with_a_problem(
    open_page: OpenPage, docs: str
) -> None:
    recorded = await open_page(docs)
    attention = Attention(recorded.page)
    await attention.open()
    typed = '{"query": [[\n  1\n]], "key": [[1],\n[2]], "include": ["weights"]}'
    await attention.editor.fill(typed)
    assert await attention.execute() == 200
    assert await attention.editor.input_value() == typed
    assert set(await attention.answered()) == {"weights", "score_model", "normalizer", "dtype", "notes"}

    await attention.editor.fill('{"query": [[1, 2]], "key": [[1, 2, 3]]}')
    assert await attention.execute() == 422
    assert "content-type: application/problem+json" in await attention.answer_headers()
    answered = await attention.answered()
    assert (answered["type"], answered["status"]) == ("/problems/shape-mismatch", 422)
    await recorded.assert_clean(UNPROCESSABLE)


@pytest.mark.soak
async def test_a_memory_is_put_and_then_queried_as_its_description_says(
    open_page: OpenPage, docs: str, client: httpx.AsyncClient
) -> None:
    await client.delete("/v1/memories/heroes")
    recorded = await open_page(docs)
    page = recorded.page
    putting = page.locator("#operations-memories-put_memory")
    await putting.locator(".opblock-summary-control").click()
    # In English and in Chinese.
    shown = putting.locator(".opblock-description code").filter(has_text='"memory": "heroes"')
    query, again = await shown.all_inner_texts()
    assert query == again
    for status in (201, 200):
        async with page.expect_response("**/v1/memories/heroes") as answered:
            await putting.get_by_role("button", name="Execute").click()
        assert (await answered.value).status == status

    attention = Attention(page)
    await attention.open()
    await attention.editor.fill(query)
    assert await attention.execute() == 200
    assert (await attention.answered())["memory"]["name"] == "heroes"
    await recorded.assert_clean()


@pytest.mark.soak
async def test_unions_show_each_member_with_text_formula_and_example_and_fit(open_page: OpenPage, docs: str) -> None:
    recorded = await open_page(docs)
    attention = Attention(recorded.page)
    await attention.open()
    await attention.open_schema()
    for field, members in (("score_model", SCORE_MODEL_SCHEMAS), ("normalizer", NORMALIZER_SCHEMAS)):
        union = await attention.schema_of(field)
        for member in members:
            article = union.locator("article").filter(has_text=member.core.description.summary.en).last
            assert_explains(await article.inner_text(), member)
    box = attention.request_body.locator(".model-container")
    assert await box.evaluate("box => box.scrollWidth <= box.clientWidth"), "lines are cut off"
    await recorded.assert_fits()
    await recorded.assert_clean()


@pytest.mark.soak
async def test_members_of_unions_have_names_and_no_numbers(open_page: OpenPage, docs: str) -> None:
    recorded = await open_page(docs)
    attention = Attention(recorded.page)
    await attention.open()
    await attention.open_schema()
    for field, member in (("softcap", "number"), ("memory", "MemoryReference")):
        union = await attention.schema_of(field)
        titles = await union.locator(".json-schema-2020-12__title").all_inner_texts()
        assert {member, "none"} <= set(titles)
        assert not [title for title in titles if re.match("#[0-9]", title)]
    await recorded.assert_clean()


@pytest.mark.soak
async def test_a_service_without_keys_shows_no_padlock_and_every_part_of_a_path_has_a_value(
    open_page: OpenPage, docs: str, client: httpx.AsyncClient
) -> None:
    document = (await client.get("/openapi.json")).json()
    in_paths = [
        parameter
        for methods in document["paths"].values()
        for operation in methods.values()
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "path"
    ]
    assert in_paths
    assert [one["name"] for one in in_paths if not one.get("example") and not one.get("examples")] == []

    recorded = await open_page(docs)
    panel = recorded.page.locator("#operations-catalogue-get_example")
    await panel.locator(".opblock-summary-control").click()
    assert await panel.get_by_placeholder("id").input_value() == "honor-of-kings"
    async with recorded.page.expect_response("**/v1/examples/honor-of-kings") as answered:
        await panel.get_by_role("button", name="Execute").click()
    assert (await answered.value).status == 200
    assert await recorded.page.locator(".authorize, .authorization__btn").count() == 0
    await recorded.assert_clean()


@pytest.mark.soak
async def test_a_stream_of_events_and_a_file_of_tensors_run(open_page: OpenPage, docs: str, tmp_path: Path) -> None:
    recorded = await open_page(docs)
    attention = Attention(recorded.page)
    await attention.open()
    await attention.panel.locator(".responses-wrapper .content-type").first.select_option("text/event-stream")
    assert await attention.execute() == 200
    assert "event: result" in await attention.answer.inner_text()

    file = tmp_path / "request.safetensors"
    file.write_bytes(safetensors.numpy.save({name: np.eye(2) for name in ("query", "key", "value")}))
    await attention.panel.locator(".responses-wrapper .content-type").first.select_option("application/json")
    await attention.request_body.locator(".content-type").select_option("application/vnd.safetensors")
    await attention.request_body.locator("input[type=file]").set_input_files(file)
    assert await attention.execute() == 200
    assert (await attention.answered())["weights"][0][0] > 0.5
    await recorded.assert_clean()


def assert_explains(shown: str, member: type[Described]) -> None:
    about = member.core.description
    for text in (about.title.zh, about.title.en, about.summary.zh, about.summary.en, about.plain):
        assert text in shown
    example = shown[shown.rindex("Examples") :]
    for name, value in {"name": member.core.name, **about.example}.items():
        # A list is shown as a tree of its own, and so is an object, whose members stand in lines of their own.
        if isinstance(value, dict):
            assert name in example
            for inner, number in value.items():
                assert inner + json.dumps(number) in example
        else:
            assert (name if isinstance(value, list) else name + json.dumps(value)) in example
