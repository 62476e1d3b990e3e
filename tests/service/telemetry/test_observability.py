"""What `docker compose --profile observability` starts, held against a real Prometheus that scrapes a real server."""

import json
import re
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import httpx
import pytest
import yaml

from service.telemetry.metrics.families import FAMILIES
from tests.server import free_port, running_server
from tests.service.telemetry.bodies import OTHER_MODEL, REQUEST, SLOW

DEPLOY = Path(__file__).parents[3] / "deploy"
CONFIG = DEPLOY / "prometheus" / "prometheus.yml"
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "attention.json").read_text(encoding="utf-8"))
EXPRESSIONS = {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
}
SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
EXISTING = {one.name + suffix for one in FAMILIES for suffix in SUFFIXES[one.kind]}

WINDOW = "10s"
"""Over how much time rates are taken here; Grafana takes at least four scrapes."""


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def services(project_compose):
    return project_compose["services"]


@pytest.fixture(scope="module")
def project_compose():
    return read(DEPLOY.parent / "docker-compose.yml")


@contextmanager
def prometheus(directory, target):
    """Run Prometheus with the shipped configuration, but for whom it scrapes and how often; give its address."""
    config = read(CONFIG)
    config["global"] = dict.fromkeys(config["global"], "1s")
    [job] = config["scrape_configs"]
    del job["dns_sd_configs"]
    job["static_configs"] = [{"targets": [target]}]
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    (directory / "alerts.yml").write_text((CONFIG.parent / "alerts.yml").read_text(encoding="utf-8"))
    address = f"127.0.0.1:{free_port()}"
    options = {"config.file": directory / "prometheus.yml", "storage.tsdb.path": directory / "data"}
    flags = [f"--{name}={value}" for name, value in (options | {"web.listen-address": address}).items()]
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(["/usr/bin/prometheus", *flags], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 30
        while not answers(f"http://{address}/-/ready"):
            assert time.monotonic() < until, (directory / "prometheus.log").read_text()
            time.sleep(0.1)
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()


def answers(url):
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def load(server):
    """Ask for everything that is shown: small and large, right and wrong, more at once than there is room for."""
    tiled = {"query": [[0.5]] * 400, "key": [[0.25]] * 400, "value": [[1.0]] * 400, "include": ["output"]}

    done = threading.Event()

    def ask(*bodies):
        with httpx.Client(base_url=server.url, timeout=60) as client:
            # A pause, so that other tests have a processor meanwhile.
            while not done.wait(0.05):
                for body in bodies:
                    client.post("/v1/attention", json=body)
                client.get("/v1/score-models")
                client.get("/nowhere")

    with ThreadPoolExecutor(5) as threads:
        several = threads.submit(ask, REQUEST, REQUEST | OTHER_MODEL, tiled, {})
        all_of_them = [several, *(threads.submit(ask, SLOW) for _ in range(4))]
        try:
            yield
        finally:
            done.set()
            for one in all_of_them:
                one.result()


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    """The address of a Prometheus that watches a busy server.

    Busy for as long as it is asked: the rates are those of the last seconds, and a machine that has other things to do
    may take longer than that between two answers of the server, or of Prometheus.
    """
    directory = tmp_path_factory.mktemp("prometheus")
    with (
        running_server(directory, COMPUTE_THREADS="1", QUEUE_SIZE="1") as server,
        prometheus(directory, f"127.0.0.1:{server.port}") as url,
        load(server),
    ):
        yield url


def series_of(url, expression):
    answer = httpx.get(f"{url}/api/v1/query", params={"query": expression}, timeout=10).json()
    assert answer["status"] == "success", answer
    return answer["data"]["result"]


def repeated(read, enough):
    """Read until a condition holds, at most a minute; return the last reading."""
    until = time.monotonic() + 60
    while not enough(seen := read()) and time.monotonic() < until:
        time.sleep(0.2)
    return seen


@pytest.mark.soak
@pytest.mark.prometheus
def test_every_query_of_every_panel_has_an_answer(scraped):
    """A rate needs two scrapes, of which the first may have come before the first request."""
    missing = set(EXPRESSIONS)

    def ask_for_what_is_missing():
        for title in sorted(missing):
            expression = EXPRESSIONS[title].replace("$__rate_interval", WINDOW).replace("$instance", ".*")
            assert "$" not in expression
            if any(one["value"][1] != "NaN" for one in series_of(scraped, expression)):
                missing.remove(title)
        return missing

    assert not repeated(ask_for_what_is_missing, lambda missing: not missing)
    assert len(EXPRESSIONS) >= 15


@pytest.mark.soak
@pytest.mark.prometheus
def test_what_is_shown_is_what_happened(scraped):
    def values(expression, label):
        return {one["metric"][label]: float(one["value"][1]) for one in series_of(scraped, expression)}

    rejected = "sum by (reason) (attention_rejected_total)"
    assert repeated(lambda: values(rejected, "reason"), lambda seen: seen.get("queue-full"))["queue-full"] > 0
    expected = {"/v1/attention", "/v1/score-models", "unknown", "/metrics"}
    routes = "sum by (route) (attention_requests_total)"
    assert expected <= set(repeated(lambda: values(routes, "route"), lambda seen: expected <= set(seen)))
    # A busy machine may take longer for one of the scrapes than the second that each has.
    up = 'up{job="attention"}'
    assert repeated(lambda: values(up, "job"), lambda seen: set(seen.values()) == {1}) == {"attention": 1}


@pytest.mark.prometheus
def test_every_alert_is_evaluated(scraped):
    def rules():
        groups = httpx.get(f"{scraped}/api/v1/rules", timeout=10).json()["data"]["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    written = [rule["alert"] for group in read(CONFIG.parent / "alerts.yml")["groups"] for rule in group["rules"]]
    assert repeated(rules, lambda seen: set(seen.values()) == {"ok"}) == dict.fromkeys(written, "ok")


@pytest.mark.prometheus
def test_prometheus_finds_its_configuration_valid():
    checked = subprocess.run(
        ["/usr/bin/promtool", "check", "config", str(CONFIG)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def names_in(expression):
    return set(re.findall(r"\b(?:attention|process)_\w+", expression))


def test_dashboard_and_alerts_name_only_metrics_that_there_are():
    alerts = [rule["expr"] for group in read(CONFIG.parent / "alerts.yml")["groups"] for rule in group["rules"]]
    variables = [one["definition"] for one in DASHBOARD["templating"]["list"]]
    for expression in [*EXPRESSIONS.values(), *alerts, *variables]:
        assert names_in(expression) <= EXISTING, expression
    shown = set().union(*map(names_in, EXPRESSIONS.values()))
    assert all(any(name.startswith(one.name) for name in shown) for one in FAMILIES), "every metric is on the dashboard"


def test_large_calls_have_a_panel_for_each_unit():
    shown = {
        name: panel["fieldConfig"]["defaults"]["unit"]
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
        for name in names_in(target["expr"])
        if name.startswith("attention_cluster_")
    }
    assert shown == {
        "attention_cluster_tasks_total": "ops",
        "attention_cluster_calls_total": "s",
        "attention_cluster_seconds_total": "s",
        "attention_cluster_retries_total": "short",
        "attention_cluster_bytes_total": "Bps",
    }


def test_panels_have_titles_in_both_languages_units_and_their_own_place():
    places = set()
    for panel in DASHBOARD["panels"]:
        assert re.search("[\u4e00-\u9fff].*·.*[A-Za-z]", panel["title"])
        assert panel["fieldConfig"]["defaults"]["unit"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & places
        assert max(x for x, _ in cells) < 24
        places |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_grafana_finds_what_is_provisioned(services):
    [source] = read(DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in services
    used = {target["datasource"]["uid"] for panel in DASHBOARD["panels"] for target in panel["targets"]}
    assert used == {source["uid"]}
    assert source["jsonData"]["timeInterval"] == read(CONFIG)["global"]["scrape_interval"]
    [provider] = read(DEPLOY / "grafana" / "provisioning" / "dashboards" / "attention.yml")["providers"]
    mounted = {where: source for source, where in mounts_of(services["grafana"])}
    assert mounted[provider["options"]["path"]] == "./deploy/grafana/dashboards"
    assert mounted["/etc/grafana/provisioning"] == "./deploy/grafana/provisioning"
    home = PurePosixPath(services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert home.is_relative_to(provider["options"]["path"])
    assert (DEPLOY / "grafana" / "dashboards" / home.name).exists()


def test_prometheus_scrapes_the_services_of_compose(services):
    assert ("./deploy/prometheus", "/etc/prometheus") in mounts_of(services["prometheus"])
    [job] = read(CONFIG)["scrape_configs"]
    [found] = job["dns_sd_configs"]
    assert found["names"] == [name for name in services if name.split("-")[0] == "attention"]
    assert found["port"] == 8000


def mounts_of(service):
    """Return the mounts of this directory, as source and target."""
    return [tuple(mount.split(":")[:2]) for mount in service["volumes"] if mount.startswith("./")]


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_what_watches_is_kept_in(project_compose, name):
    service = project_compose["services"][name]
    assert service["profiles"] == ["observability"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"]), "neither asks for a password"
    assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", service["image"])
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "pids_limit"} <= set(service)
    for mount in service["volumes"]:
        source, _, *mode = mount.split(":")
        if source.startswith("./"):
            assert (DEPLOY.parent / source).is_dir()
            assert mode == ["ro"]
        else:
            assert source in project_compose["volumes"]
