"""What each route of the Open Inference Protocol says of itself."""

import json
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from service.codecs.negotiate import JSON, OCTETS
from service.codecs.open_inference import MODELS, VERSION, configuration, metadata
from service.codecs.open_inference.framing import HEADER
from service.problems import INFERENCE_MEDIA_TYPE
from service.schemas import open_inference as schemas
from service.schemas.base import Text
from service.specification.examples import ANSWERS, SUPPORT, NamedExamples, described
from service.specification.operations import (
    COMPUTING_PROBLEMS,
    REQUEST_HEADERS,
    RESPONSE_HEADERS,
    Operation,
    binary,
    problem_responses,
    reference,
)

EXAMPLE = "scaled_dot_product"

MODEL: Operation = {
    "name": "model",
    "in": "path",
    "required": True,
    "description": "A score model. 打分函数。",
    "schema": {"type": "string", "enum": list(MODELS)},
    "example": EXAMPLE,
}

INFERENCE_PROBLEMS = ("not-found", *(slug for slug in COMPUTING_PROBLEMS if slug != "not-acceptable"))

HEADERS: list[Operation] = [
    {
        "name": HEADER,
        "in": "header",
        "required": False,
        "description": "Length of the JSON in bytes, where raw tensors follow it. JSON 部分的字节数。",
        "schema": {"type": "integer", "minimum": 1},
    },
    *REQUEST_HEADERS,
]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a call that only reads answers."""

    summary: str
    model: type[BaseModel]
    example: Any
    many: bool = False


NEVER = {
    "name": EXAMPLE,
    "version": VERSION,
    "last_inference": 0,
    "inference_count": 0,
    "execution_count": 0,
    "inference_stats": {stage: {"count": 0, "ns": 0} for stage in schemas.InferenceStatistics.model_fields},
}

READINGS = {
    "server": Reading(
        "服务信息 · Server",
        schemas.ServerMetadata,
        {
            "name": "attention-service",
            "version": version("attention-service"),
            "extensions": ["binary_tensor_data", "statistics", "model_configuration"],
        },
    ),
    "health": Reading("健康状态 · Health", schemas.Health, {"live": True, "ready": True}),
    "model": Reading("模型说明 · Model metadata", schemas.ModelMetadata, metadata(EXAMPLE)),
    "model_ready": Reading("模型就绪 · Model readiness", schemas.ModelReady, {"name": EXAMPLE, "ready": True}),
    "configuration": Reading("模型配置 · Model configuration", schemas.ModelConfiguration, configuration(EXAMPLE)),
    "statistics": Reading("模型统计 · Model statistics", schemas.Statistics, {"model_stats": [NEVER]}),
    "all_statistics": Reading("全部统计 · All statistics", schemas.Statistics, {"model_stats": [NEVER]}),
    "repository": Reading(
        "模型列表 · Repository index",
        schemas.RepositoryEntry,
        [{"name": name, "version": VERSION, "state": "READY", "reason": ""} for name in MODELS],
        many=True,
    ),
}

WITHOUT_KEY = ("health",)


def inference_reading(name: str, *problems: str) -> Operation:
    """Describe a call that reads."""
    reading = READINGS[name]
    schema = reference(reading.model)
    success = {
        "description": "As described. 如描述。",
        "headers": RESPONSE_HEADERS,
        "content": {
            JSON: {"schema": {"type": "array", "items": schema} if reading.many else schema, "example": reading.example}
        },
    }
    if name not in WITHOUT_KEY:
        problems = ("unauthorized", *problems)
    return _operation(reading.summary, success, problems, [MODEL] if "not-found" in problems else [])


def inference_operation() -> Operation:
    """Describe the inference."""
    success = {
        "description": "The outputs, as JSON or as raw bytes behind it. 输出：JSON，或 JSON 之后的原始字节。",
        "headers": RESPONSE_HEADERS,
        "content": {
            JSON: {"schema": reference(schemas.InferenceResponse), "example": ANSWERS["infer"]},
            OCTETS: {"schema": binary("JSON as above, then the raw outputs. 同上的 JSON，随后是原始输出。")},
        },
    }
    body = {
        "required": True,
        "content": {
            JSON: {"schema": reference(schemas.InferenceRequest), "examples": INFERENCES},
            OCTETS: {
                "schema": binary("JSON as above, then the raw inputs in their order. 同上的 JSON，随后是原始输入。")
            },
        },
    }
    problems = tuple(slug for slug in INFERENCE_PROBLEMS if slug != "internal")
    operation = _operation("推理 · Infer", success, problems, [MODEL, *HEADERS])
    operation["openapi_extra"]["requestBody"] = body
    return operation


def _operation(summary: str, success: Operation, problems: tuple[str, ...], parameters: list[Operation]) -> Operation:
    refusals = problem_responses((*problems, "internal"), INFERENCE_MEDIA_TYPE, schemas.InferenceProblem)
    for response in refusals.values():
        for one in response["content"][INFERENCE_MEDIA_TYPE]["examples"].values():
            one["value"]["error"] = one["value"]["detail"]
    return {
        "summary": summary,
        "response_class": Response,
        "responses": {200: success, **refusals},
        "openapi_extra": {"parameters": parameters},
    }


def _tensor(name: str, numbers: list[list[float]]) -> dict[str, Any]:
    flat = [number for row in numbers for number in row]
    return {"name": name, "shape": [len(numbers), len(numbers[0])], "datatype": "FP64", "data": flat}


TEAM_FIGHT = [_tensor(name, SUPPORT[name]) for name in ("query", "key", "value")]
"""The team fight of Honor of Kings."""

ALLOWED = {"name": "allowed", "shape": [1, 4], "datatype": "BOOL", "data": [False, True, True, True]}

INFERENCES: NamedExamples = {
    "team-fight": described(
        Text("团战", "The team fight"),
        Text("三个张量，缺省的三个输出。", "Three tensors, and the three outputs that are the default."),
        {"id": "1", "inputs": TEAM_FIGHT},
    ),
    "chosen-outputs": described(
        Text("指定输出", "Chosen outputs"),
        Text("只要权重与对数分母；温度是标量参数。", "Weights and logsumexp alone; the temperature is a parameter."),
        {
            "inputs": TEAM_FIGHT[:2],
            "parameters": {"temperature": 0.5},
            "outputs": [{"name": "weights"}, {"name": "logsumexp"}],
        },
    ),
    "masked": described(
        Text("射手回城", "The marksman goes back to base"),
        Text("allowed 是 BOOL 张量。", "allowed is a BOOL tensor."),
        {"inputs": [*TEAM_FIGHT, ALLOWED]},
    ),
    "causal": described(
        Text("因果掩码", "Causal"),
        Text("右下角对齐，窗口向左看一个键。", "Aligned at the bottom right, with a window of one key to the left."),
        {"inputs": TEAM_FIGHT, "parameters": {"causal": True, "offset": "bottom_right", "window_left": 1}},
    ),
    "sparse": described(
        Text("稀疏权重", "Sparse weights"),
        Text("归一化方法与它的参数。", "A normalizer and its parameter."),
        {"inputs": TEAM_FIGHT, "parameters": {"normalizer": "entmax", "alpha": 1.5, "scale": 1}},
    ),
    "options": described(
        Text("其余选项", "Everything else"),
        Text(
            "options 是 /v1/attention 的选项，写成一个 JSON 字符串。",
            "options are those of /v1/attention, written as one JSON string.",
        ),
        {"inputs": TEAM_FIGHT, "parameters": {"options": json.dumps({"position": {"name": "rotary", "base": 100}})}},
    ),
}
