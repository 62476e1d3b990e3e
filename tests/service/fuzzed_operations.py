"""The operations of the specification as schemathesis reads them, and what it judges of each answer."""

import json
import re
from pathlib import Path

import schemathesis
from hypothesis import HealthCheck
from schemathesis import Case, CheckContext, Response
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.server import Server

DOCUMENT = Path(__file__).parents[2] / "openapi" / "openapi.json"
PATHS = json.loads(DOCUMENT.read_text(encoding="utf-8"))["paths"]
SCHEMA = schemathesis.openapi.from_path(DOCUMENT)
SCHEMA.config.generation.update(max_examples=3, deterministic=True)
# An unknown header is no mistake; with it schemathesis takes the text of a numeric header for one.
SCHEMA.config.generation.update(allow_extra_parameters=False)

# Schemathesis asks for one for each media type; what it draws as a file is bytes already.
schemathesis.serializer.alias("application/vnd.safetensors", "application/octet-stream")

LARGE_BODIES = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
"""Warnings of hypothesis about requests with many optional tensors, which are wanted all the same."""

WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,128}")


def send(case: Case, server: Server) -> Response:
    """Send one request and judge the answer.

    A schema cannot promise that the shapes it allows fit, that a text is a formula, nor that a precondition holds.
    """
    path = case.operation.path
    promises_nothing = case.operation.body or path == "/v1/expressions" or path.startswith("/v1/memories")
    return case.call_and_validate(
        base_url=server.url,
        additional_checks=[is_no_defect, request_id_is_returned],
        excluded_checks=[not_a_server_error, *([positive_data_acceptance] if promises_nothing else [])],
    )


def is_no_defect(context: CheckContext, response: Response, case: Case) -> None:
    """No 5xx, but for the 504 that a caller asks for who leaves no time."""
    asked_for = response.status_code == 504 and 0 < float((case.headers or {})["Request-Timeout"]) < 1
    assert response.status_code < 500 or asked_for


def request_id_is_returned(context: CheckContext, response: Response, case: Case) -> None:
    """Every answer carries an id, the caller's where it is well-formed."""
    [returned] = response.headers["x-request-id"]
    sent = str((case.headers or {}).get("X-Request-ID", ""))
    assert WELL_FORMED.fullmatch(returned)
    assert returned == sent or not WELL_FORMED.fullmatch(sent)
