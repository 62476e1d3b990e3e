"""The recorded answers and the OpenAPI document are those of the records of the endpoints."""

import json

from development.answers import answers_text
from service.specification import ENDPOINTS
from service.specification.examples import ANSWERS
from tests.compare import assert_same
from tests.service.specification import OPERATIONS


def test_the_recorded_answers_are_fresh() -> None:
    assert_same(json.loads(answers_text()), ANSWERS, 1e-6)


def test_the_document_has_every_endpoint_under_its_name() -> None:
    documented = {
        operation["operationId"]: label for label, operation in OPERATIONS.items() if "attention" in operation["tags"]
    }
    assert documented == {endpoint.name: f"POST {endpoint.path}" for endpoint in ENDPOINTS}
