"""Requests and servers of the tests in this folder."""

import json

import pytest

from tests.sampling import sample
from tests.server import running_server

HARD = {
    # Half a second or more on one core, cut into blocks between which it can be stopped.
    "query": [[0.5]] * 9000,
    "key": [[0.5]] * 1500,
    "score_model": {"name": "additive", "query_weight": [[1]] * 64, "key_weight": [[1]] * 64, "score_vector": [1] * 64},
    "normalizer": "hardmax",
    "include": [],
}


@pytest.fixture(scope="session")
def hard():
    """A request that takes half a second or more."""
    return json.dumps(HARD).encode()


@pytest.fixture(scope="session")
def brief():
    """A request that takes a compute thread, for a twentieth of the time of `hard`."""
    return json.dumps(HARD | {"query": [[0.5]] * 450}).encode()


@pytest.fixture(scope="session")
def long():
    """A request that takes a second or more, however fast the machine is."""
    return json.dumps(HARD | {"query": [[0.5]] * 20_000}).encode()


@pytest.fixture(scope="session")
def harder():
    """A request that takes many seconds; no test waits for its answer."""
    return json.dumps(HARD | {"query": [[0.5]] * 200_000}).encode()


@pytest.fixture(scope="package")
def narrow(tmp_path_factory):
    """A server with one compute thread, a queue of four requests, and a body timeout of one second."""
    settings = {"COMPUTE_THREADS": "1", "QUEUE_SIZE": "4", "BODY_TIMEOUT_SECONDS": "1", "DRAIN_SECONDS": "5"}
    with running_server(tmp_path_factory.mktemp("narrow"), **settings) as running:
        yield running


@pytest.fixture(scope="session")
def two_workers(tmp_path_factory):
    """A server of two workers with default settings otherwise."""
    with running_server(tmp_path_factory.mktemp("two-workers"), "--workers", "2") as running:
        yield running


@pytest.fixture(params=sample(["server", "two_workers"], "server"))
def any_server(request):
    """A server of one worker, then one of two."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="package")
def keyed(tmp_path_factory):
    """A server of two workers that asks for the key `k1` and lets pages of one origin in."""
    settings = {"API_KEYS": "k1", "CORS_ORIGINS": "https://page.example"}
    with running_server(tmp_path_factory.mktemp("keyed"), "--workers", "2", **settings) as running:
        yield running
