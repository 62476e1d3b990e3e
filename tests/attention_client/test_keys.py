"""The client and a service that requires API keys."""

from collections.abc import Iterator

import numpy as np
import pytest

from attention_client import InvalidArgument, NotAuthorized
from tests.attention_client.conftest import CallMethod
from tests.server import Server, running_server

KEY, WRONG = "first-key-4711", "guessed-key-1234"

ONE = np.ones((1, 1))


@pytest.fixture(scope="module")
def server_with_keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("keyed"), API_KEYS=KEY) as server:
        yield server


async def test_every_call_sends_the_key(server_with_keys: Server, call: CallMethod) -> None:
    client_options = {"api_key": KEY}
    assert (
        await call(server_with_keys.url, "attend", ONE, ONE, 7 * ONE, client_options=client_options)
    ).output.tolist() == [[7.0]]
    assert (await call(server_with_keys.url, "estimate", ONE, ONE, client_options=client_options))["allowed"]
    assert (
        await call(server_with_keys.url, "explain", ONE, ONE, query_index=0, key_index=0, client_options=client_options)
    )["weight"] == 1
    assert (
        await call(server_with_keys.url, "check", ONE, ONE, candidate={"weights": ONE}, client_options=client_options)
    )["passed"]


@pytest.mark.parametrize(
    ("client_options", "detail", "large"),
    [
        pytest.param({}, "received none", False, id="none, small"),
        pytest.param({}, "received none", True, id="none, large", marks=pytest.mark.soak),
        pytest.param({"api_key": WRONG}, "received another", False, id="another, small"),
        pytest.param({"api_key": WRONG}, "received another", True, id="another, large"),
    ],
)
async def test_a_missing_or_wrong_key_raises_not_authorized(
    server_with_keys: Server, call: CallMethod, client_options: dict[str, str], detail: str, large: bool
) -> None:
    """The response is read although the service refuses the body unread."""
    query = np.ones((1000, 1000)) if large else ONE
    with pytest.raises(NotAuthorized, match=detail) as refused:
        await call(server_with_keys.url, "attend", query, query, client_options=client_options)
    assert (refused.value.status, refused.value.slug) == (401, "unauthorized")
    assert refused.value.request_id
    assert WRONG not in str(refused.value)


async def test_the_catalogue_needs_no_key(server_with_keys: Server, call: CallMethod) -> None:
    assert await call(server_with_keys.url, "score_models")


@pytest.mark.parametrize("key", ["", "two words", "clé", "line\nbreak"])
async def test_an_invalid_key_is_neither_sent_nor_repeated(call: CallMethod, key: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^api_key: expected") as refused:
        await call("http://127.0.0.1:1", "score_models", client_options={"api_key": key})
    assert not key or key not in str(refused.value)
