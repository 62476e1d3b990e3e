"""What all tests share."""

import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.main import create_app
from service.settings import Settings
from tests.server import Server, running_server


@pytest.fixture(scope="session", autouse=True)
def _certificates_are_read_once() -> Iterator[None]:
    """No test speaks TLS, but every client of httpx reads the machine's certificates, for thirty milliseconds."""
    context = ssl.create_default_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", lambda *_, **__: context)
        yield


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One real server with default settings for all tests that do not need one of their own."""
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """An asynchronous client of the real server."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as connected:
        yield connected


@pytest.fixture
async def app_client() -> AsyncIterator[httpx.AsyncClient]:
    """An asynchronous client of the application in this process, without a socket."""
    app = create_app(Settings(log_level="warning"))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as connected:
            yield connected


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of the checkout."""
    return Path(__file__).parent.parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Name what is missing for tests that need a tool; with CI set a missing tool is a failure, not a skip."""
    missing = {marker: package for marker, (path, package) in TOOLS.items() if not Path(path).exists()}
    for item in items:
        for marker, package in missing.items():
            if item.get_closest_marker(marker) and not os.environ.get("CI"):
                item.add_marker(pytest.mark.skip(reason=f"needs the Debian package {package}"))


@pytest.fixture
def report_figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Say a figure that a test measured or counted; all of them are printed at the end of the run."""
    return lambda figure: request.node.user_properties.append((FIGURE, figure))


FIGURE = "figure"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures, whichever process measured them."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    figures = [text for report in reports for name, text in report.user_properties if name == FIGURE]
    if figures:
        terminalreporter.section("figures")
        for figure in figures:
            terminalreporter.write_line(figure)


TOOLS = {
    "browser": ("/usr/bin/chromium", "chromium"),
    "curl": ("/usr/bin/curl", "curl"),
    "haproxy": ("/usr/sbin/haproxy", "haproxy"),
    "namespace": ("/usr/sbin/ip", "iproute2"),
    "node": ("/usr/bin/node", "nodejs"),
    "prometheus": ("/usr/bin/prometheus", "prometheus"),
}
"""Markers, the program that their tests need, and the Debian package it comes in."""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """With CI set, a skipped test is a failure."""
    outcome: Any = yield
    report = outcome.get_result()
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although CI is set: {report.longrepr}"
