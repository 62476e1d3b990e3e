"""Compute the answer to the first example of each endpoint anew, to six decimals.

``python -m development.answers`` writes `service/specification/answers.json`; `make openapi` runs it before it writes
the OpenAPI document, which shows the answers.
"""

import json
from pathlib import Path
from typing import Any

import orjson

from attention_core import Workers
from service.compute import Body, InferenceOrder, Prepare, Run, Stopwatch, prepare_infer
from service.settings import OfflineSettings
from service.specification import ENDPOINTS
from service.specification.examples import requests_to
from service.specification.open_inference import EXAMPLE

ANSWERS = Path(__file__).parent.parent / "service" / "specification" / "answers.json"

DECIMALS = 6


def main() -> None:
    """Write the file."""
    ANSWERS.write_text(answers_text(), encoding="utf-8")


def answers_text() -> str:
    """Return the content of the file of answers."""
    answers = {
        endpoint.name: _answer(endpoint.prepare, next(iter(endpoint.examples.values()))["value"])
        for endpoint in ENDPOINTS
    }
    order = InferenceOrder(EXAMPLE)
    inference = next(iter(requests_to("infer").values()))["value"]
    answers["infer"] = _answer(lambda body, settings: prepare_infer(order, Stopwatch(), body, settings), inference)
    return json.dumps(answers, ensure_ascii=False, indent=2) + "\n"


def _answer(prepare: Prepare, request: dict[str, Any]) -> Any:
    """Return the answer to a request with default settings, its numbers rounded."""
    settings = OfflineSettings(compute_threads=1)
    with Workers(1) as workers:
        reply = prepare(Body(orjson.dumps(request)), settings).complete(Run(workers))
    return _rounded(orjson.loads(reply.content))


def _rounded(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _rounded(member) for name, member in node.items()}
    if isinstance(node, list):
        return [_rounded(member) for member in node]
    return round(node, DECIMALS) if isinstance(node, float) else node


if __name__ == "__main__":
    main()
