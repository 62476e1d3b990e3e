"""Pages of several processes become one text: counters and histograms of all of them, gauges of the living."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.telemetry.exchange import Exchange
from service.telemetry.metrics import Ledger, Metrics, Page, exposition
from service.telemetry.metrics.families import BOUNDS


def read(*pages):
    content, _ = exposition(pages, "")
    families = text_string_to_metric_families(content.decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def page(seconds, *, alive=True, route="/v1/attention"):
    """What a process has written that has answered one request, is at another, and has one in its queue."""
    ledger = Ledger()
    metrics = Metrics(ledger)
    for _ in range(2):
        metrics.arrived()
    metrics.queued()
    metrics.ended(Exchange("id", "POST", True, "application/json", None, route, 200, None, seconds, 10, 20))
    metrics.computed("cosine", "dense", 1000, seconds)
    [numbers] = [one.numbers for one in ledger.pages()]
    return Page(numbers, alive)


def test_counters_are_added_up_and_gauges_only_of_the_living():
    found = read(page(0.3), page(0.3), page(0.3, alive=False))
    assert found["attention_requests_total", "POST", "/v1/attention", "200"] == 3
    assert found["attention_bytes_total", "in", "application/json"] == 30
    assert found["attention_bytes_total", "out", "other"] == 60
    assert found["attention_operations_total",] == 3000
    assert (found["attention_in_flight",], found["attention_queued",]) == (2, 2)


@pytest.mark.parametrize("seconds", [0.0, *BOUNDS, BOUNDS[-1] + 1])
def test_a_bucket_counts_what_is_not_above_its_bound(seconds):
    found = read(page(seconds))
    for bound in BOUNDS:
        assert found["attention_request_seconds_bucket", str(bound)] == (seconds <= bound), bound
    assert found["attention_request_seconds_bucket", "+Inf"] == 1
    assert found["attention_request_seconds_count",] == 1
    assert found["attention_request_seconds_sum",] == seconds


def test_histograms_of_different_durations_are_one():
    found = read(page(0.0002), page(0.3), page(100))
    below = [found["attention_request_seconds_bucket", str(bound)] for bound in (0.0001, 0.00025, 0.25, 0.5, 60.0)]
    assert below == [0, 1, 1, 2, 2]
    assert found["attention_request_seconds_count",] == 3
    assert found["attention_request_seconds_sum",] == pytest.approx(100.3002)


def test_without_anybody_every_metric_is_there_and_zero():
    content, media_type = exposition([Ledger().pages()[0]], "")
    assert media_type.startswith("text/plain")
    assert content.decode().count("# TYPE ") == 9
    fresh = Ledger()
    Metrics(fresh)
    found = read(*fresh.pages())
    assert set(found.values()) == {0}
    assert {"attention_in_flight", "attention_operations_total", "attention_request_seconds_count"} <= {
        name for name, *_ in found
    }
