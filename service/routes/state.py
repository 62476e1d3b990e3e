"""The state of the application, for its routes."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from starlette.requests import Request

from service.admission import AdmissionController
from service.compute import Statistics
from service.memories import Memories
from service.settings import Settings
from service.telemetry.metrics import MemoryMetrics, MetricStore, ProcessMetrics

if TYPE_CHECKING:
    from service.routes.document import ServedDocument


@dataclass(slots=True)
class ServiceState:
    """Everything that routes share; `ready` is true between start and drain.

    `kernel` is the name of the kernel that computes; `memories` are off until the service starts; `document` is the
    served OpenAPI document, built for the first request.
    """

    settings: Settings
    admission: AdmissionController
    metric_store: MetricStore
    process_metrics: ProcessMetrics
    statistics: Statistics
    kernel: str
    memories: Memories
    memory_metrics: MemoryMetrics = field(init=False)
    ready: bool = False
    document: "ServedDocument | None" = None

    def __post_init__(self) -> None:
        """Measure the memories that there are when a scrape asks."""
        self.memory_metrics = MemoryMetrics(self.metric_store, lambda: self.memories)


def state_of(request: Request) -> ServiceState:
    """Return the state of the application that received the request."""
    return cast("ServiceState", request.scope["app"].state.service)
