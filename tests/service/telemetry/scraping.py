"""What /metrics says, read by the official parser."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families


@dataclass(frozen=True)
class Scrape:
    """One reading of every metric."""

    response: httpx.Response
    families: Mapping[str, Metric]

    def value(self, name, **labels):
        """The number of one sample, 0 when there is none."""
        found = [one.value for one in self.samples(name) if one.labels == labels]
        assert len(found) <= 1, found
        return found[0] if found else 0.0

    def total(self, name, **labels):
        """The sum over all samples that carry these labels among others."""
        return sum(one.value for one in self.samples(name) if labels.items() <= one.labels.items())

    def samples(self, name):
        return [one for family in self.families.values() for one in family.samples if one.name == name]

    def counts(self):
        """Every number that may never go down, by sample."""
        return {
            (one.name, *sorted(one.labels.items())): one.value
            for family in self.families.values()
            if family.type != "gauge"
            for one in family.samples
        }


async def until_seen(url, holds, seconds=10):
    """Scrape until a condition holds; fail if it never does."""
    until = time.monotonic() + seconds
    while not holds(now := await asyncio.to_thread(scrape, url)):
        assert time.monotonic() < until, now.response.text
        await asyncio.sleep(0.01)
    return now


def scrape(url, accept=None):
    """Read the metrics of a server."""
    headers = {} if accept is None else {"Accept": accept}
    response = httpx.get(f"{url}/metrics", headers=headers, timeout=10)
    assert response.status_code == 200, response.text
    parse = openmetrics_families if "openmetrics" in response.headers["content-type"] else text_families
    return Scrape(response, {family.name: family for family in parse(response.text)})
