"""What schemathesis makes of every operation; apart, because it draws its cases while tests are collected."""

import pytest
from hypothesis import settings
from schemathesis import Case

from tests.server import Server
from tests.service.fuzzed_operations import LARGE_BODIES, SCHEMA, send


@pytest.mark.soak
@SCHEMA.parametrize()
@settings(suppress_health_check=LARGE_BODIES)
def test_every_operation(case: Case, server: Server) -> None:
    """Documented examples, boundary values, wrong methods and media types, and what the schema allows and forbids."""
    send(case, server)
