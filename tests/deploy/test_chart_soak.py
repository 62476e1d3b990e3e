"""Every switch of the chart, rendered by helm, is valid for each version of Kubernetes and keeps our own rules."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from development.chart import setting_names
from development.manifests import CHART, MANIFESTS, rendered
from service.cluster.local import HEALTH_CHECKS
from service.keys import read_keys
from service.settings import Settings
from tests.deploy.fields import DOCUMENTED, PublishedModels, unknown_to_documentation
from tests.deploy.helm import (
    ENVIRONMENT,
    HELM,
    KUBECTL,
    RENDERINGS,
    VERSIONS,
    render,
    run,
    skip_without_helm,
    validated,
)
from tests.deploy.rules import Pod, broken_rules, of_kind, pods
from tests.deploy.switches import ALL_AT_ONCE, REFUSED
from tests.promises.settings import CHANGED

pytestmark = pytest.mark.soak

KSERVE = [
    yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((CHART.parents[1] / "kserve").glob("*.yaml"))
]


@pytest.fixture(autouse=True, scope="module")
def _tools() -> None:
    skip_without_helm()


def server_pod(switch: str) -> Pod:
    [pod] = [pod for pod in pods(render(switch)) if pod.serves]
    return pod


@pytest.mark.parametrize("switch", RENDERINGS)
def test_helm_lints_it_strictly(switch: str, tmp_path: Path) -> None:
    values = tmp_path / "values.json"
    values.write_text(json.dumps(RENDERINGS[switch]))
    ended = run(HELM, "lint", "--strict", str(CHART), "--values", str(values))
    assert ended.returncode == 0, ended.stdout
    assert "1 chart(s) linted, 0 chart(s) failed" in ended.stdout
    assert "[WARNING]" not in ended.stdout


@pytest.mark.parametrize("switch", RENDERINGS)
def test_a_rendering_keeps_every_rule(switch: str) -> None:
    assert broken_rules(render(switch)) == []


def test_every_rendering_is_valid_for_every_version_of_kubernetes(report_figure: Callable[[str], None]) -> None:
    """A kind without a schema raises, and is named here: it is checked against its documentation."""
    different = {json.dumps(one, sort_keys=True): one for switch in RENDERINGS for one in render(switch)}
    failures, unknown = validated(list(different.values()))
    assert failures == []
    assert {(version, kind) for version, kind in unknown} == {
        (version, kind) for version in VERSIONS for kind in DOCUMENTED
    }
    kinds = {one["kind"] for one in different.values()}
    assert kinds - set(DOCUMENTED) == {
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Ingress",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "Pod",
        "PodDisruptionBudget",
        "Secret",
        "Service",
    }
    report_figure(f"{len(different)} manifests of {len(kinds)} kinds valid for Kubernetes {', '.join(VERSIONS)}")


@pytest.mark.parametrize("kind", ["Deployment", "NetworkPolicy"])
def test_a_field_that_kubernetes_does_not_have_is_found(kind: str) -> None:
    [document] = of_kind(render("defaults"), kind)
    failures, _ = validated([{**document, "spec": {**document["spec"], "replica": 2}}])
    assert [failure[:2] for failure in failures] == [[version, kind] for version in VERSIONS]


@pytest.mark.parametrize("switch", ["route with a size", "service monitor", "all at once"])
def test_custom_resources_have_the_fields_of_their_documentation(switch: str) -> None:
    custom = [one for one in render(switch) if one["kind"] in DOCUMENTED]
    assert custom
    for document in custom:
        assert unknown_to_documentation(document) == []
        broken = {**document, "spec": {**document["spec"], "replica": 2}}
        assert unknown_to_documentation(broken) == ["/spec/replica"]


@pytest.mark.parametrize(
    ("document", "model"), list(zip(KSERVE, ["V1alpha1ClusterServingRuntime", "V1beta1InferenceService"], strict=True))
)
def test_manifests_of_kserve_have_the_fields_that_kserve_publishes(document: dict[str, Any], model: str) -> None:
    [directory] = ENVIRONMENT.glob("lib/python*/site-packages/kserve/models")
    models = PublishedModels(directory)
    assert list(models.unknown(document, model)) == []
    document["spec"]["replica"] = 2
    assert list(models.unknown(document, model)) == ["/spec/replica"]
    del document["spec"]["replica"]


def test_the_pod_of_kserve_is_valid() -> None:
    """KServe puts the container and the volumes of the runtime into a pod with the fields of the predictor."""
    runtime, service = KSERVE
    predictor = service["spec"]["predictor"]
    names = {"automountServiceAccountToken", "enableServiceLinks", "terminationGracePeriodSeconds", "securityContext"}
    assert set(predictor) - names == {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "model"}
    parts = {name: runtime["spec"][name] for name in ("containers", "volumes")}
    spec = {**{name: predictor[name] for name in names}, **parts}
    assert validated([{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "attention"}, "spec": spec}]) == ([], [])


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_values_are_refused_with_what_to_change(case: str) -> None:
    values, message = REFUSED[case]
    ended = run(HELM, "template", "attention", str(CHART), "--values", "-", given=json.dumps(values))
    assert ended.returncode == 1
    assert message in " ".join(ended.stderr.split())


def test_the_plain_manifests_are_what_helm_renders_now() -> None:
    assert rendered(Path(HELM)) == MANIFESTS.read_text(encoding="utf-8"), "stale: run make manifests"


def test_kubectl_reads_the_plain_manifests() -> None:
    """Without a cluster: nothing is applied, but every object is read as its type."""
    ended = run(KUBECTL, "label", "--local", "--filename", str(MANIFESTS), "--output", "json", "team=heads")
    assert ended.returncode == 0, ended.stderr
    documents = [json.loads(f"{{{one}") for one in re.split(r"^\{", ended.stdout, flags=re.MULTILINE)[1:]]
    assert [one["metadata"]["labels"]["team"] for one in documents] == ["heads"] * 4
    assert broken_rules(documents) == []


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize("switch", RENDERINGS)
def test_the_service_reads_the_settings_of_a_rendering(
    switch: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secrets = {one["metadata"]["name"]: one["stringData"] for one in of_kind(render(switch), "Secret")}
    keys = tmp_path / "keys"
    keys.write_text(next((one["keys"] for one in secrets.values() if "keys" in one), "example-key"))
    url = next((one["url"] for one in secrets.values() if "url" in one), "redis://redis")
    given = {"ATTENTION_API_KEYS_FILE": str(keys), "ATTENTION_MEMORIES_URL": url}
    # As in an image with the extra ray.
    monkeypatch.setattr("service.setting_types.find_spec", lambda name: name)
    pod = server_pod(switch)
    for name, value in pod.environment.items():
        monkeypatch.setenv(name, given.get(name, value) or "")
    settings = Settings()
    assert settings.asks_for_keys == ("keys" in RENDERINGS[switch])
    assert settings.ray_address == RENDERINGS[switch].get("ray", {}).get("address", "")
    store = RENDERINGS[switch].get("memories", {}).get("store", "none")
    assert bool(settings.memories_directory) == (store != "none")
    assert bool(settings.memories_url) == (store == "redis")
    assert settings.drain_seconds < pod.spec["terminationGracePeriodSeconds"]


@pytest.mark.usefixtures("no_settings")
def test_a_setting_reaches_the_service_as_it_is_in_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once: numbers, which helm would write as 6.7108864e+07, and texts."""
    wanted = {name: CHANGED[name] for name in setting_names()}
    numbers = {name: Settings.model_fields[name].annotation in (int, float) for name in wanted}
    values = {"settings": {name: value if numbers[name] else text for name, (text, value) in wanted.items()}}
    values["settings"]["drain_seconds"] = 7.25  # longer than the delay
    ended = run(HELM, "template", "attention", str(CHART), "--values", "-", given=json.dumps(values))
    assert ended.returncode == 0, ended.stderr
    documents = [one for one in yaml.safe_load_all(ended.stdout) if one]
    [pod] = [pod for pod in pods(documents) if pod.serves]
    for name, value in pod.environment.items():
        monkeypatch.setenv(name, value or "")
    read = Settings().model_dump()
    assert {name: read[name] for name in wanted} == {
        **{name: value for name, (_, value) in wanted.items()},
        "drain_seconds": 7.25,
    }


@pytest.mark.parametrize(
    ("switch", "threads"),
    [("defaults", "2"), ("workers", "2"), ("half a core", "1"), ("no limit of processors", "2")],
)
def test_compute_threads_follow_the_cpu_limit(switch: str, threads: str) -> None:
    assert server_pod(switch).environment["ATTENTION_COMPUTE_THREADS"] == threads


def test_bodies_and_times_of_the_ingress_follow_the_settings() -> None:
    [default], [changed] = (of_kind(render(switch), "Ingress") for switch in ("ingress", "settings"))
    prefix = "nginx.ingress.kubernetes.io/proxy-"
    names = ("body-size", "request-buffering", "read-timeout", "send-timeout")
    found = [[one["metadata"]["annotations"][prefix + name] for name in names] for one in (default, changed)]
    assert found == [["67108864", "off", "65", "35"], ["134217728", "off", "96", "50"]]
    [other] = of_kind(render("ingress of another controller"), "Ingress")
    assert other["metadata"]["annotations"] == {"haproxy.org/timeout-server": "65s"}
    [policy] = of_kind(render("route with a size"), "ClientSettingsPolicy")
    assert policy["spec"]["body"] == {"maxSize": "67108864", "timeout": "35s"}


@pytest.mark.parametrize(
    ("switch", "ports"),
    [
        ("defaults", {53}),
        ("memories in Redis", {53, 6380}),
        ("memories in Redis by a secret", {53, 6390}),
        ("network policy", {53, 4318}),
        ("Ray", {53, 1024}),
    ],
)
def test_the_network_policy_opens_names_and_redis_alone(switch: str, ports: set[int]) -> None:
    [policy] = of_kind(render(switch), "NetworkPolicy")
    assert {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]} == ports
    assert policy["spec"]["ingress"][0]["ports"] == [{"port": "http", "protocol": "TCP"}]


def test_the_pod_of_helm_test_may_ask_where_peers_are_named() -> None:
    documents = render("network policy")
    [policy], [test] = of_kind(documents, "NetworkPolicy"), of_kind(documents, "Pod")
    peers = [peer["podSelector"]["matchLabels"].items() for peer in policy["spec"]["ingress"][0]["from"][1:]]
    assert [items <= test["metadata"]["labels"].items() for items in peers] == [True]


def test_helm_test_runs_the_script_that_posts_the_request() -> None:
    [pod] = of_kind(render("keys"), "Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    [container] = pod["spec"]["containers"]
    assert container["args"][0].strip() == (CHART / "files" / "post_request.py").read_text(encoding="utf-8").strip()
    [service] = of_kind(render("keys"), "Service")
    address, key = container["env"]
    assert address["value"] == f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert key["valueFrom"]["secretKeyRef"] == {"name": "test-key", "key": "key"}


def test_keys_are_a_secret_that_the_service_reads(tmp_path: Path) -> None:
    [secret] = of_kind(render("keys"), "Secret")
    path = tmp_path / "keys"
    path.write_text(secret["stringData"]["keys"])
    assert len(read_keys(path)) == 2
    [volume] = [one for one in server_pod("keys of a secret").spec["volumes"] if one["name"] == "keys"]
    assert volume["secret"]["secretName"] == "attention-keys"
    assert not of_kind(render("keys of a secret"), "Secret")


def test_another_url_of_redis_makes_new_pods() -> None:
    def checksum(*flags: str) -> str:
        [deployment] = of_kind(render("memories in Redis", *flags), "Deployment")
        return deployment["spec"]["template"]["metadata"]["annotations"]["checksum/redis"]

    assert checksum() != checksum("--set", "memories.redis.url=redis://other")
    assert "secret@" not in json.dumps(of_kind(render("memories in Redis"), "Deployment"))


def test_a_front_of_ray_has_a_node_of_the_cluster_beside_it() -> None:
    """The two share sockets, memory and processes; the node runs no tasks, and ends after the service."""
    pod = server_pod("Ray with a token")
    [node] = pod.spec["initContainers"]
    assert node["restartPolicy"] == "Always"
    assert node["image"] == pod.container["image"]
    assert pod.spec["shareProcessNamespace"] is True
    assert {"--num-cpus=0", "--address=ray.data.svc:6380", "--object-store-memory=4294967296"} <= set(node["args"])
    assert pod.environment["ATTENTION_RAY_ADDRESS"] == "ray.data.svc:6380"
    mounts = {"ray": "/tmp/ray", "shm": "/dev/shm"}
    variables = {one["name"]: one for one in node["env"]}
    for container in (node, pod.container):
        assert mounts.items() <= {one["name"]: one["mountPath"] for one in container["volumeMounts"]}.items()
        assert variables.items() <= {one["name"]: one for one in container["env"]}.items()
    assert HEALTH_CHECKS.items() <= {name: one.get("value") for name, one in variables.items()}.items()
    assert variables["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": "ray-token", "key": "auth_token"}
    [policy] = of_kind(render("Ray with a token"), "NetworkPolicy")
    assert policy["spec"]["ingress"][-1]["from"] == policy["spec"]["egress"][-1]["to"]


def test_a_claim_outlives_the_release() -> None:
    [claim] = of_kind(render("memories in a claim"), "PersistentVolumeClaim")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    size = claim["spec"]["resources"]["requests"]["storage"]
    assert int(size.removesuffix("Gi")) * 2**30 >= 2 * Settings.model_fields["memories_bytes"].default


def test_the_autoscaler_asks_for_a_metric_of_the_service() -> None:
    [autoscaler] = of_kind(render("autoscaling by queue"), "HorizontalPodAutoscaler")
    [metric] = autoscaler["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == "attention_queued"
    assert metric["pods"]["target"] == {"type": "AverageValue", "averageValue": "2"}


def test_a_package_of_the_chart_renders_the_same(tmp_path: Path) -> None:
    """The dashboards are a link in the tree, and files in the package."""
    ended = run(HELM, "package", str(CHART), "--destination", str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    [package] = tmp_path.glob("*.tgz")
    values = json.dumps(ALL_AT_ONCE)
    flags = ("--namespace", "heads", "--values", "-")
    tree, packed = (run(HELM, "template", "attention", str(one), *flags, given=values) for one in (CHART, package))
    assert packed.returncode == 0, packed.stderr
    assert packed.stdout == tree.stdout
    [dashboards] = of_kind([one for one in yaml.safe_load_all(packed.stdout) if one], "ConfigMap")
    assert json.loads(dashboards["data"]["attention.json"])["panels"]


@pytest.mark.parametrize(
    ("switch", "sentences"),
    [
        ("defaults", ["asks for no API key", "keeps no memories"]),
        ("keys", ["helm test attention --namespace heads"]),
        ("keys of a secret", ["helm test needs one"]),
        ("memories in a claim", ["in the claim attention-attention-service-memories"]),
        ("memories in Redis", ["caches up to 5Gi"]),
        ("Ray", ["from 200000000000 operations on", "at attention-head-svc:6379"]),
    ],
)
def test_the_notes_say_what_is_open_and_what_is_missing(switch: str, sentences: list[str]) -> None:
    flags = ("--namespace", "heads", "--dry-run=client", "--values", "-")
    ended = run(HELM, "install", "attention", str(CHART), *flags, given=json.dumps(RENDERINGS[switch]))
    assert ended.returncode == 0, ended.stderr
    notes = ended.stdout.partition("NOTES:")[2]
    for sentence in sentences:
        assert sentence in notes
    assert re.search(r"\n{3}", notes.strip()) is None
