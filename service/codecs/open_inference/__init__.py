"""The Open Inference Protocol V2: JSON with raw tensors behind it, to the document of /v1/attention and back.

A request becomes the very document that /v1/attention validates, with arrays in place, so that every rule and every
message exists once; errors are pointed back to where the client wrote it.
"""

from service.codecs.open_inference.metadata import VERSION, configuration, metadata
from service.codecs.open_inference.places import advise_place
from service.codecs.open_inference.request import InferenceRequest, read_request
from service.codecs.open_inference.response import bytes_per_number, write_response
from service.codecs.open_inference.vocabulary import MODELS

__all__ = [
    "MODELS",
    "VERSION",
    "InferenceRequest",
    "advise_place",
    "bytes_per_number",
    "configuration",
    "metadata",
    "read_request",
    "write_response",
]
