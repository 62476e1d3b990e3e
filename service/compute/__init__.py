"""The transport-neutral centre: bytes in, bytes out.

A request is first *prepared* (decoded, validated, resolved, its cost held against the budget) and then *completed*
(computed, encoded).  Between the two the gate knows what it will cost.
"""

from service.compute.attention import prepare_attention, prepare_estimate, prepare_view
from service.compute.check import prepare_check
from service.compute.compare import prepare_compare
from service.compute.contract import Body, Meter, Prepare, Prepared, Reply, Run
from service.compute.encodings import encoded, prepare_encoded
from service.compute.explain import prepare_explain
from service.compute.merge import prepare_merge
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
    "encoded",
    "prepare_attention",
    "prepare_check",
    "prepare_compare",
    "prepare_encoded",
    "prepare_estimate",
    "prepare_explain",
    "prepare_infer",
    "prepare_merge",
    "prepare_view",
]
