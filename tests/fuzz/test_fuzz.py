"""The fuzzing that every change passes: the kept corpus always, more inputs, requests and connections in soak."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import MalformedBody
from tests.fuzz import framing, over_socket, run
from tests.fuzz.mutation import Mutator
from tests.fuzz.run import Finding, Fuzzer, judge
from tests.fuzz.targets import ACCEPTED, CORPUS, TARGETS, corpus_of
from tests.server import Server

SEED = 2026

REQUESTS = 20_000

CONNECTIONS = 1500
"""Three tenths of what `make fuzz` sends."""

FEW_CONNECTIONS = 150


@pytest.mark.parametrize("name", TARGETS)
def test_the_kept_corpus_is_read_as_documented(name: str) -> None:
    outcomes = [judge(name, TARGETS[name], data)[0] for data in corpus_of(name)]
    accepted = sum(each.startswith(ACCEPTED) for each in outcomes)
    assert 0 < accepted < len(outcomes), "a corpus holds valid and invalid inputs"


def test_the_corpus_is_small_and_belongs_to_the_targets() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} == set(TARGETS)
    assert sum(path.stat().st_size for path in files) < 300_000


def test_a_seed_makes_the_same_inputs_again() -> None:
    corpus = corpus_of("json")
    first, again, other = (Mutator(corpus, seed) for seed in (1, 1, 2))
    inputs = [first.next() for _ in range(500)]
    assert inputs == [again.next() for _ in range(500)]
    assert inputs != [other.next() for _ in range(500)]
    assert len(set(inputs)) > 450


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda data: 1 / 0, "ZeroDivisionError"),
        (lambda data: "slow", "s; the input"),
        (lambda data: pytest.fail("decoders differ"), None),
    ],
)
def test_a_defect_is_found_and_its_input_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broken: Callable[[bytes], str], message: str | None
) -> None:
    monkeypatch.setattr(run, "FINDINGS", tmp_path)
    monkeypatch.setattr(run, "MAX_SECONDS", 0.0)
    with pytest.raises(Finding if message else pytest.fail.Exception) as found:
        judge("json", broken, b"input")
    if message:
        assert message in str(found.value)
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"input"]


def test_a_decoder_that_fails_otherwise_than_by_an_error_of_the_service_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It takes a few hundred inputs."""
    monkeypatch.setattr(run, "FINDINGS", tmp_path)

    def careless(content: bytes, *_: object) -> bytes:
        if content[:2] != b"\x1f\x8b":
            raise MalformedBody("expected gzip; received something else. Compress it.")
        return bytes([content[2000]])

    monkeypatch.setattr("tests.fuzz.targets.decompress", careless)
    watch: list[str] = []
    monkeypatch.setattr("faulthandler.dump_traceback_later", lambda *_, **__: watch.append("set"))
    monkeypatch.setattr("faulthandler.cancel_dump_traceback_later", lambda: watch.append("off"))
    with pytest.raises(Finding, match="gzip: IndexError"):
        Fuzzer(SEED).run(20_000, 60)
    assert (watch[0], watch[-1], watch.count("off")) == ("set", "off", 1)


def test_a_seed_makes_the_same_connections_again() -> None:
    first, again, other = (framing.Connections(seed) for seed in (1, 1, 2))
    drawn = [first.next() for _ in range(100)]
    assert drawn == [again.next() for _ in range(100)]
    assert drawn != [other.next() for _ in range(100)]


async def test_each_request_has_one_answer_however_it_is_framed(
    server: Server, report_figure: Callable[[str], None]
) -> None:
    statuses = await framing.fuzz_connections(server.port, framing.Connections(SEED), FEW_CONNECTIONS)
    report_figure(f"framing: {FEW_CONNECTIONS} connections: {dict(statuses.most_common())}")
    assert {200, 400, 404, 405, 422, 501} <= set(statuses)
    assert server.process.poll() is None


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-request-id: r1\r\n\r\nok" * 2, b"HTTP/1.1 200 OK\r\n"]
)
async def test_other_answers_are_found(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers every packet twice, and one that sends half an answer."""

    async def careless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(answer)
        writer.close()

    serving = await asyncio.start_server(careless, "127.0.0.1", 0)
    port = serving.sockets[0].getsockname()[1]
    monkeypatch.setattr(framing, "VANISHING_FRACTION", 0)
    async with serving:
        with pytest.raises(ExceptionGroup) as found:
            await framing.fuzz_connections(port, framing.Connections(SEED), 20)
    assert found.group_contains(framing.Finding, match="sent .*\nexpected ")


@pytest.mark.soak
@pytest.mark.parametrize(("workers", "connections"), [("1", CONNECTIONS), ("2", CONNECTIONS // 2)])
def test_each_of_many_requests_has_one_answer(
    tmp_path: Path, report_figure: Callable[[str], None], workers: str, connections: int
) -> None:
    statuses, seconds, log = framing.fuzz(connections, SEED, tmp_path, "--workers", workers)
    report_figure(f"framing: {connections} connections in {seconds:.0f} s: {dict(statuses.most_common())}")
    assert log == ""


@pytest.mark.soak
def test_half_a_minute_of_inputs_finds_nothing(report_figure: Callable[[str], None]) -> None:
    fuzzer = Fuzzer(SEED)
    grown = fuzzer.run(10**9, 30)
    for name, tally in fuzzer.tallies.items():
        report_figure(f"fuzz: {name:12} {tally}")
        assert tally.accepted
        assert len(tally.kinds) > 1
    report_figure(f"fuzz: memory grew by {grown / 2**20:.1f} MiB")


@pytest.mark.soak
def test_any_bytes_to_any_route_never_give_a_500(tmp_path: Path, report_figure: Callable[[str], None]) -> None:
    statuses, seconds, log = over_socket.fuzz(REQUESTS, SEED, tmp_path)
    report_figure(f"fuzz: {statuses.total()} requests in {seconds:.0f} s: {dict(statuses.most_common())}")
    assert log == ""
    assert statuses.total() == REQUESTS
    assert {status for status in statuses if isinstance(status, int) and status >= 500} <= {501, 503, 504}
    assert statuses[200] > REQUESTS / 100
    assert statuses[400]
    assert statuses[422]
