"""Fields of custom resources: of those that no registry has schemas of, as their documentation names them."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Fields = dict[str, Any]
"""Members by name; the value is the fields of a map or of the maps in a list, None for anything else."""

NAMES: Fields = {"name": None, "labels": None, "annotations": None}

DOCUMENTED: dict[str, tuple[str, Fields]] = {
    # https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.ServiceMonitor
    "ServiceMonitor": (
        "monitoring.coreos.com/v1",
        {
            "selector": {"matchLabels": None, "matchExpressions": None},
            "namespaceSelector": {"any": None, "matchNames": None},
            "endpoints": {"port": None, "path": None, "interval": None, "scrapeTimeout": None, "scheme": None},
        },
    ),
    # https://gateway-api.sigs.k8s.io/reference/spec/#httproute
    "HTTPRoute": (
        "gateway.networking.k8s.io/v1",
        {
            "parentRefs": dict.fromkeys(("group", "kind", "namespace", "name", "sectionName", "port")),
            "hostnames": None,
            "rules": {
                "name": None,
                "matches": None,
                "filters": None,
                "backendRefs": dict.fromkeys(("group", "kind", "name", "namespace", "port", "weight", "filters")),
                "timeouts": {"request": None, "backendRequest": None},
            },
        },
    ),
    # https://docs.nginx.com/nginx-gateway-fabric/reference/api/#gateway.nginx.org/v1alpha1.ClientSettingsPolicy
    "ClientSettingsPolicy": (
        "gateway.nginx.org/v1alpha1",
        {
            "targetRef": {"group": None, "kind": None, "name": None},
            "body": {"maxSize": None, "timeout": None},
            "keepAlive": None,
        },
    ),
}
"""The API version and the fields of the spec of each kind that the chart renders."""

RESOURCES = {"requests": None, "limits": None}

POD_GROUP: Fields = {"rayStartParams": None, "template": None, "resources": None, "labels": None}

RAY: dict[str, tuple[str, Fields]] = {
    # https://ray-project.github.io/kuberay/reference/api/#rayservice
    "RayService": (
        "ray.io/v1",
        {
            "serveConfigV2": None,
            "rayClusterConfig": {
                "rayVersion": None,
                "authOptions": {"mode": None},
                "enableInTreeAutoscaling": None,
                "autoscalerOptions": {
                    "resources": RESOURCES,
                    **dict.fromkeys(("image", "imagePullPolicy", "env", "envFrom", "volumeMounts", "securityContext")),
                    **dict.fromkeys(("idleTimeoutSeconds", "upscalingMode", "version")),
                },
                "headGroupSpec": {**POD_GROUP, "serviceType": None, "headService": None, "enableIngress": None},
                "workerGroupSpecs": {
                    **POD_GROUP,
                    **dict.fromkeys(("groupName", "replicas", "minReplicas", "maxReplicas", "numOfHosts")),
                    **dict.fromkeys(("idleTimeoutSeconds", "scaleStrategy", "suspend")),
                },
                **dict.fromkeys(("headServiceAnnotations", "gcsFaultToleranceOptions", "suspend", "managedBy")),
            },
            "serveService": None,
            "upgradeStrategy": None,
            "rayClusterDeletionDelaySeconds": None,
            "excludeHeadPodFromServeSvc": None,
        },
    ),
}
"""The same for the kinds of KubeRay; templates are pods of Kubernetes, which has schemas of them."""


def unknown_fields(value: Any, fields: Fields | None, place: str) -> Iterator[str]:
    """Yield the place of each member that the fields do not name."""
    if fields is None:
        return
    if isinstance(value, list):
        for index, one in enumerate(value):
            yield from unknown_fields(one, fields, f"{place}/{index}")
        return
    for name, member in value.items():
        if name in fields:
            yield from unknown_fields(member, fields[name], f"{place}/{name}")
        else:
            yield f"{place}/{name}"


def unknown_to_documentation(document: dict[str, Any]) -> list[str]:
    """Return the faults of a custom resource of a kind in `DOCUMENTED` or `RAY`."""
    version, fields = {**DOCUMENTED, **RAY}[document["kind"]]
    wrong = [] if document["apiVersion"] == version else [f"/apiVersion: expected {version}"]
    known = {"apiVersion": None, "kind": None, "metadata": NAMES, "spec": fields}
    return [*wrong, *unknown_fields(document, known, "")]


class PublishedModels:
    """The models that KServe publishes as the Python package `kserve`, read without importing it.

    :param directory: the directory ``kserve/models`` of the installed package.
    """

    def __init__(self, directory: Path) -> None:
        self._classes = {
            statement.name: statement
            for path in directory.glob("*.py")
            for statement in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(statement, ast.ClassDef)
        }

    def unknown(self, value: Any, model: str, place: str = "") -> Iterator[str]:
        """Yield the place of each member that a model does not have; types of Kubernetes itself are not looked into."""
        if model.startswith("list["):
            for index, one in enumerate(value):
                yield from self.unknown(one, model[5:-1], f"{place}/{index}")
        elif model in self._classes:
            types, names = self._table(model, "openapi_types"), self._table(model, "attribute_map")
            members = {names[attribute]: kind for attribute, kind in types.items()}
            for name, member in value.items():
                if name in members:
                    yield from self.unknown(member, members[name], f"{place}/{name}")
                else:
                    yield f"{place}/{name}"

    def _table(self, model: str, name: str) -> dict[str, str]:
        """Return a dictionary that the body of a class assigns."""
        [value] = [
            statement.value
            for statement in self._classes[model].body
            if isinstance(statement, ast.Assign) and statement.targets[0].id == name
        ]
        return ast.literal_eval(value)
