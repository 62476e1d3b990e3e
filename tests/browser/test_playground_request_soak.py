"""The request as code, over every score model, normalizer, mask and function of formulas, in every language."""

import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from attention_core.formulas.language import LANGUAGE, Entry
from tests.browser.conftest import OpenPage
from tests.browser.playground import opened
from tests.browser.snippets.cases import BASE, MASKS, Request, requests
from tests.browser.snippets.judge import BASH, NODE, assert_programs_right, assert_right, output_of, run, written
from tests.browser.test_playground_request import OPENING, shown
from tests.server import Server, running_server

pytestmark = [pytest.mark.browser, pytest.mark.soak]

KEY = "first-key-4711"

PARAMETERS: dict[str, Any] = {
    "W": np.eye(4).tolist(),
    "v": [1, -1],
    "slope": [0.5, 0.25, 2, 1],
    "doc": [0, 0, 1, 1, 1],
    "lengths": [3],
}
"""What the examples of the language name, of sizes that fit `BASE`."""


def one_of_each_pair(first: int) -> dict[str, Request]:
    """Return every score model with every normalizer, each under one mask, with another `first` under another."""
    listed = list(requests())
    return dict(one for at, one in enumerate(listed) if at % len(MASKS) == (at // len(MASKS) + first) % len(MASKS))


async def test_every_score_model_and_normalizer_is_right_in_numpy(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await opened(open_page, server.url)
    for first in (0, 4, 8):
        await assert_programs_right(recorded.page, "numpy", one_of_each_pair(first), server.url, sys.executable)


@pytest.mark.parametrize(
    ("form", "backend", "first"), [("pytorch", "torch", 1), ("keras", "torch", 2), ("keras", "jax", 3)]
)
async def test_every_score_model_and_normalizer_is_right_in_other_libraries(
    open_page: OpenPage, server: Server, project: Path, form: str, backend: str, first: int
) -> None:
    """They run in the environment of the libraries that the tests compare with."""
    recorded, _ = await opened(open_page, server.url)
    python = project / ".venv-peers" / "bin" / "python"
    asked = one_of_each_pair(first)
    await assert_programs_right(recorded.page, form, asked, server.url, python, KERAS_BACKEND=backend)


@pytest.mark.npm
async def test_every_pair_is_asked_by_curl_javascript_and_the_client(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient
) -> None:
    recorded, _ = await opened(open_page, server.url)
    asked = one_of_each_pair(5)
    await assert_programs_right(recorded.page, "client", asked, server.url, sys.executable)
    answers = {name: (await client.post("/v1/attention", json=request)).json() for name, request in asked.items()}
    for form, command, step in (("curl", BASH, 1), ("javascript", NODE, 15)):
        texts = await written(recorded.page, form, list(asked.values()), server.url)
        programs = [text["code"] for text in texts[::step]]
        # Scripts of bash may follow each other; a program of JavaScript is a whole.
        printed = "".join(map(partial(output_of, command), ["".join(programs)] if form == "curl" else programs))
        for name in list(asked)[::step]:
            received, end = json.JSONDecoder().raw_decode(printed)
            assert received == answers[name], name
            printed = printed[end:].lstrip()
        assert printed == ""


def fields_with(entry: Entry) -> Request:
    """Return the fields of a request whose formula uses an entry of the language."""
    formula = entry.example
    used = {
        name: value for name, value in PARAMETERS.items() if name in formula.replace("(", " ").replace("[", " ").split()
    }
    given = {"formula": formula} | ({"parameters": used} if used else {})
    if entry.kinds == ("score_model",) or ("score" not in formula and ("q" in formula or "k" in formula.split())):
        return {"score_model": {"name": "expression", **given}}
    if entry.group in ("comparison", "logic") or entry.example in ("True", "not False"):
        return {"mask": given}
    return {"score_modifier": given}


async def test_every_name_of_formulas_gives_what_the_service_computes(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient
) -> None:
    recorded, _ = await opened(open_page, server.url)
    asked: dict[str, Request] = {}
    expected = {}
    for entry in LANGUAGE.values():
        for wrap in (entry.example, f"where({entry.example}, 1, 0)", f"{entry.example} <= 1"):
            request = OPENING | BASE | fields_with(entry)
            field = next(
                name for name in ("score_modifier", "mask", "score_model") if "formula" in request.get(name, {})
            )
            request[field] = request[field] | {"formula": wrap}
            answer = await client.post("/v1/attention", json=request)
            if answer.status_code == 200:
                asked[f"{entry.name}: {wrap}"], expected[f"{entry.name}: {wrap}"] = request, answer.json()
                break
    assert len(asked) > 0.9 * len(LANGUAGE), sorted(set(LANGUAGE) - {name.partition(": ")[0] for name in asked})
    answers = await written(recorded.page, "numpy", list(asked.values()), server.url)
    programs = {name: answer["code"] for name, answer in zip(asked, answers, strict=True) if "code" in answer}
    assert len(programs) > 0.9 * len(asked)
    for name, found in run(sys.executable, programs).items():
        assert "error" not in found, f"{name}: {found['error']}"
        for field in ("scores", "weights", "output"):
            wanted = np.array(expected[name][field], dtype=object)
            np.testing.assert_allclose(
                np.array(found[field], dtype=np.float64),
                wanted.astype(np.float64),
                rtol=1e-12,
                atol=1e-12,
                err_msg=name,
            )


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("keyed"), API_KEYS=KEY) as running:
        yield running


@pytest.mark.npm
async def test_a_key_comes_from_the_environment(open_page: OpenPage, keyed: Server) -> None:
    recorded = await open_page(f"{keyed.url}/playground", locale="en-GB")
    await recorded.page.locator("#api-key").fill(KEY)
    await recorded.page.locator("#api-key").press("Enter")
    for form, command in (("curl", BASH), ("javascript", NODE), ("client", sys.executable)):
        text = await shown(recorded.page, form)
        assert KEY not in text
        assert "ATTENTION_API_KEY" in text
        await recorded.page.locator(".view-request .hint", has_text="environment variable ATTENTION_API_KEY").wait_for()
        printed = output_of(command, text, ATTENTION_API_KEY=KEY)
        assert "0.70166907" in printed


async def test_keys_of_a_memory_are_written_as_numbers_where_no_service_is_asked(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient
) -> None:
    kept = await client.put("/v1/memories/shown-as-code", json={name: OPENING[name] for name in ("key", "value")})
    assert kept.status_code == 201, kept.text
    recorded, playground = await opened(open_page, server.url)
    await recorded.page.locator("#memory summary").click()
    await recorded.page.get_by_role("button", name="Use shown-as-code").click()
    await recorded.page.locator("#memory-used:visible").wait_for()
    await playground.fresh()
    text = await shown(recorded.page, "numpy")
    assert "of the memory shown-as-code" in text
    assert '"name": "shown-as-code"' in await shown(recorded.page, "json")
    programs = {"numpy": text, "client": await shown(recorded.page, "client")}
    for name, found in run(sys.executable, programs).items():
        assert_right(name, OPENING, found)
