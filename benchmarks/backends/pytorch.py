"""PyTorch in its best form: `inference_mode`, contiguous inputs, its flash kernel, its threads read back."""

import os
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.backends.loop import Array, Arrays, Prepared, serve
from benchmarks.work import Work

PRODUCT_ROWS = 1024
"""Queries multiplied at a time where only products are measured, so that no matrix of scores is ever whole."""

Tensors = dict[str, Tensor]


def main() -> None:
    """Do each work with as many threads as the command line says."""
    torch.set_num_threads(int(sys.argv[1]))
    if torch.get_num_threads() != int(sys.argv[1]):
        raise RuntimeError(f"expected {sys.argv[1]} threads, PyTorch has {torch.get_num_threads()}")
    with torch.inference_mode(), sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        serve(prepare)


def prepare(work: Work, arrays: Arrays) -> Prepared:
    """Choose the form in which PyTorch does the work fastest."""
    with torch.inference_mode(mode=False):
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return Prepared(form_of(work)(work, **tensors), read)


def form_of(work: Work) -> Callable[..., Callable[[], Any]]:
    """Return the function that binds the tensors of a work."""
    if work.operation in OPERATIONS:
        return OPERATIONS[work.operation]
    if work.window:
        return windowed
    return fused if work.score_model == "scaled_dot_product" else broadcast


def fused(work: Work, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Callable[[], Tensor]:
    """Bind its own attention, with the bias as a mask of floats."""
    grouped = query.shape[:-2] != key.shape[:-2]
    return lambda: scaled_dot_product_attention(
        query, key, value, attn_mask=bias, is_causal=work.causal, enable_gqa=grouped
    )


def windowed(work: Work, query: Tensor, key: Tensor, value: Tensor) -> Callable[[], Tensor]:
    """Bind blocks of queries, each with two blocks of keys, as views: 30 times faster than one mask over all keys."""
    (batch, heads, length, features), size = query.shape, work.window
    rows, columns = torch.arange(size)[:, None], torch.arange(2 * size)
    mask = torch.where((columns > rows) & (columns <= rows + size), 0.0, -torch.inf)
    shape = (batch * heads, length // size - 1, 2 * size, features)
    keys, values = (one.as_strided(shape, (length * features, size * features, features, 1)) for one in (key, value))
    queries = query[..., size:, :].view(batch * heads, length // size - 1, size, features)

    def windows() -> Tensor:
        first = scaled_dot_product_attention(*(one[..., :size, :] for one in (query, key, value)), is_causal=True)
        others = scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        return torch.cat((first, others.view(batch, heads, -1, features)), -2)

    return windows


def broadcast(work: Work, query: Tensor, key: Tensor, value: Tensor, **weights: Tensor) -> Callable[[], Tensor]:
    """Bind scores of pairs by broadcasting, or distances by `cdist` where the environment variable PAIRS says so."""
    if os.environ.get("PAIRS") == "cdist":
        if work.score_model == "laplacian":
            return lambda: torch.softmax(-torch.cdist(query, key, p=1), -1) @ value
        return lambda: torch.softmax(torch.cdist(query, key).square() / -2, -1) @ value

    def additive() -> Tensor:
        queries, keys = query @ weights["query_weight"].T, key @ weights["key_weight"].T
        return torch.tanh(queries[..., :, None, :] + keys[..., None, :, :]) @ weights["score_vector"]

    def differences() -> Tensor:
        return query[..., :, None, :] - key[..., None, :, :]

    scores = {
        "additive": additive,
        "gaussian": lambda: differences().square().sum(-1) / -2,
        "laplacian": lambda: -differences().abs().sum(-1),
    }[work.score_model]
    return lambda: torch.softmax(scores(), -1) @ value


def backward(work: Work, query: Tensor, key: Tensor, value: Tensor, output_gradient: Tensor) -> Callable[[], Any]:
    """Bind inputs that autograd follows."""
    tensors = [one.requires_grad_() for one in (query, key, value)]

    def forward_and_back() -> tuple[Tensor, ...]:
        with torch.inference_mode(mode=False):
            output = scaled_dot_product_attention(*tensors, is_causal=work.causal)
            return torch.autograd.grad(output, tensors, output_gradient)

    return forward_and_back


def products(_work: Work, query: Tensor, key: Tensor, value: Tensor) -> Callable[[], Tensor]:
    """Bind q·kᵀ and its product with the values, some rows at a time into the same memory."""
    heads = [(q, k.T, v) for q, k, v in zip(*(one.flatten(0, -3) for one in (query, key, value)), strict=True)]
    scores = torch.empty(min(PRODUCT_ROWS, query.shape[-2]), key.shape[-2])
    output = torch.empty(len(scores), value.shape[-1])

    def multiply() -> Tensor:
        for queries, keys, values in heads:
            for rows in queries.split(len(scores)):
                torch.mm(torch.mm(rows, keys, out=scores), values, out=output)
        return output

    return multiply


def look_at_all(_work: Work, key: Tensor, value: Tensor, **_: Tensor) -> Callable[[], Tensor]:
    """Bind one sum over keys and values, which is as fast as memory can be read."""
    return lambda: key.sum() + value.sum()


OPERATIONS: dict[str, Callable[..., Callable[[], Any]]] = {
    "backward": backward,
    "products": products,
    "sum": look_at_all,
}


def read(result: Tensor | tuple[Tensor, ...]) -> list[Array]:
    """Return the arrays of a result."""
    return [one.numpy() for one in (result if isinstance(result, tuple) else (result,))]


if __name__ == "__main__":
    main()
