"""The transport-neutral centre: bytes in, bytes out.

A request is first *prepared* (decoded, validated, resolved, its cost held against the budget) and then *completed*
(computed, encoded).  Between the two admission knows its cost.
"""

from service.compute.attention import prepare_attention, prepare_view
from service.compute.check import prepare_check
from service.compute.contract import Body, Meter, Prepare, Prepared, Reply, Run
from service.compute.documents import decoding_bytes, max_body_bytes
from service.compute.encodings import encoded, prepare_encoded
from service.compute.gradients import prepare_gradients
from service.compute.open_inference import InferenceOrder, prepare_infer
from service.compute.statistics import Statistics, Stopwatch

__all__ = [
    "Body",
    "InferenceOrder",
    "Meter",
    "Prepare",
    "Prepared",
    "Reply",
    "Run",
    "Statistics",
    "Stopwatch",
    "decoding_bytes",
    "encoded",
    "max_body_bytes",
    "prepare_attention",
    "prepare_check",
    "prepare_encoded",
    "prepare_gradients",
    "prepare_infer",
    "prepare_view",
]
