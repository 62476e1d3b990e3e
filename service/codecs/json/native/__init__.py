"""Number arrays of JSON read and written by compiled code, where a compiler was there to build it."""

from service.codecs.json.native.library import AVAILABLE, Array, count, read_arrays, write_numbers

__all__ = ["AVAILABLE", "Array", "count", "read_arrays", "write_numbers"]
