"""What `docker compose --profile ray` starts: three nodes, and a front that has joined them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.cluster.local import HEALTH_CHECKS
from service.settings import Settings

DOCUMENT: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.yml").read_text())
SERVICES = DOCUMENT["services"]
RAY = {name: one for name, one in SERVICES.items() if one.get("profiles") == ["ray"]}
NODES = ("ray-head", "ray-worker-1", "ray-worker-2")
FRONT = RAY["ray-front"]
UNITS = {"m": 2**20, "g": 2**30}


def size(text: str) -> int:
    """Return bytes."""
    return int(text[:-1]) * UNITS[text[-1]]


def flags(name: str) -> dict[str, str]:
    """Return the flags of a node."""
    return dict(word.removeprefix("--").partition("=")[::2] for word in RAY[name]["command"][1:])


def test_the_profile_has_three_nodes_and_a_front() -> None:
    assert set(RAY) == {*NODES, "ray-front"}
    for name in NODES:
        assert RAY[name]["entrypoint"] == ["/opt/venv/bin/ray"]
        assert RAY[name]["command"][0] == "start"
        assert {"block", "disable-usage-stats"} <= set(flags(name))
    assert "head" in flags("ray-head")
    assert {flags(name)["address"] for name in NODES[1:]} == {f"ray-head:{flags('ray-head')['port']}"}


@pytest.mark.parametrize("name", RAY)
def test_each_is_kept_in(name: str) -> None:
    service = RAY[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "user", "devices"} & set(service)
    assert service["build"]["args"] == {"LOCK": "ray"}
    assert service["image"] == "attention-service:ray"
    assert "mem_limit" in service
    assert "pids_limit" in service
    assert all(re.fullmatch(r"/tmp:size=\d+m", one) for one in service["tmpfs"])
    assert not any(volume.startswith((".", "/")) for volume in service["volumes"])


@pytest.mark.parametrize("name", NODES)
def test_the_object_store_fits_into_shared_memory_and_half_of_the_limit(name: str) -> None:
    store = int(flags(name)["object-store-memory"])
    assert store <= size(RAY[name]["shm_size"])
    assert store <= size(RAY[name]["mem_limit"]) / 2
    assert int(flags(name)["num-cpus"]) == RAY[name]["cpus"]


@pytest.mark.parametrize("name", RAY)
def test_a_dead_node_is_noticed_soon(name: str) -> None:
    assert HEALTH_CHECKS.items() <= RAY[name]["environment"].items()


def test_nothing_of_ray_is_published() -> None:
    """Who reaches Ray, or its dashboard, can run anything in it."""
    assert flags("ray-head")["include-dashboard"] == "false"
    assert [RAY[name]["ports"] for name in NODES] == [["${PUBLISH_ADDRESS:-127.0.0.1}:8001:8000"], [], []]
    others = [one for name, one in SERVICES.items() if name not in RAY]
    assert not any("ray" in one.get("networks", []) for one in others)


def test_the_front_has_joined_the_node_of_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver connects to a node of its own machine: by its network, its sockets, its memory and its processes."""
    assert {FRONT[name] for name in ("network_mode", "pid", "ipc")} == {"service:ray-head"}
    assert RAY["ray-head"]["ipc"] == "shareable"
    assert "networks" not in FRONT
    assert "ray:/tmp/ray" in FRONT["volumes"]
    assert "ray:/tmp/ray" in RAY["ray-head"]["volumes"]
    own = {name: value for name, value in FRONT["environment"].items() if name.startswith("ATTENTION_")}
    assert set(own) <= {f"ATTENTION_{name.upper()}" for name in Settings.model_fields}
    assert own["ATTENTION_RAY_ADDRESS"] == f"ray-head:{flags('ray-head')['port']}"
    assert FRONT["healthcheck"] == SERVICES["attention"]["healthcheck"]


def test_every_node_reads_the_memories() -> None:
    assert all("memories:/var/lib/attention-service" in service["volumes"] for service in RAY.values())
    assert DOCUMENT["volumes"]["ray"]["driver_opts"]["o"].startswith("uid=10001,")
