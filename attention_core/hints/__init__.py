"""Hints: what to send instead of a name that is not known here.

`masks`, `tensors`, `options` and `names` hold one table of what other libraries and textbooks call each thing; `search`
finds a row, a place or a spelling; `translation` writes places as JSON or as Python.  Nothing here needs NumPy.

The names are those of the published signatures of PyTorch (scaled_dot_product_attention, nn.MultiheadAttention,
FlexAttention), FlashAttention, xFormers, JAX (jax.nn.dot_product_attention), Keras (MultiHeadAttention, Attention,
AdditiveAttention), ONNX (Attention) and onnxruntime (GroupQueryAttention, MultiHeadAttention), Hugging Face
transformers, FlashInfer, vLLM, Triton and *Dive into Deep Learning*.
"""

from attention_core.hints.search import TABLE, OwnNames, advise, did_you_mean, translation, written
from attention_core.hints.translation import Kind, Translation, Write, as_json, as_python, fill_places, split

__all__ = [
    "TABLE",
    "Kind",
    "OwnNames",
    "Translation",
    "Write",
    "advise",
    "as_json",
    "as_python",
    "did_you_mean",
    "fill_places",
    "split",
    "translation",
    "written",
]
