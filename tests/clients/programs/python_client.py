"""Ask with the client that openapi-python-client generates: `python_client.py URL DOCUMENT` prints the answers as JSON.

The first request of the README and the same by the Open Inference Protocol are written as a person would; mypy checks
them, and that it refuses what the service would. Every example of the document is sent as well.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from attention_service_client import AuthenticatedClient, models
from attention_service_client.api.attention import attend
from attention_service_client.api.open_inference import infer
from attention_service_client.models import (
    Additive,
    AttentionRequest,
    AttentionResponse,
    InferenceRequest,
    InferenceResponse,
    InputTensor,
    ProblemDocument,
    ScaledDotProduct,
    Softmax,
)
from attention_service_client.types import Unset

QUERY = [[2.0, 1.0, 1.0, 0.0]]
KEY = [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]]
VALUE = [[1.0, 0.2, 0.0], [0.1, 1.0, 0.4], [0.2, 0.3, 1.0], [0.0, 0.1, 0.8]]

FIRST_MEMORY = "heroes"


def first_request(client: AuthenticatedClient) -> dict[str, Any]:
    request = AttentionRequest(
        query=QUERY, key=KEY, value=VALUE, score_model=ScaledDotProduct(name="scaled_dot_product"), normalizer="softmax"
    )
    answer = attend.sync(client=client, body=request)
    assert isinstance(answer, AttentionResponse), answer
    # A result may leave the output out; notes are always included.
    assert not isinstance(answer.output, Unset)
    assert [note.upper() for note in answer.notes] == []
    return answer.to_dict()


def inference(client: AuthenticatedClient) -> dict[str, Any]:
    named = {"query": QUERY, "key": KEY, "value": VALUE}
    tensors = [
        InputTensor(name=name, shape=[len(rows), len(rows[0])], datatype="FP64", data=[x for row in rows for x in row])
        for name, rows in named.items()
    ]
    answer = infer.sync("scaled_dot_product", client=client, body=InferenceRequest(inputs=tensors))
    assert isinstance(answer, InferenceResponse), answer
    return {tensor.name: tensor.data for tensor in answer.outputs}


def problem(client: AuthenticatedClient) -> list[str]:
    answer = attend.sync(client=client, body=AttentionRequest(query=QUERY, key=VALUE))
    assert isinstance(answer, ProblemDocument), answer
    assert not isinstance(answer.errors, Unset)
    return [error.pointer for error in answer.errors]


def refused_by_mypy() -> None:
    """Never called; under warn_unused_ignores each line fails where it is not refused."""
    AttentionRequest(key=KEY)  # type: ignore[call-arg]
    AttentionRequest(query=QUERY, key=KEY, normalizer="softmaxx")  # type: ignore[arg-type]
    AttentionRequest(query=QUERY, key=KEY, normalizer=ScaledDotProduct(name="scaled_dot_product"))  # type: ignore[arg-type]
    Additive(name="additive")  # type: ignore[call-arg]
    Softmax(name="sigmoid")  # type: ignore[arg-type]


def every_example(client: AuthenticatedClient, document: dict[str, Any]) -> dict[str, Any]:
    answers = {}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            content = operation.get("requestBody", {"content": {}})["content"].get("application/json")
            if content is None:
                continue
            tag = operation["tags"][0].replace(" ", "_")
            module = importlib.import_module(f"attention_service_client.api.{tag}.{operation['operationId']}")
            body_type = getattr(models, content["schema"]["$ref"].rpartition("/")[2])
            for name, example in content["examples"].items():
                body = body_type.from_dict(example["value"])
                assert body.to_dict() == example["value"], (path, name)
                if "{name}" in path:
                    # Each memory has the name of its example; those keys are appended that fit the first.
                    memory = name if path.endswith("{name}") else FIRST_MEMORY
                    answer = module.sync(memory, client=client, body=body)
                    assert isinstance(answer, models.MemoryDescription), answer
                    continue
                where = {"model": "scaled_dot_product"} if "{model}" in path else {}
                answers[f"{path} {name}"] = module.sync(client=client, body=body, **where).to_dict()
    return answers


def main() -> None:
    url, document = sys.argv[1:]
    with AuthenticatedClient(base_url=url, token="not asked for") as client:
        answers = {
            "first": first_request(client),
            "inference": inference(client),
            "problem": problem(client),
            "examples": every_example(client, json.loads(Path(document).read_text(encoding="utf-8"))),
        }
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
