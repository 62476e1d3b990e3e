"""What one test does changes nothing for the tests after it, nor for those of the process beside it."""

import errno
import logging
import socket

import pytest

from service.main import create_app
from service.settings import Settings
from tests.server import free_port


def test_an_application_in_the_process_of_the_tests_leaves_logging_alone(caplog: pytest.LogCaptureFixture) -> None:
    loggers = [logging.getLogger(name) for name in ("service", "uvicorn", "opentelemetry")]
    before = [(one.handlers, one.level, one.propagate) for one in loggers]
    create_app(Settings(log_level="error"))
    assert [(one.handlers, one.level, one.propagate) for one in loggers] == before
    logging.getLogger("service.server").warning("read by the tests, once")
    assert [record.getMessage() for record in caplog.records] == ["read by the tests, once"]


def test_a_port_stays_with_the_test_that_asked_for_it() -> None:
    """A server that sets SO_REUSEADDR can listen on it, and nothing else is given it."""
    port = free_port()
    with socket.socket() as other, pytest.raises(OSError, match="in use") as raised:
        other.bind(("127.0.0.1", port))
    assert raised.value.errno == errno.EADDRINUSE
    with socket.create_server(("127.0.0.1", port)) as server:
        assert server.getsockname()[1] == port
