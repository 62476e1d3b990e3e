"""Number arrays of JSON read by compiled code, where a compiler was there to build it."""

from service.codecs.json.native.library import AVAILABLE, Array, count, read_arrays

__all__ = ["AVAILABLE", "Array", "count", "read_arrays"]
