"""How NumPy goes about arrays that are broadcast against each other."""

import numpy as np

LONG_ROW = 256
"""A row of so many numbers is worth a step of its own."""


def take_rows_as_they_lie(length: int) -> None:
    """Let NumPy combine rows of that length as they lie in memory, up to the end of the `errstate` around it.

    What it broadcasts it copies first, into buffers of 8192 numbers, unless a row is longer than such a buffer; that is
    half of the time that a sum or a difference takes.  The size of a buffer ends with an `errstate`, as errors do.
    """
    if length >= LONG_ROW:
        np.setbufsize(LONG_ROW)
