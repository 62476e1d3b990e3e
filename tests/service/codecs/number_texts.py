"""Numbers as JSON, by the compiled writer and by orjson."""

import numpy as np
import orjson

from service.codecs.json import native


def written(array: np.ndarray) -> bytes:
    """Return the text of the compiled writer."""
    return bytes(native.write_numbers(array))


def by_orjson(array: np.ndarray) -> bytes:
    """Return the text of orjson."""
    return orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)
