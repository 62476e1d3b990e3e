"""An attention request becomes a call that has passed every check."""

from typing import Any

from attention_core import resolve
from attention_core.call import ResolvedCall
from attention_core.hints import Write, as_json
from service.codecs.open_inference import InferenceRequest, read_request
from service.codecs.open_inference.places import write_place
from service.compute.contract import Body
from service.compute.documents import read_document
from service.schemas.attention import AttentionRequest, LabelsSchema
from service.schemas.parse import call_errors, check_labels, parse
from service.settings import Settings

UNLABELLED = LabelsSchema()


def read_attention(body: Body, settings: Settings) -> tuple[AttentionRequest, ResolvedCall]:
    """Decode, validate and resolve an attention request; raises MalformedBody or InvalidRequest."""
    return resolve_document(read_document(body, settings))


def resolve_document(document: Any, write: Write = as_json) -> tuple[AttentionRequest, ResolvedCall]:
    """Validate and resolve an attention request; raises InvalidRequest.

    :param write: how the request that was sent spells places, for hints.
    """
    request = parse(AttentionRequest, document, write)
    return request, resolve_request(request, write)


def resolve_request(request: AttentionRequest, write: Write = as_json) -> ResolvedCall:
    """Resolve an attention request; raises InvalidRequest.

    :param write: how the request that was sent spells places, for hints.
    """
    with call_errors(write=write):
        call = resolve(request.to_call())
    if request.labels is not None:
        check_labels(request.labels, queries=call.query_length, keys=call.key_length)
    return call


def read_inference(model: str, document: Any, raw: memoryview, max_depth: int) -> tuple[InferenceRequest, ResolvedCall]:
    """Read an inference request as `read_request` does and resolve its call."""
    request = read_request(model, document, raw, max_depth)
    with request.located():
        _, call = resolve_document(request.document, write_place)
    return request, call
