"""The benchmarks keep working while the service changes, and their page says what they found."""

from argparse import Namespace
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import pytest

from benchmarks import core, environments, figures, plot, report
from benchmarks.backend_process import FIVE_LINES, JAX, OUR_NUMPY, OURS, SCALING, BackendFailed, Backends
from benchmarks.on_ray import calls, services
from benchmarks.on_ray import report as on_ray
from benchmarks.on_ray.model import Costs, predicted_seconds, traffic
from benchmarks.over_http import rows, shares, sizes
from benchmarks.over_http.exchanges import OUTPUT, inference_binary, inference_json, plain_json, tensors
from benchmarks.rows import ROWS, Peer, Row
from benchmarks.spread import examples
from benchmarks.work import Work
from service.main import create_app
from service.settings import Settings
from tests.server import Server

SMALL = tensors(2, 3, 4, "float32", heads=2)

EXCHANGES = {
    "plain JSON": plain_json(SMALL),
    "plain JSON, float64": rows.small_json(),
    "inference, JSON": inference_json(SMALL, OUTPUT, rows.OURS_V2),
    "inference, binary": inference_binary(SMALL, OUTPUT, rows.OURS_V2),
    "Honor of Kings": services.honor_of_kings(),
    **{f"payload, {name}": form(tensors(4, 4, 8, "float32")) for name, form in sizes.FORMS.items()},
}

FEW_TURNS = Namespace(pairs=2, scaling=0.0, threads=2)

TINY = Work((6, 4))


@pytest.fixture(scope="module")
def backends() -> Iterator[Backends]:
    with Backends(FEW_TURNS.threads) as running:
        yield running


@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES)
def test_the_service_answers_what_the_benchmarks_ask(server: Server, exchange: rows.Exchange) -> None:
    """Status and numbers, as before every measurement."""
    exchange.once(server.port)


def test_a_wrong_number_is_noticed(server: Server) -> None:
    exchange = plain_json(SMALL)
    exchange.expected["output"][0, 1, 1, 3] += 0.001
    with pytest.raises(AssertionError, match="output"):
        exchange.once(server.port)


def test_a_sampled_request_is_told_apart_by_layer(capfd: pytest.CaptureFixture[str]) -> None:
    exchange = rows.small_json()
    app = create_app(Settings(compute_threads=1))
    known = shares.sample(app, exchange, repeat(exchange.body), 0.5)
    assert {"service/codecs", "attention_core"} <= known.keys()
    assert sum(shares.sample(app, exchange, shares.unseen(exchange), 0.5).values()) > sum(known.values())


@pytest.mark.parametrize(
    "names", [[row.name for row in table] for table in (ROWS, rows.ROWS, calls.ROWS, services.ROWS)]
)
def test_rows_are_told_apart(names: list[str]) -> None:
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_peers_of_a_row_are_told_apart(row: Row) -> None:
    assert len({peer.name for peer in row.peers} | {OURS}) == len(row.peers) + 1


def test_examples_of_the_cost_model_are_told_apart() -> None:
    names = list(examples())
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "work",
    [
        Work((1, 4, 5, 8), (1, 2, 7, 8), causal=True),
        Work((5, 8), window=2, dtype="float64"),
        Work((5, 8), bias=True, operation="matrices"),
        *(Work((5, 8), score_model=model) for model in ("additive", "gaussian", "laplacian")),
        Work((1, 2, 5, 8), operation="backward"),
    ],
    ids=str,
)
def test_our_backend_does_every_work(backends: Backends, work: Work) -> None:
    """With the kernel of the machine and without it; a sample holds numbers of every array of the result."""
    numbers = backends[OURS].ask("answer", work)
    assert numbers == pytest.approx(backends[OUR_NUMPY].ask("answer", work), rel=1e-4, abs=1e-5)
    assert len(numbers) >= {"matrices": 3 * 25, "backward": 3 * 64}.get(work.operation, 40)


def test_a_row_holds_times_ratios_and_what_is_missing(
    backends: Backends, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    monkeypatch.setattr(core, "MEMORY_TURNS", 1)
    row = Row("tiny", TINY, (Peer(JAX), Peer(FIVE_LINES, target=1.0)), memory=True, memory_target=1000)
    kept = core.measure(row, backends, FEW_TURNS)
    assert kept["seconds"] > 0
    assert kept["left_out"] == 0
    assert kept["beside"][FIVE_LINES]["pairs"] == FEW_TURNS.pairs
    assert kept["beside"][JAX] == {
        "missing": ".venv-bench-jax/bin/python is missing: make .venv-bench-jax/installed makes it"
    }
    assert {name: held for name, (_, held) in kept["bytes"].items()} == dict.fromkeys((OURS, FIVE_LINES), 4 * 6 * 4)
    *_, memory = lines = report.lines_of(row, kept)
    assert len(lines) == len(row.peers) + 1
    assert memory[2:] == [JAX, "not measured", "", "", "≤ 1000: met", ""]


def test_a_peer_that_computes_something_else_is_noticed(backends: Backends) -> None:
    """Bare NumPy knows no mask."""
    row = Row("tiny", Work((6, 4), causal=True), (Peer(FIVE_LINES),))
    with pytest.raises(AssertionError, match=FIVE_LINES):
        core.measure(row, backends, FEW_TURNS)


def test_rounds_are_left_out_while_threads_share_a_core(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "ROUNDS_PER_PAIR", 1)
    assert 0 < backends[SCALING].ask("seconds") < 4
    monkeypatch.setattr(core, "BUSY_SECONDS", 0)
    with pytest.raises(core.MachineBusy, match="2 rounds left out"):
        core.measure(Row("tiny", TINY, (Peer(FIVE_LINES),)), backends, Namespace(pairs=2, scaling=9.0, threads=2))


def test_a_backend_that_fails_says_so_and_starts_anew() -> None:
    with Backends(1) as running:
        with pytest.raises(BackendFailed, match="ended with status 1"):
            running[OURS].ask("seconds", Work((6, 4), score_model="unknown"))
        running.forget()
        assert running[OURS].seconds(TINY) > 0


def test_the_model_of_a_cluster_adds_up_what_is_measured_alone() -> None:
    """Without costs beside computing, two nodes take half as long as one, and three no less than their two cores."""
    call, arrays = calls.resolved(Work((1, 8, 512, 64)))
    # Enough for a part for each CPU.
    operations, kept = 10**11, [arrays["key"], arrays["value"]]
    addresses = [range(array.ctypes.data, array.ctypes.data + array.nbytes) for array in kept]
    one, two, three = (traffic(call, operations, nodes, addresses) for nodes in (1, 2, 3))
    assert (one.put, one.sent, one.returned) == (pytest.approx(1, rel=0.01), 0, 0)
    assert two.sent == pytest.approx(0.5, rel=0.01)
    assert two.returned == pytest.approx(0.5, rel=0.05)
    assert traffic(call, operations, 2).sent == pytest.approx(1.5, rel=0.01)
    computing = Costs(0, 0, 0, 0, 0, 1e-9)
    seconds = [predicted_seconds(computing, operations, of, cores=2) for of in (one, two, three)]
    assert seconds == pytest.approx([operations * 1e-9, operations * 0.5e-9, operations * 0.5e-9])
    more = predicted_seconds(Costs(3, 5, 7, 11, 13, 0), operations, two, cores=2)
    assert more == pytest.approx(3 + 5 * two.parts + 7 * two.put + 11 * two.sent + 13 * two.returned)


def test_tables_of_a_cluster_say_what_is_not_measured() -> None:
    document: figures.Document = {"machine": {"cores": "2"}, "rows": {}}
    for table in (on_ray.costs, on_ray.predictions, on_ray.scaling):
        assert table(document) == on_ray.NOT_MEASURED


def test_figures_of_another_processor_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those of the same one with other versions do not."""
    monkeypatch.setattr(figures, "FOLDER", tmp_path)
    amd, intel, newer = ({"processor": name, "NumPy": "2"} for name in ("AMD", "Intel", "Intel"))
    newer["NumPy"] = "3"
    for machine, row in ((amd, "a"), (intel, "a"), (intel, "b"), (newer, "c")):
        figures.keep("core", row, {"seconds": 1.0}, machine)
    assert list(figures.load("core")) == ["AMD", "Intel"]
    assert list(figures.load_rows("core", amd)) == ["a"]
    assert list(figures.load_rows("core", newer)) == ["c"]
    assert figures.load_rows("core", intel) == {}


@pytest.mark.parametrize("table", report.TABLES)
def test_the_page_has_what_was_kept(table: str) -> None:
    page = report.PAGE.read_text()
    assert report.replaced(page, table) == page


@pytest.mark.parametrize("file", plot.PICTURES)
def test_the_pictures_show_what_was_kept(file: str) -> None:
    assert plot.drawn(file) == (figures.FOLDER / file).read_text()
