"""The worked examples: what they promise is what the service answers, and what the oracle says."""

import httpx
import pytest

from service.examples import IDS, load_examples
from tests import oracle
from tests.compare import assert_close

EXAMPLES = load_examples()


@pytest.mark.parametrize("name", IDS)
async def test_posting_the_request_gives_the_expected_numbers(client: httpx.AsyncClient, name: str) -> None:
    example = (await client.get(f"/v1/examples/{name}")).json()
    response = await client.post("/v1/attention", json=example["request"])
    assert response.status_code == 200, response.text
    assert example["expected"], "an example without expected numbers shows nothing"
    for field, expected in example["expected"].items():
        assert_close(response.json()[field], expected, example["tolerance"])


@pytest.mark.parametrize("name", IDS)
def test_the_oracle_agrees_with_the_expected_numbers(name: str) -> None:
    example = EXAMPLES[name]
    judged = oracle.attention(example.request)
    for field, expected in example.expected.items():
        assert_close(judged[field], expected, example.tolerance)


@pytest.mark.parametrize("name", IDS)
def test_every_text_is_there_in_both_languages(name: str) -> None:
    example = EXAMPLES[name]
    for text in (example.title, example.story):
        assert set(text) == {"zh", "en"}
        assert any("\u4e00" <= letter <= "\u9fff" for letter in text["zh"])
        assert not any("\u4e00" <= letter <= "\u9fff" for letter in text["en"])


async def test_the_list_names_them_in_order(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/v1/examples")).json()["examples"]
    assert [example["id"] for example in listed] == list(IDS)
    assert listed[0] == {"id": "honor-of-kings", "title": EXAMPLES["honor-of-kings"].title}


async def test_an_unknown_example_is_a_404_that_lists_the_known_ones(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/examples/honour-of-kings")
    assert response.status_code == 404
    assert "honor-of-kings" in response.json()["detail"]
