"""The manifests for people without Helm, and those of KServe, keep every rule; each rule finds what breaks it."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from development import manifests
from service.settings import Settings
from tests.deploy.rules import broken_rules, of_kind, pods

DEPLOY = Path(__file__).parents[2] / "deploy"
PLAIN = list(yaml.safe_load_all(manifests.MANIFESTS.read_text(encoding="utf-8")))
KSERVE = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((DEPLOY / "kserve").glob("*.yaml"))]
DRAIN = {"name": "ATTENTION_DRAIN_SECONDS", "value": "30"}


def test_the_manifests_are_those_of_the_chart_as_it_is_now() -> None:
    """The rendering itself is compared in the soak, which has helm."""
    head = manifests.MANIFESTS.read_text(encoding="utf-8").splitlines()[2]
    assert head == f"# SHA-256 of the chart: {manifests.chart_digest()}", "stale: run make manifests"


def test_the_digest_changes_with_a_template_and_with_a_value_but_not_with_a_comment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(manifests.CHART, tmp_path / "chart")
    monkeypatch.setattr(manifests, "CHART", tmp_path / "chart")
    seen = [manifests.chart_digest()]
    values, template = tmp_path / "chart" / "values.yaml", tmp_path / "chart" / "templates" / "service.yaml"
    for path, old, new in (
        (values, "# Pods, where", "# Pods where"),
        (values, "replicaCount: 2", "replicaCount: 3"),
        (template, "TCP", "UDP"),
    ):
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        seen.append(manifests.chart_digest())
    assert seen[0] == seen[1]
    assert len(set(seen)) == 3


@pytest.mark.parametrize("documents", [PLAIN, KSERVE], ids=["kubernetes", "kserve"])
def test_they_keep_every_rule(documents: list[dict[str, Any]]) -> None:
    assert broken_rules(documents) == []
    assert len(pods(documents)) == 1


def test_the_plain_manifests_are_all_that_a_cluster_needs() -> None:
    assert {one["kind"] for one in PLAIN} == {"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"}
    assert "Helm" not in {one["metadata"]["labels"].get("app.kubernetes.io/managed-by") for one in PLAIN}


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize("documents", [PLAIN, KSERVE], ids=["kubernetes", "kserve"])
def test_the_service_reads_their_settings(documents: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    [pod] = pods(documents)
    for name, value in pod.environment.items():
        monkeypatch.setenv(name, value or "")
    settings = Settings()
    assert (settings.port, settings.compute_threads, settings.ready_delay_seconds) == (8000, 2, 5)
    assert settings.memories_directory == "", "replicas that share no directory keep no memories"
    assert settings.ready_delay_seconds < settings.drain_seconds < pod.spec["terminationGracePeriodSeconds"]


def test_kserve_finds_the_runtime_of_the_service() -> None:
    [runtime], [service] = of_kind(KSERVE, "ClusterServingRuntime"), of_kind(KSERVE, "InferenceService")
    model = service["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["modelFormat"]["name"] in [one["name"] for one in runtime["spec"]["supportedModelFormats"]]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"] == ["v2"]
    assert runtime["spec"]["containers"][0]["name"] == "kserve-container"


def _pod(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return of_kind(documents, "Deployment")[0]["spec"]["template"]["spec"]


def _container(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return _pod(documents)["containers"][0]


def _spec(documents: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return of_kind(documents, kind)[0]["spec"]


BREAKING: dict[str, Callable[[list[dict[str, Any]]], object]] = {
    "enableServiceLinks": lambda all_: _pod(all_).pop("enableServiceLinks"),
    "a token of the account": lambda all_: _pod(all_).pop("automountServiceAccountToken"),
    "in the host": lambda all_: _pod(all_).update(hostNetwork=True),
    "the pod may run as root": lambda all_: _pod(all_)["securityContext"].pop("runAsNonRoot"),
    "no user is named": lambda all_: _pod(all_)["securityContext"].update(runAsUser=0),
    "no seccomp profile": lambda all_: _pod(all_)["securityContext"].pop("seccompProfile"),
    "are not the mounts": lambda all_: _container(all_)["volumeMounts"].clear(),
    "a path of the host": lambda all_: _pod(all_)["volumes"][0].update(hostPath={"path": "/"}),
    "has no limit": lambda all_: _pod(all_)["volumes"][0]["emptyDir"].pop("sizeLimit"),
    "escalated": lambda all_: _container(all_)["securityContext"].pop("allowPrivilegeEscalation"),
    "can be written": lambda all_: _container(all_)["securityContext"].update(readOnlyRootFilesystem=False),
    "capabilities": lambda all_: _container(all_)["securityContext"]["capabilities"].update(add=["SYS_PTRACE"]),
    "the container may run as root": lambda all_: _container(all_)["securityContext"].pop("runAsNonRoot"),
    "it is privileged": lambda all_: _container(all_)["securityContext"].update(privileged=True),
    "the memory has no limit": lambda all_: _container(all_)["resources"]["limits"].pop("memory"),
    "no version": lambda all_: _container(all_).update(image="attention-service:latest"),
    "does not ask for /livez": lambda all_: _container(all_).pop("livenessProbe"),
    "startupProbe": lambda all_: _container(all_).pop("startupProbe"),
    "no port of the container": lambda all_: _container(all_)["readinessProbe"]["httpGet"].update(port=80),
    "ports differ": lambda all_: _container(all_)["ports"][0].update(containerPort=8080),
    "killed before it has drained": lambda all_: _container(all_)["env"].append(DRAIN),
    "after the listener has closed": lambda all_: _container(all_)["env"].pop(2),
    "no setting is called": lambda all_: _container(all_)["env"].append({"name": "ATTENTION_TREADS", "value": "2"}),
    "follow the CPU limit": lambda all_: _container(all_)["resources"]["limits"].update(cpu="2500m"),
    "more than half of the memory": lambda all_: _container(all_)["resources"]["limits"].update(memory="500Mi"),
    "Service: the selector": lambda all_: _spec(all_, "Service")["selector"].update(app="other"),
    "PodDisruptionBudget: the": lambda all_: _spec(all_, "PodDisruptionBudget")["selector"]["matchLabels"].update(a=""),
    "NetworkPolicy: the": lambda all_: _spec(all_, "NetworkPolicy")["podSelector"]["matchLabels"].update(a="b"),
    "a direction is open": lambda all_: _spec(all_, "NetworkPolicy")["policyTypes"].remove("Egress"),
    "every port is open": lambda all_: _spec(all_, "NetworkPolicy")["egress"].append({}),
    "open to every address": lambda all_: _spec(all_, "NetworkPolicy")["egress"][0].pop("to"),
    "several pods share": lambda all_: _pod(all_)["volumes"].append({"name": "m", "persistentVolumeClaim": {}}),
}


@pytest.mark.parametrize("sentence", BREAKING)
def test_a_rule_finds_what_breaks_it(sentence: str) -> None:
    broken = copy.deepcopy(PLAIN)
    BREAKING[sentence](broken)
    assert sentence in " ".join(broken_rules(broken))
