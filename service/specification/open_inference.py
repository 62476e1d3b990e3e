"""What each route of the Open Inference Protocol says of itself."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel

from attention_wire.open_inference import HEADER
from service.codecs.negotiate import JSON, OCTETS
from service.codecs.open_inference import MODELS, VERSION, configuration, metadata
from service.problems import COMPUTING_PROBLEMS
from service.schemas import open_inference as schemas
from service.schemas.components import component_reference
from service.specification.examples import ANSWERS, requests_to
from service.specification.operations import (
    REQUEST_HEADERS,
    Operation,
    binary,
    json_content,
    operation,
    reference,
)

EXAMPLE = "scaled_dot_product"

MODEL_NAME: dict[str, Any] = {
    "ModelName": {
        "title": "ModelName",
        "description": "The name of a model, which is a score model. 模型名称，即打分函数。",
        "type": "string",
        "enum": list(MODELS),
    }
}
"""The schema of the component."""

MODEL: Operation = {
    "name": "model",
    "in": "path",
    "required": True,
    "description": "A score model. 打分函数。",
    "schema": component_reference(*MODEL_NAME),
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
    if name not in WITHOUT_KEY:
        problems = ("unauthorized", *problems)
    return operation(
        reading.summary,
        json_content(reading.model, reading.example, many=reading.many),
        problems,
        inference=True,
        parameters=[MODEL] if "not-found" in problems else [],
    )


def inference_operation() -> Operation:
    """Describe the inference."""
    answers = json_content(schemas.InferenceResponse, ANSWERS["infer"])
    answers[OCTETS] = {"schema": binary("JSON as above, then the raw outputs. 同上的 JSON，随后是原始输出。")}
    bodies = {
        JSON: {"schema": reference(schemas.InferenceRequest), "examples": requests_to("infer")},
        OCTETS: {"schema": binary("JSON as above, then the raw inputs in their order. 同上的 JSON，随后是原始输入。")},
    }
    return operation(
        "推理 · Infer",
        answers,
        INFERENCE_PROBLEMS,
        description="The outputs, as JSON or as raw bytes behind it. 输出：JSON，或 JSON 之后的原始字节。",
        inference=True,
        parameters=[MODEL, *HEADERS],
        requestBody={"required": True, "content": bodies},
    )
