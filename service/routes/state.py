"""What the application carries for its routes."""

from dataclasses import dataclass, field
from typing import cast

from starlette.requests import Request

from service.admission import Gate
from service.compute import Statistics
from service.examples import Example
from service.settings import Settings
from service.telemetry.metrics import Ledger


@dataclass(slots=True)
class ServiceState:
    """Wired once by `create_app`; `ready` follows the process through start and drain.

    `specification` is the OpenAPI document as it is served, written when it is first asked for.
    """

    settings: Settings
    gate: Gate
    ledger: Ledger
    statistics: Statistics
    examples: dict[str, Example] = field(default_factory=dict)
    ready: bool = False
    specification: bytes | None = None


def state_of(request: Request) -> ServiceState:
    """Return the state of the application that received the request."""
    return cast("ServiceState", request.scope["app"].state.service)
