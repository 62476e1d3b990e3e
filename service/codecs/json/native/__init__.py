"""Read and write number arrays of JSON with compiled code, where the installation found a compiler."""

from service.codecs.json.native.library import (
    AVAILABLE,
    MISSING,
    STRING,
    Array,
    RefusedArray,
    count_structure,
    read_arrays,
    write_numbers,
)

__all__ = [
    "AVAILABLE",
    "MISSING",
    "STRING",
    "Array",
    "RefusedArray",
    "count_structure",
    "read_arrays",
    "write_numbers",
]
