"""The files for Ray: those of KubeRay have fields that exist and keep our rules, and deploy what Serve deploys."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.cluster.local import HEALTH_CHECKS
from service.ray_serve.proxy import IMPORT_PATH
from service.settings import Settings
from tests.deploy.fields import unknown_to_documentation
from tests.deploy.helm import Documents, skip_without_helm, validated
from tests.deploy.rules import broken_rules, number, of_kind, ray_pods

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "deploy" / "ray"
RAY: Documents = list(yaml.safe_load_all((DIRECTORY / "rayservice.yaml").read_text(encoding="utf-8")))
SERVE: dict[str, Any] = yaml.safe_load((DIRECTORY / "serve.yaml").read_text(encoding="utf-8"))
[SERVICE], [POLICY] = of_kind(RAY, "RayService"), of_kind(RAY, "NetworkPolicy")
CLUSTER = SERVICE["spec"]["rayClusterConfig"]
HEAD, WORKER = ray_pods(RAY)
[DEPLOYMENT] = SERVE["applications"][0]["deployments"]


def test_kuberay_deploys_what_serve_deploys() -> None:
    assert yaml.safe_load(SERVICE["spec"]["serveConfigV2"]) == SERVE


def test_every_field_is_one_of_the_documentation() -> None:
    assert unknown_to_documentation(SERVICE) == []
    broken = copy.deepcopy(SERVICE)
    broken["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["replica"] = 2
    assert unknown_to_documentation(broken) == ["/spec/rayClusterConfig/workerGroupSpecs/0/replica"]


def test_the_pods_keep_every_rule_but_the_head_has_a_token() -> None:
    """The autoscaler, a container of the head, asks Kubernetes for pods."""
    assert CLUSTER["enableInTreeAutoscaling"] is True
    wrong = [one for one in broken_rules(RAY) if not one.startswith("NetworkPolicy: the selector")]
    assert wrong == ["ray-head: a token of the account is mounted"]
    for pod in (HEAD, WORKER):
        assert POLICY["spec"]["podSelector"]["matchLabels"].items() <= pod.labels.items()


@pytest.mark.parametrize("pod", [HEAD, WORKER], ids=["head", "worker"])
def test_a_node_notices_a_dead_one_and_answers_in_the_format_of_the_service(pod: Any) -> None:
    assert HEALTH_CHECKS.items() <= pod.environment.items()
    assert pod.environment["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"] == IMPORT_PATH
    ports = {port["name"] for port in pod.container["ports"]}
    for probe in ("livenessProbe", "readinessProbe"):
        assert pod.container[probe]["httpGet"]["port"] in ports


def test_ray_asks_for_a_token() -> None:
    assert CLUSTER["authOptions"] == {"mode": "token"}


def test_the_version_of_ray_is_that_of_the_image() -> None:
    lock = (ROOT / "requirements" / "ray.txt").read_text(encoding="utf-8")
    assert f"\nray=={CLUSTER['rayVersion']} " in lock.replace("[serve]", "")
    chart = yaml.safe_load((ROOT / "deploy/helm/attention-service/Chart.yaml").read_text(encoding="utf-8"))
    for pod in (HEAD, WORKER):
        assert pod.container["image"] == f"attention-service:{chart['appVersion']}-ray"


def test_replicas_fit_into_the_pods() -> None:
    [group] = CLUSTER["workerGroupSpecs"]
    cpus = float(group["rayStartParams"]["num-cpus"])
    limits = WORKER.container["resources"]["limits"]
    options = DEPLOYMENT["ray_actor_options"]
    assert cpus == number(limits["cpu"])
    fitting = int(cpus // options["num_cpus"])
    assert fitting * group["minReplicas"] >= DEPLOYMENT["autoscaling_config"]["min_replicas"]
    assert fitting * group["maxReplicas"] >= DEPLOYMENT["autoscaling_config"]["max_replicas"]
    assert fitting * options["memory"] <= number(limits["memory"]) / 2


def test_the_times_of_serve_are_longer_than_those_of_the_service() -> None:
    fields = Settings.model_fields
    deadline, body = (fields[f"{name}_seconds"].default for name in ("deadline", "body_timeout"))
    assert SERVE["http_options"]["request_timeout_s"] > deadline + body
    shutdown = DEPLOYMENT["graceful_shutdown_timeout_s"]
    assert deadline < shutdown < WORKER.spec["terminationGracePeriodSeconds"]
    assert DEPLOYMENT["max_ongoing_requests"] > fields["queue_size"].default


@pytest.mark.soak
def test_the_pods_are_valid_for_every_version_of_kubernetes() -> None:
    skip_without_helm()
    documents = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod.name, "labels": dict(pod.labels)},
            "spec": pod.spec,
        }
        for pod in (HEAD, WORKER)
    ]
    assert validated([*documents, POLICY]) == ([], [])
