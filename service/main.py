"""The application: the only place where the parts of the service are put together."""

import asyncio
import ctypes
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from attention_core import Workers, available_kernels, kernel_name, select_kernel
from attention_core.blockwise.blas import one_blas_thread
from service.admission import AdmissionController
from service.cluster import Cluster
from service.codecs.json import native
from service.codecs.open_inference import MODELS, VERSION
from service.compute import Statistics
from service.keys import Keyring
from service.memories import Memories, open_memories
from service.middleware.api_key import ApiKeyMiddleware
from service.middleware.cross_origin import CrossOriginMiddleware, PreflightMiddleware
from service.middleware.forwarded import ForwardedPrefixMiddleware, TrustedProxies
from service.middleware.request_context import RequestContextMiddleware
from service.problems import HANDLERS
from service.routes import attention, catalogue, document, guide, memories, open_inference, operations, pages
from service.routes.fast_path import FastPathMiddleware
from service.routes.state import ServiceState
from service.routes.static_files import PageFiles
from service.routes.unmatched import on_http_exception
from service.serving.draining import ON_DRAIN
from service.serving.refusals import REFUSED
from service.settings import Settings
from service.telemetry.line_writer import standard_error
from service.telemetry.logs import AccessLog, configure
from service.telemetry.metrics import GAUGES, MEASURE_SECONDS, Metrics, MetricStore, ProcessMetrics, SharedMetricStore

if TYPE_CHECKING:
    from service.telemetry.tracing import Tracing

log = logging.getLogger("service.server")

SWITCH_SECONDS = 0.0005
"""Longest time that a compute thread keeps the interpreter lock from the event loop; Python's default is 5 ms."""

MALLOPT = {-3: 32 << 20, -1: 64 << 20}
"""Options of glibc's `mallopt`, in bytes: M_MMAP_THRESHOLD and M_TRIM_THRESHOLD, at the most that glibc itself would
raise them to after a large request.  Memory that is freed stays mapped, so that a request faults in no pages anew:
0.78 of the time of the row "256 × 64, JSON, all three" of benchmarks/RESULTS.md."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application; settings are read from the environment by default."""
    settings = settings or Settings()
    configure(settings.log_level, settings.log_format)
    select_kernel(settings.kernel)
    kernel = kernel_name()
    workers = Workers(settings.compute_threads)
    directory = settings.metrics_directory
    store = SharedMetricStore(Path(directory), GAUGES) if directory else MetricStore()
    metrics = Metrics(store)
    standard_error().on_dropped = metrics.log_lines_dropped
    cluster = Cluster(settings, metrics) if settings.ray_address else None
    state = ServiceState(
        settings,
        AdmissionController(settings, workers, metrics, metrics, cluster),
        store,
        ProcessMetrics(store),
        Statistics(store),
        kernel,
        Memories(None, "it is starting"),
    )
    tracing = _tracing(settings)
    app = FastAPI(
        title="attention-service",
        version=version("attention-service"),
        root_path=settings.root_path,
        lifespan=lambda _: _lifespan(state, workers, metrics, tracing, cluster),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={**HANDLERS, HTTPException: on_http_exception},
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = state
    for module in (attention, open_inference, memories, catalogue, operations, document, pages, guide):
        # Not include_router, which looks for a route twice.
        app.router.routes.extend(module.router.routes)
    app.mount("/static", PageFiles(settings.frame_ancestors))
    app.mount("/guide", guide.Guide(settings.frame_ancestors))
    _add_middleware(app, settings, metrics, tracing)
    return app


def _add_middleware(app: FastAPI, settings: Settings, metrics: Metrics, tracing: "Tracing | None") -> None:
    """Add the middleware, from the innermost to the outermost; one without a setting is left out."""
    app.add_middleware(
        FastPathMiddleware, routes=app.router.routes, parameter_values={"model": tuple(MODELS), "version": (VERSION,)}
    )
    if settings.asks_for_keys:
        app.add_middleware(ApiKeyMiddleware, keyring=Keyring(settings.api_keys, settings.api_keys_file))
    if settings.cors_origins:
        app.add_middleware(PreflightMiddleware, origins=settings.cors_origins)
    if settings.trusted_proxies:
        app.add_middleware(ForwardedPrefixMiddleware, proxies=TrustedProxies(settings.trusted_proxies))
    access_log = AccessLog(settings.log_level, settings.log_format)
    app.add_middleware(
        RequestContextMiddleware, access_log=access_log, metrics=metrics, kernel=kernel_name(), tracer=tracing
    )
    if settings.cors_origins:
        app.add_middleware(CrossOriginMiddleware, origins=settings.cors_origins)


@asynccontextmanager
async def _lifespan(
    state: ServiceState, workers: Workers, metrics: Metrics, tracing: "Tracing | None", cluster: Cluster | None
) -> AsyncIterator[dict[str, Callable[..., None]]]:
    """Start and end what runs beside requests; the server finds its callables in the lifespan state."""

    def stop_being_ready() -> None:
        state.ready = False

    sys.setswitchinterval(SWITCH_SECONDS)
    _keep_freed_memory()
    _, missing_kernels = available_kernels()
    for slower, missing in (
        ("numbers of JSON are read and written", native.MISSING),
        ("attention is computed", missing_kernels),
    ):
        if missing:
            log.warning(
                f"{slower} more slowly; have gcc or clang and libc6-dev, and install the service again: {missing}"
            )
    # Without a directory there are no other workers that answer scrapes with the numbers of this one.
    measuring = asyncio.create_task(_measure(state.process_metrics)) if state.settings.metrics_directory else None
    # The compute threads share the cores, so that BLAS must not start threads of its own.
    state.memories = open_memories(state.settings, metrics, metrics.memories_expired)
    if cluster is not None:
        loop = asyncio.get_running_loop()
        cluster.start(lambda: loop.call_soon_threadsafe(_restore_signal_handlers))
    with one_blas_thread():
        state.ready = True
        yield {ON_DRAIN: stop_being_ready, REFUSED: metrics.ended}
        stop_being_ready()
        if measuring is not None:
            measuring.cancel()
        state.admission.close()
        workers.close()
        await run_in_threadpool(state.memories.close)
        if cluster is not None:
            await run_in_threadpool(cluster.close)
        if tracing is not None:
            await run_in_threadpool(tracing.close)


def _restore_signal_handlers() -> None:
    """Install the handler of SIGTERM again, in front of which Ray has put one that writes a stack trace."""
    with suppress(ValueError):
        # Outside the main thread there are no handlers of ours.
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))


def _keep_freed_memory() -> None:
    """Set MALLOPT, where the C library has it."""
    with suppress(AttributeError):
        for option, size in MALLOPT.items():
            ctypes.CDLL(None).mallopt(option, size)


async def _measure(process_metrics: ProcessMetrics) -> None:
    """Measure this process every second."""
    while True:
        await asyncio.sleep(MEASURE_SECONDS)
        process_metrics.measure()


def _tracing(settings: Settings) -> "Tracing | None":
    """Return a tracer if a collector is configured; OpenTelemetry is imported only then."""
    if not settings.otlp_endpoint:
        return None
    from service.telemetry.tracing import tracing_to

    return tracing_to(settings.otlp_endpoint)
