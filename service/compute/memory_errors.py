"""Errors of memories become those of the service."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from attention_core.hints import did_you_mean
from attention_wire.documents import pointer
from service.errors import (
    Conflict,
    DamagedMemory,
    InsufficientStorage,
    InvalidRequest,
    Location,
    MemoriesUnavailable,
    NotFound,
    PreconditionFailed,
    ServiceError,
    TooLarge,
)
from service.memories.errors import (
    IncompatibleTensors,
    MemoryDamaged,
    MemoryNotFound,
    MemoryStoreError,
    QuotaExceeded,
    StorageFull,
    StoreDamaged,
    StoreOff,
    StoreUnavailable,
    VersionGone,
    VersionMismatch,
)


@contextmanager
def errors_on_path() -> Iterator[None]:
    """Translate the errors of a memory that the path names: one that does not exist is a 404."""
    try:
        yield
    except (MemoryNotFound, StoreOff) as error:
        raise NotFound(str(error)) from None
    except MemoryStoreError as error:
        raise _translated(error, ()) from error


@contextmanager
def errors_at(place: Location, known: Callable[[], Collection[str]]) -> Iterator[None]:
    """Translate the errors of a memory that a request names: one that does not exist is a wrong name.

    :param place: where the request names it.
    :param known: returns the names that its owner has, for a suggestion.
    """
    try:
        yield
    except MemoryNotFound as error:
        advice = did_you_mean(error.name.name, known()) or "PUT /v1/memories/{name} makes one."
        detail = f"expected the name of a memory; received {error.name.name!r}, which does not exist. {advice}"
        raise InvalidRequest.at(place, detail, "unknown-name") from None
    except StoreOff as error:
        raise InvalidRequest.at(place, str(error), "unknown-name") from None
    except MemoryStoreError as error:
        raise _translated(error, place[:-1]) from error


def _translated(error: MemoryStoreError, within: Location) -> ServiceError:
    """Return the error of the service; `within` is the path of the request that has the tensors."""
    match error:
        case VersionGone():
            return Conflict(str(error))
        case VersionMismatch():
            return PreconditionFailed(str(error), error.current)
        case IncompatibleTensors():
            place = pointer((*within, *error.field.split(".")))
            advice = "Send tensors that fit the memory."
            if error.field.startswith("labels"):
                advice = "Send labels.key to fit, by POST /v1/attention or …/append: inferences hold no labels."
            detail = f"expected {error.expected}; received {error.received}. {advice}"
            return InvalidRequest.at(place, detail, "shape-mismatch")
        case QuotaExceeded():
            return TooLarge(str(error))
        case StorageFull():
            return InsufficientStorage(str(error))
        case StoreUnavailable():
            return MemoriesUnavailable(str(error), error.retry_seconds)
        case MemoryDamaged() | StoreDamaged():
            return DamagedMemory(str(error))
        case _:
            raise AssertionError(error)
