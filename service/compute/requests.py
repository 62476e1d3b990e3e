"""An attention request becomes a call that has passed every check."""

from typing import Any, NamedTuple, cast

from numpy.typing import NDArray

from attention_core import resolve
from attention_core.call import AttentionCall, ResolvedCall
from attention_core.hints import Write, as_json
from service.codecs.open_inference import InferenceRequest, read_request
from service.codecs.open_inference.places import write_place
from service.compute.contract import Body
from service.compute.documents import read_document
from service.compute.memory_calls import OpenMemory, open_memory
from service.memories import MemoryAccess
from service.schemas.attention import AttentionRequest, LabelsSchema
from service.schemas.parse import call_errors, check_labels, parse
from service.settings import Settings

UNLABELLED = LabelsSchema()


class ReadRequest(NamedTuple):
    """A valid attention request and its call."""

    request: AttentionRequest
    call: ResolvedCall
    """Checked; with zeros for keys and values where the request appends to a memory."""
    memory: OpenMemory | None
    """Where keys and values come from, if not from the request."""

    @property
    def labels(self) -> LabelsSchema:
        """Labels of queries and keys, those of the memory among them."""
        return labels_of(self.request, self.memory)


def read_attention(body: Body, settings: Settings, *, may_append: bool = True) -> ReadRequest:
    """Decode, validate and resolve an attention request.

    :param may_append: whether the endpoint appends to memories, or prices that.

    Raises MalformedBody, InvalidRequest, or what opening a memory raises.
    """
    return resolve_document(read_document(body, settings), body.memories, may_append=may_append)


def resolve_document(
    document: Any, memories: MemoryAccess | None = None, write: Write = as_json, *, may_append: bool = True
) -> ReadRequest:
    """Validate and resolve an attention request; raises InvalidRequest, or what opening a memory raises.

    :param memories: those that the request may reach.
    :param write: how the request that was sent spells places, for hints.
    :param may_append: whether the endpoint appends to memories, or prices that.
    """
    return resolve_parsed(parse(AttentionRequest, document, write), memories, write, may_append=may_append)


def resolve_parsed(
    request: AttentionRequest, memories: MemoryAccess | None, write: Write = as_json, *, may_append: bool = True
) -> ReadRequest:
    """Resolve a valid attention request as `resolve_document` does."""
    memory = open_memory(request, memories, may_append=may_append)
    return ReadRequest(request, resolve_request(request, memory, write), memory)


def resolve_request(request: AttentionRequest, memory: OpenMemory | None, write: Write = as_json) -> ResolvedCall:
    """Resolve an attention request; raises InvalidRequest.

    :param memory: where its keys and values come from, if not from itself.
    :param write: how the request that was sent spells places, for hints.
    """
    call = resolve_call(call_of(request, memory), memory, write)
    check_all_labels(request, memory, queries=call.query_length, keys=call.key_length)
    return call


def resolve_call(call: AttentionCall, memory: OpenMemory | None, write: Write = as_json) -> ResolvedCall:
    """Resolve a call; raises InvalidRequest.

    :param memory: where its keys and values come from, if not from the request.
    :param write: how the request that was sent spells places, for hints.
    """
    with call_errors(write=write, from_memory=memory is not None):
        return resolve(call)


def call_of(request: AttentionRequest, memory: OpenMemory | None) -> AttentionCall:
    """Return the call of a request, with the keys and values of its memory if it has one."""
    if memory is not None:
        return memory.call()
    # The schema requires a key without a memory.
    return request.to_call(cast("NDArray[Any]", request.key), request.value)


def labels_of(request: AttentionRequest, memory: OpenMemory | None) -> LabelsSchema:
    """Return the labels of queries and keys, those of the memory among them."""
    given = request.labels or UNLABELLED
    if memory is None:
        return given
    return LabelsSchema.model_construct(query=given.query, key=cast("list[str] | None", memory.labels))


def check_all_labels(
    request: AttentionRequest, memory: OpenMemory | None, *, queries: int, keys: int, within: str = ""
) -> None:
    """Raise InvalidRequest unless there is one label for each query and each key; `within` is where the request is."""
    if request.labels is None:
        return
    labels = request.labels
    if memory is not None and memory.appends:
        # Those of the new keys were held against the memory.
        labels = LabelsSchema.model_construct(query=labels.query, key=None)
    check_labels(labels, queries=queries, keys=keys, within=within)


def read_inference(
    model: str,
    document: Any,
    raw: memoryview,
    max_depth: int,
    memories: MemoryAccess | None = None,
) -> tuple[InferenceRequest, ReadRequest]:
    """Read an inference request as `read_request` does and resolve its call."""
    request = read_request(model, document, raw, max_depth)
    with request.located():
        return request, resolve_document(request.document, memories, write_place)
