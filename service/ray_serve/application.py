"""Replicas of Ray Serve, each with an application of its own; settings come from the environment, as everywhere."""

import tempfile
from math import ceil
from pathlib import Path
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve

from service.environment import our_variable
from service.main import create_app
from service.memories import why_unusable
from service.ray_serve.exchange import ServedApplication
from service.settings import Settings

OPTIONS: dict[str, Any] = {
    "name": "attention",
    "ray_actor_options": {"num_cpus": 1},
    "autoscaling_config": {"min_replicas": 1, "max_replicas": 8, "target_ongoing_requests": 4},
    # More than a replica queues: further requests are refused with 429 by its own queue, within their deadlines.
    "max_ongoing_requests": 512,
    "health_check_period_s": 5,
    "health_check_timeout_s": 15,
    # Longer than the longest deadline, so that every request in flight is answered before its replica ends.
    "graceful_shutdown_timeout_s": 70,
    # The service logs each request itself.
    "logging_config": {"enable_access_log": False},
}
"""Options of the deployment; a file such as deploy/ray/serve.yaml may set others."""


class Replica:
    """One replica, which Serve starts, asks for its health, and ends."""

    _service: FastAPI

    def __serve_build_asgi_app__(self) -> ServedApplication:
        """Return the application, which Serve asks for as the replica starts.

        Raises ValueError for a wrong setting, which fails the deployment.
        """
        settings = replica_settings()
        unusable = why_unusable(settings)
        if unusable is not None:
            name, reason = unusable
            raise ValueError(f"{our_variable(name)}: {reason}")
        self._service = create_app(settings)
        return ServedApplication(self._service)

    async def check_health(self) -> None:
        """Raise RuntimeError unless the application is ready: Serve sends it no requests then, and replaces it."""
        if not self._service.state.service.ready:
            raise RuntimeError("expected an application that is ready; received a check while it starts or stops")


def replica_settings() -> Settings:
    """Return the settings of the environment, with two defaults of a replica.

    It has as many compute threads as Ray gives it CPUs, and counts together with the replicas of its node.
    """
    settings, context = Settings(), ray.get_runtime_context()
    defaults = {
        "compute_threads": max(1, ceil(context.get_assigned_resources().get("CPU", 1))),
        "metrics_directory": str(Path(tempfile.gettempdir()) / f"attention-service-{context.get_session_name()}"),
    }
    return settings.model_copy(
        update={name: value for name, value in defaults.items() if name not in settings.model_fields_set}
    )


def deployed(**options: Any) -> Any:
    """Return the application for ``serve run``.

    :param options: options of the deployment that differ from `OPTIONS`.
    """
    return serve.deployment(serve.ingress()(Replica), **{**OPTIONS, **options}).bind()
