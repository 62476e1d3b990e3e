"""Rules of the manifests that no schema knows: security, limits, probes, times, and names that must agree."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from service.settings import Settings

Document = Mapping[str, Any]

UNITS = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
VARIABLES = {f"ATTENTION_{name.upper()}" for name in Settings.model_fields}


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that some object makes."""

    name: str
    spec: Document
    labels: Mapping[str, str]
    serves: bool
    """Whether it runs the service; the pod of `helm test` does not."""

    @property
    def container(self) -> Document:
        """Return its only container; raise ValueError where it has another number."""
        [only] = self.spec["containers"]
        return only

    @property
    def environment(self) -> dict[str, str | None]:
        """Return the variables of the container; the value of a secret is None."""
        return {one["name"]: one.get("value") for one in self.container.get("env", [])}

    def setting(self, name: str) -> float:
        """Return a setting that is a number, which keeps its default where no variable says another."""
        return float(self.environment.get(f"ATTENTION_{name.upper()}") or Settings.model_fields[name].default)


def number(quantity: str | float) -> float:
    """Return a quantity of Kubernetes, such as 500m or 1Gi, as a number."""
    digits, unit = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", str(quantity)).groups()
    return float(digits) / 1000 if unit == "m" else float(digits) * UNITS[unit]


def of_kind(documents: Iterable[Document], kind: str) -> list[Document]:
    """Return the documents of a kind."""
    return [one for one in documents if one["kind"] == kind]


def ray_pods(documents: list[Document]) -> list[Pod]:
    """Return the pods of the clusters that KubeRay makes: the head, and one of each group of workers."""
    found = []
    for one in of_kind(documents, "RayService"):
        cluster = one["spec"]["rayClusterConfig"]
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
            template = group["template"]
            name = template["spec"]["containers"][0]["name"]
            found.append(Pod(name, template["spec"], template["metadata"]["labels"], serves=False))
    return found


def pods(documents: list[Document]) -> list[Pod]:
    """Return the pods that the documents make: of Deployments, of KServe, and single ones."""
    found = [
        Pod(one["metadata"]["name"], template["spec"], template["metadata"]["labels"], serves=True)
        for one in of_kind(documents, "Deployment")
        for template in [one["spec"]["template"]]
    ]
    found += [
        Pod(one["metadata"]["name"], one["spec"], one["metadata"]["labels"], serves=False)
        for one in of_kind(documents, "Pod")
    ]
    runtimes = {one["metadata"]["name"]: one["spec"] for one in of_kind(documents, "ClusterServingRuntime")}
    for one in of_kind(documents, "InferenceService"):
        predictor = one["spec"]["predictor"]
        found.append(Pod(one["metadata"]["name"], {**predictor, **runtimes[predictor["model"]["runtime"]]}, {}, True))
    return found


def broken_rules(documents: list[Document]) -> list[str]:
    """Return a sentence for each rule that the documents break."""
    return [
        *(f"{pod.name}: {sentence}" for pod in [*pods(documents), *ray_pods(documents)] for sentence in _of_pod(pod)),
        *_of_names(documents),
        *_of_scaling(documents),
        *_of_network(documents),
    ]


def _expect(holds: object, sentence: str) -> Iterator[str]:
    if not holds:
        yield sentence


def _of_pod(pod: Pod) -> Iterator[str]:
    spec, security = pod.spec, pod.spec.get("securityContext", {})
    yield from _expect(spec.get("enableServiceLinks") is False, "enableServiceLinks is not false")
    yield from _expect(spec.get("automountServiceAccountToken") is False, "a token of the account is mounted")
    yield from _expect(not any(spec.get(f"host{name}") for name in ("Network", "PID", "IPC")), "it is in the host")
    yield from _expect(security.get("runAsNonRoot") is True, "the pod may run as root")
    yield from _expect(security.get("runAsUser", 0) > 0, "no user is named")
    yield from _expect(security.get("seccompProfile") == {"type": "RuntimeDefault"}, "no seccomp profile")
    yield from _of_volumes(spec, pod.container)
    for container in (pod.container, *spec.get("initContainers", [])):
        yield from _of_container(container)
    if pod.serves:
        yield from _of_service(pod)


def _of_volumes(spec: Document, container: Document) -> Iterator[str]:
    volumes = {one["name"]: one for one in spec.get("volumes", [])}
    containers = (container, *spec.get("initContainers", []))
    mounted = {one["name"] for each in containers for one in each.get("volumeMounts", [])}
    yield from _expect(set(volumes) == mounted, f"volumes {sorted(volumes)} are not the mounts {sorted(mounted)}")
    for name, volume in volumes.items():
        yield from _expect("hostPath" not in volume, f"volume {name} is a path of the host")
        if "emptyDir" in volume:
            yield from _expect(volume["emptyDir"].get("sizeLimit"), f"volume {name} has no limit")


def _of_container(container: Document) -> Iterator[str]:
    security, limits = container.get("securityContext", {}), container.get("resources", {}).get("limits", {})
    yield from _expect(security.get("allowPrivilegeEscalation") is False, "privileges may be escalated")
    yield from _expect(security.get("readOnlyRootFilesystem") is True, "the root file system can be written")
    yield from _expect(security.get("capabilities") == {"drop": ["ALL"]}, "capabilities are not dropped")
    yield from _expect(security.get("runAsNonRoot") is True, "the container may run as root")
    yield from _expect(not security.get("privileged"), "it is privileged")
    yield from _expect("memory" in limits, "the memory has no limit")
    tagged = re.fullmatch(r"[^@\s]+(@sha256:[0-9a-f]{64}|:[\w.-]+)", container["image"])
    yield from _expect(tagged and not container["image"].endswith(":latest"), "the image has no version")


def _of_service(pod: Pod) -> Iterator[str]:
    container, resources = pod.container, pod.container.get("resources", {})
    ports = {port.get("name", port["containerPort"]): port["containerPort"] for port in container["ports"]}
    paths = {"startupProbe": "/readyz", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    for probe, path in paths.items():
        asked = container.get(probe, {}).get("httpGet", {})
        yield from _expect(asked.get("path") == path, f"{probe} does not ask for {path}")
        yield from _expect(asked.get("port") in ports, f"{probe} asks at no port of the container")
    yield from _expect(list(ports.values()) == [int(pod.environment.get("ATTENTION_PORT") or 0)], "ports differ")
    grace = pod.spec.get("terminationGracePeriodSeconds", 30)
    yield from _expect(grace > pod.setting("drain_seconds"), "it is killed before it has drained")
    yield from _expect(pod.setting("ready_delay_seconds") >= 2, "requests come after the listener has closed")
    unknown = {name for name in pod.environment if name.startswith("ATTENTION_")} - VARIABLES
    yield from _expect(not unknown, f"no setting is called {sorted(unknown)}")
    workers = int(pod.setting("workers"))
    cores = (resources.get("limits") or {}).get("cpu") or (resources.get("requests") or {}).get("cpu")
    threads = pod.environment.get("ATTENTION_COMPUTE_THREADS")
    wanted = str(max(1, ceil(number(cores)) // workers)) if cores else None
    yield from _expect(threads == wanted, f"{threads} compute threads, where {wanted} follow the CPU limit")
    memory = number(resources.get("limits", {}).get("memory", 0))
    held = workers * pod.setting("bytes_in_flight")
    yield from _expect(held <= memory / 2, "requests in flight may take more than half of the memory")


def _of_names(documents: list[Document]) -> Iterator[str]:
    """Check that selectors find the pods that serve, and that objects name objects which exist."""
    for one in documents:
        kind, spec = one["kind"], one.get("spec", {})
        selectors = {
            "Deployment": lambda spec=spec: spec["selector"]["matchLabels"],
            "Service": lambda spec=spec: spec["selector"],
            "PodDisruptionBudget": lambda spec=spec: spec["selector"]["matchLabels"],
            "NetworkPolicy": lambda spec=spec: spec["podSelector"]["matchLabels"],
        }
        if kind in selectors:
            wanted = selectors[kind]().items()
            for pod in [*pods(documents), *ray_pods(documents)]:
                found = wanted <= pod.labels.items()
                yield from _expect(found == pod.serves, f"{kind}: the selector and the pod {pod.name} disagree")
    services = {one["metadata"]["name"]: one for one in of_kind(documents, "Service")}
    for one in of_kind(documents, "Ingress"):
        for rule in one["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                yield from _expect(path["backend"]["service"]["name"] in services, "Ingress: no such Service")
    for one in of_kind(documents, "HTTPRoute"):
        for backend in (each for rule in one["spec"]["rules"] for each in rule["backendRefs"]):
            ports = [port["port"] for port in services.get(backend["name"], {"spec": {"ports": []}})["spec"]["ports"]]
            yield from _expect(backend["port"] in ports, "HTTPRoute: no such Service")
    for one in of_kind(documents, "ServiceMonitor"):
        labels = [each["metadata"]["labels"].items() for each in services.values()]
        wanted = one["spec"]["selector"]["matchLabels"].items()
        yield from _expect(any(wanted <= items for items in labels), "ServiceMonitor: it selects no Service")


def _of_scaling(documents: list[Document]) -> Iterator[str]:
    deployments = {one["metadata"]["name"]: one["spec"] for one in of_kind(documents, "Deployment")}
    for one in of_kind(documents, "HorizontalPodAutoscaler"):
        target = deployments.get(one["spec"]["scaleTargetRef"]["name"])
        yield from _expect(target is not None, "HorizontalPodAutoscaler: no such Deployment")
        yield from _expect("replicas" not in (target or {}), "the Deployment resets the number of the autoscaler")
    for name, spec in deployments.items():
        volumes = spec["template"]["spec"].get("volumes", [])
        if any("persistentVolumeClaim" in volume for volume in volumes):
            yield from _expect(spec.get("replicas") == 1, f"{name}: several pods share a directory of memories")
            yield from _expect(spec["strategy"]["type"] == "Recreate", f"{name}: two pods want the volume")


def _of_network(documents: list[Document]) -> Iterator[str]:
    for one in of_kind(documents, "NetworkPolicy"):
        spec = one["spec"]
        yield from _expect(set(spec["policyTypes"]) == {"Ingress", "Egress"}, "NetworkPolicy: a direction is open")
        ports = [port.get("port") for rule in [*spec["ingress"], *spec["egress"]] for port in rule.get("ports", [{}])]
        yield from _expect(None not in ports, "NetworkPolicy: every port is open")
        for rule in spec["egress"]:
            names = {port.get("port") for port in rule.get("ports", [])} == {53}
            yield from _expect(not names or rule.get("to"), "NetworkPolicy: port 53 is open to every address")
