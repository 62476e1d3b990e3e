"""Values for every switch of the chart, each set a rendering of its own."""

from typing import Any

Values = dict[str, Any]

REDIS = {"store": "redis", "redis": {"url": "redis://:secret@redis.data.svc:6380/2"}}
PEER = {"namespaceSelector": {"matchLabels": {"name": "web"}}}

SWITCHES: dict[str, Values] = {
    "defaults": {},
    "image by digest": {
        "image": {"repository": "registry.example/attention", "digest": f"sha256:{'0a' * 32}", "pullPolicy": "Always"}
    },
    "image by tag": {"image": {"tag": "1.2.3", "pullSecrets": ["registry"]}},
    "names": {"nameOverride": "heads", "fullnameOverride": "attention"},
    "one replica": {"replicaCount": 1},
    "workers": {
        "settings": {"workers": 3},
        "resources": {"limits": {"cpu": "7500m", "memory": "4Gi"}, "requests": {"cpu": 2, "memory": "1Gi"}},
    },
    "half a core": {"resources": {"limits": {"cpu": 0.5}, "requests": {"cpu": "100m"}}},
    "no limit of processors": {"resources": {"limits": {"cpu": None}, "requests": {"cpu": "1500m"}}},
    "settings": {
        "settings": {
            "host": "::",
            "root_path": "/attention",
            "trusted_proxies": ["10.0.0.0/8", "::1"],
            "cors_origins": "https://a.example,https://b.example",
            "max_operations": 3_000_000_000_000,
            "max_body_bytes": 134_217_728,
            "bytes_in_flight": 402_653_184,
            "deadline_seconds": 90.5,
            "body_timeout_seconds": 45,
            "drain_seconds": 119.5,
            "ready_delay_seconds": 12,
            "log_level": "warning",
        },
        "ingress": {"enabled": True},
    },
    "extra variables": {"extraEnv": [{"name": "OTEL_SERVICE_NAME", "value": "attention"}]},
    "keys": {"keys": {"entries": [f"team-a=sha256:{'1b' * 32}", "example-key-1"]}, "tests": {"keySecret": "test-key"}},
    "keys of a secret": {"keys": {"existingSecret": "attention-keys"}},
    "memories in a claim": {"replicaCount": 1, "memories": {"store": "claim"}},
    "memories in a class": {
        "replicaCount": 1,
        "memories": {
            "store": "claim",
            "claim": {"size": "50Gi", "storageClassName": "fast", "accessModes": ["ReadWriteOncePod"]},
        },
    },
    "memories in a claim of yours": {
        "replicaCount": 1,
        "memories": {"store": "claim", "claim": {"existingClaim": "memories"}},
    },
    "memories in Redis": {"memories": REDIS},
    "memories in Redis by a secret": {
        "memories": {
            "store": "redis",
            "redis": {"existingSecret": "redis", "port": 6390, "peers": [PEER], "cacheSize": "1Gi"},
        }
    },
    "Ray": {"ray": {"address": "attention-head-svc:6379"}},
    "Ray with a token": {
        "ray": {
            "address": "ray.data.svc:6380",
            "tokenSecret": "ray-token",
            "objectStoreBytes": 4_294_967_296,
            "resources": {"requests": {"cpu": "500m", "memory": "2Gi"}, "limits": {"memory": "9Gi"}},
            "peers": [PEER],
        },
        "settings": {"ray_min_operations": 50_000_000_000},
        "memories": REDIS,
    },
    "service": {"service": {"type": "LoadBalancer", "port": 8080, "annotations": {"example.org/pool": "public"}}},
    "autoscaling by processor": {"autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": 60}},
    "autoscaling by queue": {
        "autoscaling": {
            "enabled": True,
            "minReplicas": 3,
            "maxReplicas": 30,
            "metric": "queued",
            "targetQueued": 2,
            "scaleDownStabilizationSeconds": 60,
        },
        "memories": REDIS,
    },
    "no disruption budget": {"podDisruptionBudget": {"enabled": False}},
    "disruption budget in percent": {"podDisruptionBudget": {"maxUnavailable": "25%"}},
    "no network policy": {"networkPolicy": {"enabled": False}},
    "network policy": {
        "networkPolicy": {
            "from": [PEER],
            "dns": [{"ipBlock": {"cidr": "169.254.20.10/32"}}],
            "extraEgress": [{"to": [PEER], "ports": [{"port": 4318, "protocol": "TCP"}]}],
        }
    },
    "ingress": {"ingress": {"enabled": True, "tlsSecret": "certificate", "path": "/attention"}},
    "ingress of another controller": {
        "ingress": {
            "enabled": True,
            "className": "haproxy",
            "controller": "other",
            "annotations": {"haproxy.org/timeout-server": "65s"},
            "host": "attention.example",
        }
    },
    "route": {"route": {"enabled": True, "parentRefs": [{"name": "public", "namespace": "gateways"}]}},
    "route with a size": {
        "route": {
            "enabled": True,
            "parentRefs": [{"name": "public"}],
            "hostnames": ["attention.example.org"],
            "bodySize": "nginx-gateway-fabric",
        }
    },
    "service monitor": {
        "serviceMonitor": {"enabled": True, "interval": "30s", "labels": {"release": "prometheus"}},
    },
    "dashboards": {"dashboards": {"enabled": True, "labels": {"grafana_dashboard": "yes"}}},
    "scheduling": {
        "podAnnotations": {"example.org/team": "attention"},
        "podLabels": {"example.org/tier": "serving"},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "priorityClassName": "serving",
    },
}
"""Values by what they switch."""

ALL_AT_ONCE: Values = {
    name: value
    for switch in (
        "workers",
        "extra variables",
        "keys",
        "memories in Redis",
        "Ray",
        "autoscaling by queue",
        "network policy",
        "ingress",
        "route with a size",
        "service monitor",
        "dashboards",
        "scheduling",
    )
    for name, value in SWITCHES[switch].items()
}

REFUSED: dict[str, tuple[Values, str]] = {
    "a setting that the chart decides": ({"settings": {"port": 80}}, "additional properties 'port' not allowed"),
    "a wrong setting": ({"settings": {"workers": 0}}, "at '/settings/workers'"),
    "an unknown value": ({"replicas": 3}, "additional properties 'replicas' not allowed"),
    "a setting among the variables": ({"extraEnv": [{"name": "attention_port", "value": "1"}]}, "/extraEnv/0/name"),
    "a key with a blank": ({"keys": {"entries": ["two words"]}}, "/keys/entries/0"),
    "a limit that is no quantity": ({"resources": {"limits": {"cpu": "two"}}}, "/resources/limits/cpu"),
    "several pods with one volume": (
        {"memories": {"store": "claim"}},
        "replicaCount: expected 1 with memories.store claim; received 2.",
    ),
    "an autoscaler with one volume": (
        {"memories": {"store": "claim"}, "autoscaling": {"enabled": True}},
        "autoscaling.enabled: expected false with memories.store claim; received true.",
    ),
    "Redis without an address": (
        {"memories": {"store": "redis"}},
        "memories.redis.url: expected a URL or memories.redis.existingSecret",
    ),
    "an address of Ray without a port": ({"ray": {"address": "auto"}}, "at '/ray/address'"),
    "a route without a gateway": ({"route": {"enabled": True}}, "route.parentRefs: expected at least one gateway"),
    "fewer pods at most than at least": (
        {"autoscaling": {"enabled": True, "maxReplicas": 1}},
        "autoscaling.maxReplicas: expected at least minReplicas, which is 2; received 1.",
    ),
    "a share of no request": (
        {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}},
        "resources.requests.cpu: expected a request with autoscaling.metric cpu",
    ),
    "a delay as long as the drain": (
        {"settings": {"drain_seconds": 5}},
        "settings.ready_delay_seconds: expected less than settings.drain_seconds, which includes it and is 5",
    ),
}
"""Values that no rendering may come from, each with a part of the message."""
