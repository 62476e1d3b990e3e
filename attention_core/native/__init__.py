"""Compiled kernels: both passes in C, chosen by the processor, with the same bits for a row in every call."""

from attention_core.native.backward import KernelGradients, differentiate_with_kernel
from attention_core.native.candidates import (
    Candidates,
    WeightedKeys,
    apply_to_range,
    find_candidates,
    keys_of_range,
    merge_sums,
    takes_candidates,
    weigh_candidates,
)
from attention_core.native.forward import KernelResult, evaluate_with_kernel
from attention_core.native.in_parts import evaluate_in_parts
from attention_core.native.key_ranges import (
    PartialSpans,
    RowBlock,
    continue_key_range,
    divide_rows,
    evaluate_key_range,
    merge_key_ranges,
    takes_key_ranges,
    without_keys,
)
from attention_core.native.library import (
    AUTO,
    KERNEL_CHOICES,
    NUMPY,
    Kernel,
    available_kernels,
    kernel_name,
    select_kernel,
    selected_kernel,
    using_kernel,
)
from attention_core.native.parts import Bytes, CutCall, Part, PartResult, evaluate_part
from attention_core.native.range_ranking import (
    RangeRanking,
    merge_rankings,
    rank_range,
    ranks_in_ranges,
    required_without_ranking,
)
from attention_core.native.scoring import find_scorer

__all__ = [
    "AUTO",
    "KERNEL_CHOICES",
    "NUMPY",
    "Bytes",
    "Candidates",
    "CutCall",
    "Kernel",
    "KernelGradients",
    "KernelResult",
    "Part",
    "PartResult",
    "PartialSpans",
    "RangeRanking",
    "RowBlock",
    "WeightedKeys",
    "apply_to_range",
    "available_kernels",
    "continue_key_range",
    "differentiate_with_kernel",
    "divide_rows",
    "evaluate_in_parts",
    "evaluate_key_range",
    "evaluate_part",
    "evaluate_with_kernel",
    "find_candidates",
    "find_scorer",
    "kernel_name",
    "keys_of_range",
    "merge_key_ranges",
    "merge_rankings",
    "merge_sums",
    "rank_range",
    "ranks_in_ranges",
    "required_without_ranking",
    "select_kernel",
    "selected_kernel",
    "takes_candidates",
    "takes_key_ranges",
    "using_kernel",
    "weigh_candidates",
    "without_keys",
]
