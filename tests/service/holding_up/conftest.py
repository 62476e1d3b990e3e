"""What the tests of this folder share."""

import json

import pytest

from tests.server import running_server

HARD = {
    # Half a second or more on one core, cut into blocks between which it can be stopped.
    "query": [[0.5]] * 1500,
    "key": [[0.5]] * 1500,
    "score_model": {"name": "additive", "query_weight": [[1]] * 64, "key_weight": [[1]] * 64, "score_vector": [1] * 64},
    "include": [],
}


@pytest.fixture(scope="session")
def hard():
    """A request that takes half a second or more."""
    return json.dumps(HARD).encode()


@pytest.fixture(scope="session")
def long():
    """A request that takes two seconds or more, however fast the machine is."""
    return json.dumps(HARD | {"query": [[0.5]] * 12_000}).encode()


@pytest.fixture(scope="session")
def harder():
    """A request that takes many seconds, and is of no use to whoever has to wait for it."""
    return json.dumps(HARD | {"query": [[0.5]] * 60_000}).encode()


@pytest.fixture(scope="package")
def narrow(tmp_path_factory):
    """A server with one compute thread, room for four to wait, and little patience."""
    settings = {"COMPUTE_THREADS": "1", "QUEUE_SIZE": "4", "BODY_TIMEOUT_SECONDS": "1", "DRAIN_SECONDS": "5"}
    with running_server(tmp_path_factory.mktemp("narrow"), **settings) as running:
        yield running
