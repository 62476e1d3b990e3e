"""What all tests share."""

import gc
import os
import ssl
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from service.main import create_app
from service.settings import Settings
from tests.server import Server, running_server

hypothesis_settings.register_profile(
    "tests",
    # Every run tries the same examples, and takes the time that it takes.
    derandomize=True,
    database=None,
    deadline=None,
    # Fixtures that a test of a property asks for hold nothing that an example changes.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
hypothesis_settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    """Keep applications that tests create in this process from setting levels and handlers for all tests after them.

    Some are created while tests are collected.  Their records reach the root, where `caplog` reads them.  Servers are
    processes of their own and write their logs.
    """
    patch = pytest.MonkeyPatch()
    patch.setattr("service.main.configure", lambda _level, _style: None)
    config.add_cleanup(patch.undo)
    # Sockets that are held to the end would warn then: Python ends the modules that are frozen after that of warnings.
    config.add_cleanup(gc.unfreeze)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the million objects of a collection, which live to the end, out of all searches for garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _state_of_this_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Servers that a test gives no directory of its own keep their memories where nothing outlives the run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


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


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Read no module whose tests are all marked `soak`, which its name says, when none of them can be selected."""
    return True if _is_soak(collection_path) and "not soak" in config.option.markexpr else None


def _is_soak(path: Path) -> bool:
    return path.name.endswith("_soak.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip tests whose tool is missing and name its Debian package; with CI set they run, and fail.

    Properties of hypothesis get the marker `draws` before `-m` selects.
    """
    misplaced = [item.nodeid for item in items if _is_soak(item.path) and not item.get_closest_marker("soak")]
    if misplaced:
        raise pytest.UsageError(f"expected tests marked soak alone in a module *_soak.py; received {misplaced}")
    missing = {marker: package for marker, (path, package) in TOOLS.items() if not Path(path).exists()}
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.draws)
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
    "aarch64": ("/usr/bin/aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    "browser": ("/usr/bin/chromium", "chromium"),
    "clang": ("/usr/bin/clang-14", "clang-14"),
    "curl": ("/usr/bin/curl", "curl"),
    "firefox": ("/usr/bin/firefox-esr", "firefox-esr"),
    "fuzzer": ("/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.fuzzer-x86_64.a", "libclang-rt-14-dev"),
    "gcc11": ("/usr/bin/gcc-11", "gcc-11"),
    "haproxy": ("/usr/sbin/haproxy", "haproxy"),
    "namespace": ("/usr/sbin/ip", "iproute2"),
    "nginx": ("/usr/sbin/nginx", "nginx-light"),
    "node": ("/usr/bin/node", "nodejs"),
    "npm": ("/usr/bin/npm", "npm"),
    "prometheus": ("/usr/bin/prometheus", "prometheus"),
    "qemu": ("/usr/bin/qemu-aarch64", "qemu-user"),
    "redis": ("/usr/bin/redis-server", "redis-server"),
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
