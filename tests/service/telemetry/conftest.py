"""A server whose metrics no other test changes, and by how much a test has changed them."""

import pytest

from tests.server import running_server
from tests.service.telemetry.scraping import scrape


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A server that no other test sends requests to."""
    with running_server(tmp_path_factory.mktemp("metrics"), COMPUTE_THREADS="1", QUEUE_SIZE="1") as server:
        yield server


@pytest.fixture
def changes(own):
    """Return a function that tells by how much a sample has risen since the test began."""
    before = scrape(own.url)

    def risen(name, **labels):
        return settled(own, lambda now: now.value(name, **labels)) - before.value(name, **labels)

    return risen


def settled(server, read):
    """Return what a scrape says once two in a row agree: a count follows its answer by some microseconds."""
    last = read(scrape(server.url))
    for _ in range(100):
        now = read(scrape(server.url))
        if now == last:
            return now
        last = now
    raise AssertionError("it went on changing")
