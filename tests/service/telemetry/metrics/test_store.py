"""Numbers that several processes share: none is lost when one of them is killed, and no gauge outlives its process."""

import signal
import subprocess
import sys
import threading

import pytest

from service.telemetry.metrics import Metrics, MetricStore, SharedMetricStore, exposition
from service.telemetry.metrics.store import MAX_SLOTS
from tests.sampling import sample

GAUGES = frozenset(("gauge",))

OTHER = """
import sys
from pathlib import Path
from service.telemetry.metrics import SharedMetricStore
store = SharedMetricStore(Path(sys.argv[1]), frozenset(("gauge",)))
for name in ("counter", "gauge"):
    store.add((store.slot((name, "label")), float(sys.argv[2])))
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


def totals(store):
    """Return what the counter says over all pages, and the gauge over those of living processes."""
    snapshots = store.snapshots()
    return (
        sum(snapshot.numbers.get(("counter", "label"), 0) for snapshot in snapshots),
        sum(snapshot.numbers.get(("gauge", "label"), 0) for snapshot in snapshots if snapshot.alive),
    )


@pytest.mark.soak
def test_pages_of_all_processes_are_read_and_those_of_killed_ones_stay(tmp_path):
    store = SharedMetricStore(tmp_path, GAUGES)
    store.add((store.slot(("counter", "label")), 1), (store.slot(("gauge", "label")), 1))
    assert totals(store) == (1, 1)
    first, second = counting(tmp_path, 10), counting(tmp_path, 100)
    try:
        assert totals(store) == (111, 111)
        end(first)
        assert totals(store) == (111, 101)
        first = counting(tmp_path, 1000)
        assert totals(store) == (1111, 1101)
        assert len(store.snapshots()) == 3, "the file of the dead process was not continued"
    finally:
        end(first)
        end(second)
    assert totals(store) == (1111, 1)


@pytest.mark.parametrize("number", sample([signal.SIGTERM, signal.SIGKILL], signal.SIGKILL))
def test_a_page_is_taken_over_however_its_process_ended(tmp_path, number):
    for _ in range(3):
        end(counting(tmp_path, 1), number)
    assert totals(SharedMetricStore(tmp_path, GAUGES)) == (3, 0)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0.cells", "0.names"]


def test_a_page_that_is_begun_but_has_no_name_yet_is_empty(tmp_path):
    store = SharedMetricStore(tmp_path, GAUGES)
    (tmp_path / "1.cells").touch()
    assert [dict(snapshot.numbers) for snapshot in store.snapshots()] == [{}, {}]


def test_a_page_is_read_however_few_of_its_names_are_written(tmp_path):
    """Metrics are exposed wherever the file ends that a starting process writes, and hold no name that is cut."""
    Metrics(SharedMetricStore(tmp_path, GAUGES))
    names = tmp_path / "0.names"
    written = names.read_bytes()
    reader = SharedMetricStore(tmp_path, GAUGES)
    known = set(reader.snapshots()[0].numbers)
    for length in range(0, len(written), 7):
        names.write_bytes(written[:length])
        text, _ = exposition(reader.snapshots(), "text/plain")
        assert text.endswith(b"\n")
        assert set(reader.snapshots()[0].numbers) <= known


def test_a_name_that_was_cut_by_the_end_of_its_process_is_dropped(tmp_path):
    process = counting(tmp_path, 3)
    end(process)
    with (tmp_path / "0.names").open("ab") as names:
        names.write(b'["cut')
    store = SharedMetricStore(tmp_path, GAUGES)
    store.add((store.slot(("new",)), 5))
    [snapshot] = store.snapshots()
    assert snapshot.numbers == {("counter", "label"): 3, ("gauge", "label"): 0, ("new",): 5}


@pytest.mark.parametrize("kind", ["of one process", "of several"])
def test_threads_lose_no_update(tmp_path, kind):
    store = MetricStore() if kind == "of one process" else SharedMetricStore(tmp_path, GAUGES)
    slot, beside = store.slot(("counter",)), store.slot(("beside",))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def count():
        for _ in range(5000):
            store.add((slot, 1), (beside, 2))

    try:
        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            [snapshot] = store.snapshots()
            assert 2 * snapshot.numbers["counter",] == snapshot.numbers["beside",], "half of an entry was read"
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    [snapshot] = store.snapshots()
    assert snapshot.numbers == {("counter",): 20_000, ("beside",): 40_000}


def test_a_key_has_one_slot(tmp_path):
    store = SharedMetricStore(tmp_path, GAUGES)
    assert store.slot(("a", "名")) == store.slot(("a", "名")) != store.slot(("a",))
    store.set(store.slot(("a", "名")), 7)
    store.set(store.slot(("a", "名")), 5)
    assert store.snapshots()[0].numbers == {("a", "名"): 5, ("a",): 0}


def test_a_page_is_not_larger_than_it_says(tmp_path):
    SharedMetricStore(tmp_path, GAUGES)
    assert (tmp_path / "0.cells").stat().st_size == 8 * MAX_SLOTS == 64 * 1024
