"""Compiled kernels: both passes in C, chosen by the processor, with the same bits for a row in every call."""

from attention_core.native.backward import KernelGradients, differentiate_with_kernel
from attention_core.native.forward import KernelResult, evaluate_with_kernel
from attention_core.native.in_parts import evaluate_in_parts
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
from attention_core.native.scoring import find_scorer

__all__ = [
    "AUTO",
    "KERNEL_CHOICES",
    "NUMPY",
    "Bytes",
    "CutCall",
    "Kernel",
    "KernelGradients",
    "KernelResult",
    "Part",
    "PartResult",
    "available_kernels",
    "differentiate_with_kernel",
    "evaluate_in_parts",
    "evaluate_part",
    "evaluate_with_kernel",
    "find_scorer",
    "kernel_name",
    "select_kernel",
    "selected_kernel",
    "using_kernel",
]
