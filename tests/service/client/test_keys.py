"""The client and a service that asks for keys."""

from collections.abc import Iterator

import numpy as np
import pytest

from service.client import InvalidArgument, NotAuthorized
from tests.server import Server, running_server
from tests.service.client.conftest import Ask

KEY, WRONG = "first-key-4711", "guessed-key-1234"

ONE = np.ones((1, 1))


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("keyed"), API_KEYS=KEY) as server:
        yield server


async def test_a_key_opens_every_call(keyed: Server, ask: Ask) -> None:
    made = {"api_key": KEY}
    assert (await ask(keyed.url, "attend", ONE, ONE, 7 * ONE, made=made)).output.tolist() == [[7.0]]
    assert (await ask(keyed.url, "estimate", ONE, ONE, made=made))["allowed"]
    assert (await ask(keyed.url, "explain", ONE, ONE, query_index=0, key_index=0, made=made))["weight"] == 1
    assert (await ask(keyed.url, "check", ONE, ONE, candidate={"weights": ONE}, made=made))["passed"]


@pytest.mark.parametrize(("made", "told"), [({}, "received none"), ({"api_key": WRONG}, "received another")])
@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
async def test_without_one_the_error_says_so(
    keyed: Server, ask: Ask, made: dict[str, str], told: str, large: bool
) -> None:
    """A body that the service does not even read does not hide its answer."""
    query = np.ones((1000, 1000)) if large else ONE
    with pytest.raises(NotAuthorized, match=told) as refused:
        await ask(keyed.url, "attend", query, query, made=made)
    assert (refused.value.status, refused.value.slug) == (401, "unauthorized")
    assert refused.value.request_id
    assert WRONG not in str(refused.value)


async def test_the_catalogue_is_open(keyed: Server, ask: Ask) -> None:
    assert await ask(keyed.url, "score_models")


@pytest.mark.parametrize("key", ["", "two words", "clé", "line\nbreak"])
async def test_what_cannot_be_a_key_is_not_sent_and_not_repeated(ask: Ask, key: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^api_key: expected") as refused:
        await ask("http://127.0.0.1:1", "score_models", made={"api_key": key})
    assert not key or key not in str(refused.value)
