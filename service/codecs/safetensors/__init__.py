"""The safetensors format: the document of /v1 whose arrays are raw tensors, named by where they stand in it.

The file's metadata hold the rest of the document as JSON: `request` on the way in, `response` on the way out.  A
request becomes the very document that its JSON would be, so that every rule and every message exists once.
https://github.com/huggingface/safetensors#format
"""

from service.codecs.safetensors.document import read
from service.codecs.safetensors.writing import write

__all__ = ["read", "write"]
