"""The memories that a request may reach, by its API key and its header fields."""

from starlette.requests import Request

from service.memories import MemoryAccess, read_precondition
from service.middleware.api_key import owner_of
from service.middleware.header_fields import header_fields
from service.routes.state import state_of


def access_of(request: Request) -> MemoryAccess:
    """Return the memories that a request with a memory in its body may reach, with the precondition of If-Match.

    If-None-Match is about a representation, which its path does not have.  Raises MalformedBody.
    """
    condition = read_precondition(header_fields(request.scope).get(b"if-match"), None)
    return MemoryAccess(state_of(request).memories, owner_of(request.scope), condition)


def access_on_path(request: Request) -> MemoryAccess:
    """Return the memories that a request with a memory in its path may reach, with its preconditions.

    Raises MalformedBody.
    """
    fields = header_fields(request.scope)
    condition = read_precondition(fields.get(b"if-match"), fields.get(b"if-none-match"))
    return MemoryAccess(state_of(request).memories, owner_of(request.scope), condition)
