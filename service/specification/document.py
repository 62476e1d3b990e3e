"""The whole document."""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.schemas import catalogue, open_inference
from service.schemas.attention import AttentionRequest
from service.schemas.check import CheckRequest, CheckResponse
from service.schemas.compare import CompareRequest, CompareResponse
from service.schemas.explain import ExplainRequest, ExplainResponse
from service.schemas.merge import MergeRequest, MergeResponse
from service.schemas.operations import Index, Probe
from service.schemas.problem import ProblemDocument
from service.schemas.results import AttentionResponse, EstimateResponse
from service.schemas.tensors import TENSOR_COMPONENTS
from service.specification.nulls import restored
from service.specification.operations import REFERENCE

TITLE = "Attention as a service · 注意力即服务"

DESCRIPTION = """\
Send queries, keys and values, choose how they are scored and normalised, and receive scores, weights and outputs.
Every edge case is decided and documented, and every error says what was expected, what came and what to change.

发送查询（Q）、键（K）、值（V），选择打分函数与归一化方法，得到得分、权重与输出。
每种边界情况都有明确的结果；每个错误都会说明期望什么、收到什么、怎么改。
"""

TAGS = [
    {"name": "attention", "description": "Compute. 计算。"},
    {"name": "open inference", "description": "The Open Inference Protocol V2. 开放推理协议 V2。"},
    {"name": "catalogue", "description": "Score models, normalizers and worked examples. 目录与例题。"},
    {"name": "operations", "description": "Probes and pages. 探针与页面。"},
]

MODELS: tuple[type[BaseModel], ...] = (
    AttentionRequest,
    AttentionResponse,
    CheckRequest,
    CheckResponse,
    CompareRequest,
    CompareResponse,
    EstimateResponse,
    ExplainRequest,
    ExplainResponse,
    MergeRequest,
    MergeResponse,
    catalogue.ExampleResponse,
    catalogue.Examples,
    catalogue.Normalizers,
    catalogue.ScoreModels,
    open_inference.Health,
    open_inference.InferenceProblem,
    open_inference.InferenceRequest,
    open_inference.InferenceResponse,
    open_inference.ModelConfiguration,
    open_inference.ModelMetadata,
    open_inference.ModelReady,
    open_inference.RepositoryEntry,
    open_inference.ServerMetadata,
    open_inference.Statistics,
    Index,
    Probe,
    ProblemDocument,
)
"""Every body that is described; what they refer to comes along."""


SECURITY_SCHEMES: dict[str, Any] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The API key, as `Authorization: Bearer <key>`. 以 Bearer 方式发送 API 密钥。",
    },
    "header": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same key in a header of its own. 同一密钥，放在单独的请求头里。",
    },
}

SECURITY: list[dict[str, list[str]]] = [{name: []} for name in SECURITY_SCHEMES]

NO_KEY: dict[str, list[str]] = {}
"""What a service asks for that has no keys."""


def build(app: FastAPI, *, asks_for_keys: bool = False) -> dict[str, Any]:
    """Return the document for the routes of an application; whether it asks for keys is known only where it runs."""
    document = get_openapi(
        title=TITLE,
        version=version("attention-service"),
        description=DESCRIPTION,
        routes=app.routes,
        tags=TAGS,
        license_info=None,
    )
    _, definitions = models_json_schema([(model, "validation") for model in MODELS], ref_template=REFERENCE)
    document["components"] = {"schemas": dict(sorted({**definitions["$defs"], **TENSOR_COMPONENTS}.items()))}
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        # FastAPI adds its own 422 to every path with a parameter; ours take any string and answer 404.
        if "HTTPValidationError" in str(operation["responses"].get("422", "")):
            del operation["responses"]["422"]
        if "401" in operation["responses"]:
            operation["security"] = SECURITY if asks_for_keys else [NO_KEY, *SECURITY]
    document["paths"] = restored(document["paths"])
    return document
