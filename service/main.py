"""The only place where things are wired together."""

import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from attention_core import Workers
from attention_core.blockwise.blas import one_blas_thread
from service.admission import Gate
from service.codecs.json import native
from service.codecs.open_inference import MODELS, VERSION
from service.compute import Statistics
from service.examples import load_examples
from service.keys import Keyring
from service.middleware.cross_origin import CrossOrigin, Preflight
from service.middleware.envelope import Envelope
from service.middleware.key_check import KeyCheck
from service.problems import HANDLERS
from service.routes import attention, catalogue, open_inference, operations, pages
from service.routes.direct import Shortcut
from service.routes.state import ServiceState
from service.serving.draining import LEAVE
from service.serving.protocol import REFUSED
from service.settings import Settings
from service.telemetry.logs import AccessLog, configure
from service.telemetry.metrics import MOMENTARY, Ledger, Metrics, SharedLedger

if TYPE_CHECKING:
    from service.telemetry.tracing import Tracing

log = logging.getLogger("service.server")

SWITCH_SECONDS = 0.0005
"""How long a compute thread keeps the interpreter while the event loop wants it; Python's own ten times that."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application; without settings they are read from the environment."""
    settings = settings or Settings()
    configure(settings.log_level, settings.log_format)
    workers = Workers(settings.compute_threads)
    directory = settings.metrics_directory
    ledger = SharedLedger(Path(directory), MOMENTARY) if directory else Ledger()
    metrics = Metrics(ledger)
    state = ServiceState(
        settings, Gate(settings, workers, metrics, metrics), ledger, Statistics(ledger), load_examples()
    )

    tracing = _tracing(settings)

    def leave() -> None:
        state.ready = False

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Callable[..., None]]]:
        sys.setswitchinterval(SWITCH_SECONDS)
        if not native.AVAILABLE:
            log.warning(
                "large requests in JSON take longer: there was no gcc when this was installed, install it again"
            )
        # The compute threads are what shares the cores; their products start no threads of their own.
        with one_blas_thread():
            state.ready = True
            yield {LEAVE: leave, REFUSED: metrics.ended}
            leave()
            state.gate.close()
            workers.close()
            if tracing is not None:
                await run_in_threadpool(tracing.close)

    app = FastAPI(
        title="attention-service",
        version=version("attention-service"),
        root_path=settings.root_path,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=dict(HANDLERS),
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = state
    for module in (attention, open_inference, catalogue, operations, pages):
        # As the application's own: an included router looks for the route twice.
        app.router.routes.extend(module.router.routes)
    app.mount("/static", pages.Pages(directory=str(pages.PAGES)))
    access_log = AccessLog(settings.log_level, settings.log_format)
    # The last is the outermost; what is not asked for is not there.
    app.add_middleware(Shortcut, routes=app.router.routes, usual={"model": tuple(MODELS), "version": (VERSION,)})
    if settings.asks_for_keys:
        app.add_middleware(KeyCheck, keyring=Keyring(settings.api_keys, settings.api_keys_file))
    if settings.cors_origins:
        app.add_middleware(Preflight, origins=settings.cors_origins)
    app.add_middleware(Envelope, access_log=access_log, metrics=metrics, tracer=tracing)
    if settings.cors_origins:
        app.add_middleware(CrossOrigin, origins=settings.cors_origins)
    return app


def _tracing(settings: Settings) -> "Tracing | None":
    """Return what makes spans, which is not even imported unless somebody wants them."""
    if not settings.otlp_endpoint:
        return None
    from service.telemetry.tracing import tracing_to

    return tracing_to(settings.otlp_endpoint)
