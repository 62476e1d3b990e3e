"""The fuzzing that every change passes: the kept corpus always, a minute of new inputs and 20 000 requests in soak."""

from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import MalformedBody
from tests.fuzz import over_socket, run
from tests.fuzz.mutation import Mutator
from tests.fuzz.run import Finding, Fuzzer, judged
from tests.fuzz.targets import ACCEPTED, CORPUS, TARGETS, corpus_of

SEED = 2026

REQUESTS = 20_000


@pytest.mark.parametrize("name", TARGETS)
def test_the_kept_corpus_is_read_as_documented(name: str) -> None:
    told = [judged(name, TARGETS[name], data)[0] for data in corpus_of(name)]
    accepted = sum(each.startswith(ACCEPTED) for each in told)
    assert 0 < accepted < len(told), "a corpus holds what is read and what is refused"


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
    ("broken", "told"),
    [
        (lambda data: 1 / 0, "ZeroDivisionError"),
        (lambda data: "slow", "s; the input"),
        (lambda data: pytest.fail("decoders differ"), None),
    ],
)
def test_a_defect_is_found_and_its_input_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broken: Callable[[bytes], str], told: str | None
) -> None:
    monkeypatch.setattr(run, "FINDINGS", tmp_path)
    monkeypatch.setattr(run, "MOST_SECONDS", 0.0)
    with pytest.raises(Finding if told else pytest.fail.Exception) as found:
        judged("json", broken, b"input")
    if told:
        assert told in str(found.value)
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"input"]


def test_what_a_target_lets_through_is_a_refusal_on_purpose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A decoder that refuses otherwise than by an error of the service is found within a few hundred inputs."""
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


@pytest.mark.soak
def test_a_minute_of_inputs_finds_nothing(report_figure: Callable[[str], None]) -> None:
    fuzzer = Fuzzer(SEED)
    grown = fuzzer.run(10**9, 60)
    for name, tally in fuzzer.tallies.items():
        report_figure(f"fuzz: {name:12} {tally}")
        assert tally.accepted
        assert len(tally.kinds) > 1
    report_figure(f"fuzz: memory grew by {grown / 2**20:.1f} MiB")


@pytest.mark.soak
def test_21_any_bytes_to_any_route_never_give_a_500(tmp_path: Path, report_figure: Callable[[str], None]) -> None:
    statuses, seconds, log = over_socket.fuzz(REQUESTS, SEED, tmp_path)
    report_figure(f"21: {statuses.total()} requests in {seconds:.0f} s: {dict(statuses.most_common())}")
    assert log == ""
    assert statuses.total() == REQUESTS
    assert {status for status in statuses if isinstance(status, int) and status >= 500} <= {503, 504}
    assert statuses[200] > REQUESTS / 100
    assert statuses[400]
    assert statuses[422]
