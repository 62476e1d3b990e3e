"""The endpoints that compute, each described once.

The route, the fast path, the OpenAPI document, rows of the documentation, the recorded answers and the tests that go
over all endpoints are made from these records.  To add an endpoint, write its request and response models
(`service/schemas`), its computation (`service/compute`) and its record here, with requests to try in ``requests``, then
run ``make generate``.
"""

from dataclasses import dataclass

from pydantic import BaseModel

from service.codecs.negotiate import EVENT_STREAM
from service.codecs.registry import DRAWINGS, WRITERS
from service.compute import Prepare
from service.compute.attention import prepare_attention, prepare_estimate
from service.compute.check import prepare_check
from service.compute.compare import prepare_compare
from service.compute.explain import prepare_explain
from service.compute.gradients import prepare_gradients, prepare_gradients_estimate
from service.compute.merge import prepare_merge
from service.schemas.attention import AttentionRequest
from service.schemas.base import Text
from service.schemas.check import CheckRequest, CheckResponse
from service.schemas.compare import CompareRequest, CompareResponse
from service.schemas.explain import ExplainRequest, ExplainResponse
from service.schemas.gradients import GradientsRequest, GradientsResponse
from service.schemas.merge import MergeRequest, MergeResponse
from service.schemas.results import AttentionResponse, EstimateResponse
from service.specification.examples import NamedExamples, requests_to, worked_examples


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A POST that takes a JSON or safetensors body and computes an answer.

    `name` is the operationId.  `title`, `about` and `answer` describe the operation and its answer in the document;
    `answer` is also its row in the documentation.  `offered` are the media types of answers, the preferred one first.
    """

    path: str
    name: str
    title: Text
    about: Text
    answer: Text
    prepare: Prepare
    request: type[BaseModel]
    response: type[BaseModel]
    examples: NamedExamples
    offered: tuple[str, ...] = tuple(WRITERS)


ENDPOINTS = (
    Endpoint(
        path="/v1/attention",
        name="attend",
        title=Text("计算注意力", "Attend"),
        about=Text(
            "打分、归一化、加权求和。",
            "Score every key for every query, normalise the scores to weights, mix the values.",
        ),
        answer=Text("得分、权重、输出，或一幅权重图。", "Scores, weights, outputs; or a picture of the weights."),
        prepare=prepare_attention,
        request=AttentionRequest,
        response=AttentionResponse,
        examples=worked_examples() | requests_to("attend"),
        offered=(*WRITERS, *DRAWINGS, EVENT_STREAM),
    ),
    Endpoint(
        path="/v1/attention/estimate",
        name="estimate",
        title=Text("估算开销", "Estimate"),
        about=Text("估算开销，不做计算。", "Predict what an attention request would cost, without computing it."),
        answer=Text("预计要花的代价，不做计算。", "What attention would cost, without computing it."),
        prepare=prepare_estimate,
        request=AttentionRequest,
        response=EstimateResponse,
        examples=worked_examples(),
    ),
    Endpoint(
        path="/v1/attention/explain",
        name="explain",
        title=Text("解释一个权重", "Explain"),
        about=Text(
            "解释一个权重。",
            "Show every number behind one weight, from the terms of its score to its share of the output.",
        ),
        answer=Text("一个权重背后的所有数字。", "Every number behind one weight."),
        prepare=prepare_explain,
        request=ExplainRequest,
        response=ExplainResponse,
        examples=requests_to("explain"),
    ),
    Endpoint(
        path="/v1/attention/compare",
        name="compare",
        title=Text("比较变体", "Compare"),
        about=Text(
            "比较一个请求的若干变体。", "Run one request and its variants, and say how far apart their results are."
        ),
        answer=Text("一个请求及其变体，以及它们相差多少。", "A request and its variants, and how far they are apart."),
        prepare=prepare_compare,
        request=CompareRequest,
        response=CompareResponse,
        examples=requests_to("compare"),
        offered=(*WRITERS, EVENT_STREAM),
    ),
    Endpoint(
        path="/v1/attention/check",
        name="check",
        title=Text("核对结果", "Check"),
        about=Text(
            "核对您的结果。",
            "Hold what you computed against the float64 reference, and name the mistake that explains it.",
        ),
        answer=Text(
            "结果是否正确；不正确时，是哪种错误造成的。", "Whether a candidate is right, and which mistake explains it."
        ),
        prepare=prepare_check,
        request=CheckRequest,
        response=CheckResponse,
        examples=requests_to("check"),
        offered=(*WRITERS, EVENT_STREAM),
    ),
    Endpoint(
        path="/v1/attention/gradients",
        name="gradients",
        title=Text("计算梯度", "Gradients"),
        about=Text(
            "反向传播：由损失对输出的梯度，求损失对各输入与参数的梯度。",
            "Go back from the gradient of a loss with respect to the output to the gradients of all inputs and "
            "parameters.",
        ),
        answer=Text(
            "输出，以及损失对各输入与参数的梯度。",
            "The output, and the gradients of a loss with respect to inputs and parameters.",
        ),
        prepare=prepare_gradients,
        request=GradientsRequest,
        response=GradientsResponse,
        examples=requests_to("gradients"),
        offered=(*WRITERS, EVENT_STREAM),
    ),
    Endpoint(
        path="/v1/attention/gradients/estimate",
        name="estimate_gradients",
        title=Text("估算梯度的开销", "Estimate gradients"),
        about=Text("估算梯度的开销，不做计算。", "Predict what gradients would cost, without computing them."),
        answer=Text("计算梯度预计要花的代价，不做计算。", "What gradients would cost, without computing them."),
        prepare=prepare_gradients_estimate,
        request=GradientsRequest,
        response=EstimateResponse,
        examples=requests_to("gradients"),
    ),
    Endpoint(
        path="/v1/attention/merge",
        name="merge",
        title=Text("合并部分结果", "Merge"),
        about=Text(
            "合并。",
            "Put together what the same queries found in different parts of the keys, exactly but for rounding.",
        ),
        answer=Text(
            "把对各部分键的结果合并成对全部键的结果。",
            "Results over parts of the keys, made into the result over all of them.",
        ),
        prepare=prepare_merge,
        request=MergeRequest,
        response=MergeResponse,
        examples=requests_to("merge"),
    ),
)
