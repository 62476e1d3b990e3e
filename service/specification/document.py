"""The whole document."""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaValue, models_json_schema

from service.schemas import catalogue, expressions, memories, open_inference
from service.schemas.components import COMPONENTS_AT, SchemaWriter, gather_components
from service.schemas.operations import Index, Probe
from service.schemas.problem import ProblemDocument
from service.schemas.tensors import TENSOR_COMPONENTS
from service.specification.branches import name_branches
from service.specification.endpoints import ENDPOINTS
from service.specification.nulls import restored
from service.specification.open_inference import MODEL_NAME, READINGS
from service.specification.routes import ROUTES

TITLE = "attention-service"
"""In ASCII, since generators name packages after it."""

DESCRIPTION = """\
Attention as a service · 注意力即服务

Send queries, keys and values, choose how they are scored and normalised, and receive scores, weights and outputs.
Every edge case is decided and documented. Every error names the expected value, the received one and what to change.
[The guide](guide) has tutorials, how-to guides, reference and explanations.

发送查询（Q）、键（K）、值（V），选择打分函数与归一化方法，得到得分、权重与输出。
每种边界情况都有明确的结果；每个错误都会说明期望什么、收到什么、怎么改。
[文档](guide)中有教程、操作指南、参考与说明。
"""

TAGS = [
    {"name": "attention", "description": "Compute. 计算。"},
    {
        "name": "memories",
        "description": "Keys and values that are put once and queried often. 保存一次、多次查询的键与值。",
    },
    {"name": "open inference", "description": "The Open Inference Protocol V2. 开放推理协议 V2。"},
    {"name": "catalogue", "description": "Score models, normalizers and worked examples. 目录与例题。"},
    {"name": "operations", "description": "Probes and pages. 探针与页面。"},
]

REQUESTS: tuple[type[BaseModel], ...] = (
    *(endpoint.request for endpoint in ENDPOINTS),
    memories.MemoryRequest,
    memories.MemoryAppendRequest,
    open_inference.InferenceRequest,
)
"""Models of request bodies; those of their members are found through them."""

RESPONSES: tuple[type[BaseModel], ...] = (
    *(endpoint.response for endpoint in ENDPOINTS),
    catalogue.ExampleResponse,
    catalogue.Examples,
    catalogue.Normalizers,
    catalogue.ScoreModels,
    expressions.ExpressionLanguage,
    expressions.ExpressionResponse,
    memories.MemoryResponse,
    memories.MemoryListResponse,
    *dict.fromkeys(reading.model for reading in READINGS.values()),
    open_inference.InferenceProblem,
    open_inference.InferenceResponse,
    Index,
    Probe,
    ProblemDocument,
)
"""Models of response bodies; those of their members are found through them."""


SECURITY_SCHEMES: dict[str, Any] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "Enter the key alone: the word Bearer is put before it, as in `Authorization: Bearer <key>`. "
        "A program may send the same key as `X-API-Key: <key>` instead; one of the two is enough.\n\n"
        "只填写密钥本身：前面的 Bearer 会自动加上，即 `Authorization: Bearer <密钥>`。"
        "程序也可以改用 `X-API-Key: <密钥>` 发送同一密钥，二者取一即可。",
    },
}
"""One scheme for one key: a form with two would ask for it twice."""

SECURITY: list[dict[str, list[str]]] = [{name: []} for name in SECURITY_SCHEMES]

NO_KEY: dict[str, list[str]] = {}
"""The requirement of a service without keys."""


def build(app: FastAPI, *, asks_for_keys: bool | None = None) -> dict[str, Any]:
    """Return the document for the routes of an application.

    :param asks_for_keys: whether computing needs an API key; None describes services with and without keys.
    """
    document = get_openapi(
        title=TITLE,
        version=version("attention-service"),
        description=DESCRIPTION,
        routes=app.routes,
        tags=TAGS,
        license_info=None,
    )
    document["components"] = {"schemas": _schemas()}
    if asks_for_keys is not False:
        document["components"]["securitySchemes"] = SECURITY_SCHEMES
    for call, name, operation in _operations(app, document):
        if call in ROUTES:
            operation["description"] = f"{ROUTES[call].en} {ROUTES[call].zh}"
        # Generators name functions after the operationId.
        operation["operationId"] = name
        # FastAPI adds its own 422 to every path with a parameter; ours take any string and answer 404.
        if "HTTPValidationError" in str(operation["responses"].get("422", "")):
            del operation["responses"]["422"]
        if "401" in operation["responses"] and asks_for_keys is not False:
            operation["security"] = SECURITY if asks_for_keys else [NO_KEY, *SECURITY]
        for response in operation["responses"].values():
            for body in response.get("content", {}).values():
                body["schema"] = name_branches(body["schema"])
    document["paths"] = restored(document["paths"])
    return document


def _operations(app: FastAPI, document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method and path of each described route, its name, which is that of its endpoint, and its operation."""
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                operation = document["paths"][route.path_format][method.lower()]
                yield f"{method} {route.path}", route.name, operation


def _schemas() -> dict[str, JsonSchemaValue]:
    """Return every component, by name."""
    _, definitions = models_json_schema(
        [*((model, "validation") for model in REQUESTS), *((model, "serialization") for model in RESPONSES)],
        ref_template=f"{COMPONENTS_AT}{{model}}",
        schema_generator=SchemaWriter,
    )
    components = gather_components({**definitions["$defs"], **TENSOR_COMPONENTS, **MODEL_NAME})
    return {name: name_branches(schema) for name, schema in components.items()}
