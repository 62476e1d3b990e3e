"""Exceptions become problem documents (RFC 9457) here and nowhere else; `kinds` is the only table of statuses."""

from service.problems.kinds import COMPUTING_PROBLEMS, INFERENCE_MEDIA_TYPE, MEDIA_TYPE, PROBLEMS
from service.problems.responses import (
    HANDLERS,
    cut_short,
    internal_error,
    on_service_error,
    path_inside,
    problem_document,
    problem_of,
    respond,
)

__all__ = [
    "COMPUTING_PROBLEMS",
    "HANDLERS",
    "INFERENCE_MEDIA_TYPE",
    "MEDIA_TYPE",
    "PROBLEMS",
    "cut_short",
    "internal_error",
    "on_service_error",
    "path_inside",
    "problem_document",
    "problem_of",
    "respond",
]
