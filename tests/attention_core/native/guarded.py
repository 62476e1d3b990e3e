"""Runs drawn calls with a kernel, in a process that ends at the first byte beside an array.

    python -m tests.attention_core.native.guarded KERNEL LIBRARY GUARDS FIRST_SEED END_SEED

LIBRARY replaces the kernel of that name unless it is "-"; GUARDS is `guards.c` compiled, or "-" where the library finds
such bytes by itself.
"""

import ctypes
import sys
from pathlib import Path

import numpy as np

from attention_core import ScaledDotProduct, Sparsemax, attend, differentiate
from attention_core.native import available_kernels, library, select_kernel
from tests.attention_core.native.drawn import draw
from tests.attention_core.native.stored import STORED, in_two_bytes

SET_HANDLER = 304
"""Index of `PyDataMem_SetHandler` in NumPy's C API."""


class InTurn:
    """Workers that do everything in the calling thread: a call is divided as for several threads."""

    threads = 4

    def run(self, work):
        work(0)

    def may_continue(self, thread):
        return True


def guard_arrays(guards):
    """Let every array made from now on, in this thread, end at a page without access."""
    handler = ctypes.addressof(ctypes.c_char.in_dll(ctypes.CDLL(guards), "guarded_handler"))
    python = ctypes.pythonapi
    python.PyCapsule_New.restype = ctypes.py_object
    python.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    python.PyCapsule_GetPointer.restype = ctypes.c_void_p
    python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    interface = python.PyCapsule_GetPointer(np._core._multiarray_umath._ARRAY_API, None)
    address = ctypes.cast(interface, ctypes.POINTER(ctypes.c_void_p))[SET_HANDLER]
    set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(address)
    set_handler(python.PyCapsule_New(handler, b"mem_handler", None))


def call(seed):
    """A drawn call and its way back, every array copied so that it ends where its memory does."""
    drawn = draw(seed)
    arguments = {
        name: np.array(one, order="K") if isinstance(one, np.ndarray) else one for name, one in drawn.arguments.items()
    }
    softmax = ("logsumexp",) if type(arguments["normalizer"]).__name__ == "Softmax" else ()
    matrices = ("scores", "capped_scores", "logits", "weights") if seed % 2 else ()
    result = attend(**arguments, include=("output", *softmax, *matrices), workers=InTurn())
    attend(**{**arguments, "normalizer": Sparsemax()}, include=("output", *matrices), workers=InTurn())
    attend(**arguments, include=("ranking",), top_k=1 + drawn.keys // 9, workers=InTurn())
    for dtype in STORED:
        attend(**in_two_bytes(arguments, dtype), include=("output", *matrices), workers=InTurn())
    gradient = np.array(result.output)
    for model in (arguments["score_model"], ScaledDotProduct()):
        differentiate(**{**arguments, "score_model": model}, output_gradient=gradient, workers=InTurn())


if __name__ == "__main__":
    name, replaced, guards = sys.argv[1:4]
    kernels, _ = available_kernels()
    if replaced != "-":
        kernels[name] = library.open_kernel(name, Path(replaced))
    select_kernel(name)
    if guards != "-":
        guard_arrays(guards)
    for number in range(int(sys.argv[4]), int(sys.argv[5])):
        call(number)
    print(f"ran {int(sys.argv[5]) - int(sys.argv[4])} calls with {kernels[name].name}")
