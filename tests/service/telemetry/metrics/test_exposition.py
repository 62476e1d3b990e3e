"""Pages of several processes become one text: counters and histograms of all of them, gauges of the living."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.telemetry.exchange import Exchange
from service.telemetry.metrics import Metrics, MetricSnapshot, MetricStore, exposition
from service.telemetry.metrics.families import BUCKET_BOUNDS_SECONDS, FAMILIES


def read(*snapshots):
    content, _ = exposition(snapshots, "")
    families = text_string_to_metric_families(content.decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def snapshot(seconds, *, alive=True, route="/v1/attention"):
    """What a process has written that has answered one request, is at another, and has one in its queue."""
    store = MetricStore()
    metrics = Metrics(store)
    for _ in range(2):
        metrics.arrived()
    metrics.queued()
    metrics.ended(Exchange("id", "POST", True, "application/json", None, route, 200, None, seconds, 10, 20))
    metrics.computed("cosine", "dense", 1000, seconds)
    [numbers] = [one.numbers for one in store.snapshots()]
    return MetricSnapshot(numbers, alive)


def test_counters_are_added_up_and_gauges_only_of_the_living():
    found = read(snapshot(0.3), snapshot(0.3), snapshot(0.3, alive=False))
    assert found["attention_requests_total", "POST", "/v1/attention", "200"] == 3
    assert found["attention_bytes_total", "in", "application/json"] == 30
    assert found["attention_bytes_total", "out", "other"] == 60
    assert found["attention_operations_total",] == 3000
    assert (found["attention_in_flight",], found["attention_queued",]) == (2, 2)


@pytest.mark.parametrize("seconds", [0.0, *BUCKET_BOUNDS_SECONDS, BUCKET_BOUNDS_SECONDS[-1] + 1])
def test_a_bucket_counts_what_is_not_above_its_bound(seconds):
    found = read(snapshot(seconds))
    for bound in BUCKET_BOUNDS_SECONDS:
        assert found["attention_request_seconds_bucket", str(bound)] == (seconds <= bound), bound
    assert found["attention_request_seconds_bucket", "+Inf"] == 1
    assert found["attention_request_seconds_count",] == 1
    assert found["attention_request_seconds_sum",] == seconds


def test_histograms_of_different_durations_are_one():
    found = read(snapshot(0.0002), snapshot(0.3), snapshot(100))
    below = [found["attention_request_seconds_bucket", str(bound)] for bound in (0.0001, 0.00025, 0.25, 0.5, 60.0)]
    assert below == [0, 1, 1, 2, 2]
    assert found["attention_request_seconds_count",] == 3
    assert found["attention_request_seconds_sum",] == pytest.approx(100.3002)


def test_without_anybody_every_metric_is_there_and_zero():
    content, media_type = exposition([MetricStore().snapshots()[0]], "")
    assert media_type.startswith("text/plain")
    assert content.decode().count("# TYPE ") == len(FAMILIES)
    fresh = MetricStore()
    Metrics(fresh)
    found = read(*fresh.snapshots())
    assert set(found.values()) == {0}
    assert {"attention_in_flight", "attention_operations_total", "attention_request_seconds_count"} <= {
        name for name, *_ in found
    }


def test_what_is_no_amount_is_not_added_up():
    """Of two workers and one that has died: one build, the earliest start, and descriptors of the living."""
    snapshots = []
    for start, alive in ((200.0, True), (100.0, True), (50.0, False)):
        numbers = {
            ("attention_build_info", "1.0", "3.13"): 1.0,
            ("process_start_time_seconds",): start,
            ("process_open_fds",): 7.0,
            ("process_cpu_seconds_total",): 2.5,
        }
        snapshots.append(MetricSnapshot(numbers, alive))
    found = read(*snapshots)
    assert found["attention_build_info", "3.13", "1.0"] == 1
    assert found["process_start_time_seconds",] == 100
    assert found["process_open_fds",] == 14
    assert found["process_cpu_seconds_total",] == 7.5


def test_what_a_predecessor_has_left_on_a_page_is_no_build_and_no_start():
    snapshot = MetricSnapshot(
        {("attention_build_info", "0.9", "3.13"): 0.0, ("process_start_time_seconds",): 0.0}, alive=True
    )
    found = read(snapshot, MetricSnapshot({("process_start_time_seconds",): 100.0}, alive=True))
    assert found["process_start_time_seconds",] == 100
    assert not [name for name, *_ in found if name == "attention_build_info"]
