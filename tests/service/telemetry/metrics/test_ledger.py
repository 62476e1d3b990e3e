"""Numbers that several processes share: none is lost when one of them is killed, and no gauge outlives its process."""

import signal
import subprocess
import sys
import threading

import pytest

from service.telemetry.metrics import Ledger, SharedLedger
from service.telemetry.metrics.ledger import CELLS

MOMENTARY = frozenset(("gauge",))

OTHER = """
import sys
from pathlib import Path
from service.telemetry.metrics import SharedLedger
ledger = SharedLedger(Path(sys.argv[1]), frozenset(("gauge",)))
for name in ("counter", "gauge"):
    ledger.add((ledger.place((name, "label")), float(sys.argv[2])))
print("counted", flush=True)
sys.stdin.read()
"""


def counting(directory, amount):
    """Start a process that adds an amount to a counter and a gauge and then waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(directory), str(amount)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"counted\n"
    return process


def end(process, number=signal.SIGKILL):
    process.send_signal(number)
    process.wait()
    process.stdin.close()
    process.stdout.close()


def totals(ledger):
    """Return what the counter says over all pages, and the gauge over those of living processes."""
    pages = ledger.pages()
    return (
        sum(page.numbers.get(("counter", "label"), 0) for page in pages),
        sum(page.numbers.get(("gauge", "label"), 0) for page in pages if page.alive),
    )


def test_pages_of_all_processes_are_read_and_those_of_killed_ones_stay(tmp_path):
    ledger = SharedLedger(tmp_path, MOMENTARY)
    ledger.add((ledger.place(("counter", "label")), 1), (ledger.place(("gauge", "label")), 1))
    assert totals(ledger) == (1, 1)
    first, second = counting(tmp_path, 10), counting(tmp_path, 100)
    try:
        assert totals(ledger) == (111, 111)
        end(first)
        assert totals(ledger) == (111, 101)
        first = counting(tmp_path, 1000)
        assert totals(ledger) == (1111, 1101)
        assert len(ledger.pages()) == 3, "the page of the dead process was not taken over"
    finally:
        end(first)
        end(second)
    assert totals(ledger) == (1111, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_page_is_taken_over_however_its_process_ended(tmp_path, number):
    for _ in range(3):
        end(counting(tmp_path, 1), number)
    assert totals(SharedLedger(tmp_path, MOMENTARY)) == (3, 0)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0.cells", "0.names"]


def test_a_page_that_is_begun_but_has_no_name_yet_is_empty(tmp_path):
    ledger = SharedLedger(tmp_path, MOMENTARY)
    (tmp_path / "1.cells").touch()
    assert [dict(page.numbers) for page in ledger.pages()] == [{}, {}]


@pytest.mark.parametrize("kind", ["of one process", "of several"])
def test_threads_lose_nothing(tmp_path, kind):
    ledger = Ledger() if kind == "of one process" else SharedLedger(tmp_path, MOMENTARY)
    place, beside = ledger.place(("counter",)), ledger.place(("beside",))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def count():
        for _ in range(5000):
            ledger.add((place, 1), (beside, 2))

    try:
        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            [page] = ledger.pages()
            assert 2 * page.numbers["counter",] == page.numbers["beside",], "half of an entry was read"
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    [page] = ledger.pages()
    assert page.numbers == {("counter",): 20_000, ("beside",): 40_000}


def test_a_name_has_one_place_whoever_asks(tmp_path):
    ledger = SharedLedger(tmp_path, MOMENTARY)
    assert ledger.place(("a", "名")) == ledger.place(("a", "名")) != ledger.place(("a",))
    ledger.put(ledger.place(("a", "名")), 7)
    ledger.put(ledger.place(("a", "名")), 5)
    assert ledger.pages()[0].numbers == {("a", "名"): 5, ("a",): 0}


def test_a_page_is_not_larger_than_it_says(tmp_path):
    SharedLedger(tmp_path, MOMENTARY)
    assert (tmp_path / "0.cells").stat().st_size == 8 * CELLS == 64 * 1024
