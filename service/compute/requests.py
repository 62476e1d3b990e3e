"""An attention request becomes a call that has passed every check."""

from typing import Any

from attention_core import resolve
from attention_core.call import ResolvedCall
from service.codecs.open_inference import InferenceRequest, read_request
from service.codecs.open_inference.framing import Limits
from service.compute.contract import Body
from service.compute.documents import read_document
from service.schemas.attention import AttentionRequest, LabelsSchema
from service.schemas.parse import call_errors, check_labels, parse
from service.settings import Settings

UNLABELLED = LabelsSchema()


def read_attention(body: Body, settings: Settings) -> tuple[AttentionRequest, ResolvedCall]:
    """Decode, validate and resolve an attention request; raises MalformedBody or InvalidRequest."""
    return resolve_document(read_document(body, settings))


def resolve_document(document: Any) -> tuple[AttentionRequest, ResolvedCall]:
    """Validate and resolve an attention request; raises InvalidRequest."""
    request = parse(AttentionRequest, document)
    return request, resolve_request(request)


def resolve_request(request: AttentionRequest) -> ResolvedCall:
    """Resolve an attention request; raises InvalidRequest."""
    with call_errors():
        call = resolve(request.to_call())
    if request.labels is not None:
        check_labels(request.labels, queries=call.query_length, keys=call.key_length)
    return call


def read_inference(model: str, head: bytes, raw: memoryview, limits: Limits) -> tuple[InferenceRequest, ResolvedCall]:
    """Read an inference request and resolve what it stands for; raises MalformedBody, InvalidRequest or TooLarge."""
    request = read_request(model, head, raw, limits)
    with request.located():
        _, call = resolve_document(request.document)
    return request, call
