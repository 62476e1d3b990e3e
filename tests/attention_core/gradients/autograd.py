"""Gradients by automatic differentiation, in the environment of another library.

    .venv-peers/bin/python -m tests.attention_core.gradients.autograd torch < cases.json

Reads a list of cases and prints, for each, the output and the gradient of every input, as nested lists.  Both libraries
evaluate the same formulas, in float64; `fused` calls the attention of the library itself.
"""

import ast
import json
import operator
import sys
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np


class Library(NamedTuple):
    """What the formulas use of a library."""

    array: Any
    np: Any
    """Functions with the names of NumPy."""
    sigmoid: Any
    gradients: Any
    """Returns the output and the gradients of Σ output · upstream, given a function and its inputs by name."""
    fused: Any


def with_torch() -> Library:
    """Return the formulas' library for PyTorch."""
    torch: Any = import_module("torch")

    def gradients(function, inputs, upstream):
        leaves = {name: value.detach().requires_grad_() for name, value in inputs.items()}
        output = function(leaves)
        found = torch.autograd.grad((output * upstream).sum(), list(leaves.values()), allow_unused=True)
        named = zip(leaves, found, strict=True)
        return output.detach(), {name: torch.zeros_like(leaves[name]) if one is None else one for name, one in named}

    def fused(query, key, value, bias, causal, scale):
        grouped = query.shape[1] != key.shape[1]
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=bias, is_causal=causal, scale=scale, enable_gqa=grouped
        )

    def array(nested):
        return torch.tensor(nested, dtype=torch.float64)

    return Library(array, torch, torch.sigmoid, gradients, fused)


def with_jax() -> Library:
    """Return the formulas' library for JAX."""
    jax: Any = import_module("jax")
    jax.config.update("jax_enable_x64", True)

    def gradients(function, inputs, upstream):
        output, backward = jax.vjp(function, inputs)
        return output, backward(upstream)[0]

    def fused(query, key, value, bias, causal, scale):
        swapped = (array.swapaxes(1, 2) for array in (query, key, value))
        return jax.nn.dot_product_attention(*swapped, bias=bias, is_causal=causal, scale=scale).swapaxes(1, 2)

    return Library(lambda nested: jax.numpy.asarray(nested, "float64"), jax.numpy, jax.nn.sigmoid, gradients, fused)


def scores_of(lib: Library, model: str, given: dict[str, Any], query: Any, key: Any) -> Any:
    """Return a(q, k), (…, Lq, Lk); parameters are shared by all heads."""
    xp = lib.np
    if model == "additive":
        left = xp.einsum("...qd,ud->...qu", query, given["query_weight"])
        right = xp.einsum("...kd,ud->...ku", key, given["key_weight"])
        hidden = left[..., :, None, :] + right[..., None, :, :] + given["hidden_bias"]
        return xp.einsum("...qku,u->...qk", xp.tanh(hidden), given["score_vector"])
    if model == "bilinear":
        return xp.einsum("...qd,de,...ke->...qk", query, given["weight"], key)
    products = xp.einsum("...qd,...kd->...qk", query, key)
    differences = query[..., :, None, :] - key[..., None, :, :]
    if model == "scaled_dot_product":
        return products * given["scale"]
    if model == "dot_product":
        return products
    if model == "cosine":
        norms = (xp.sqrt((vectors * vectors).sum(-1)) for vectors in (query, key))
        of_query, of_key = norms
        return given["scale"] * products / (of_query[..., :, None] * of_key[..., None, :])
    if model == "gaussian":
        return -(differences * differences).sum(-1) / (2 * given["bandwidth"] ** 2)
    if model == "laplacian":
        return -xp.abs(differences).sum(-1) / given["bandwidth"]
    if model == "trilinear":
        weight, size = given["weight"], query.shape[-1]
        of_query = xp.einsum("...qd,d->...q", query, weight[:size])
        of_key = xp.einsum("...kd,d->...k", key, weight[size : 2 * size])
        both = xp.einsum("...qd,d,...kd->...qk", query, weight[2 * size :], key)
        return of_query[..., :, None] + of_key[..., None, :] + both
    raise ValueError(model)


def scores_of_formula(lib: Library, formula: str, given: dict[str, Any], query: Any, key: Any) -> Any:
    """Return the value of a formula for each pair, (…, Lq, Lk); vectors have their elements on the last axis."""
    names = given | {"q": query[..., :, None, :], "k": key[..., None, :, :], "D": float(query.shape[-1])}
    functions = functions_of(lib)

    def value(node):
        match node:
            case ast.Constant():
                return float(node.value)
            case ast.Name():
                return names[node.id]
            case ast.UnaryOp(op=ast.USub()):
                return -value(node.operand)
            case ast.BinOp(op=ast.MatMult()):
                return multiplied(lib, value(node.left), value(node.right))
            case ast.BinOp():
                return OPERATORS[type(node.op)](value(node.left), value(node.right))
            case ast.Call(func=ast.Name(name)):
                return functions[name](*map(value, node.args))
        raise ValueError(ast.dump(node))

    return value(ast.parse(formula, mode="eval").body)


OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
             ast.Pow: operator.pow}  # fmt: skip


def multiplied(lib: Library, left: Any, right: Any) -> Any:
    """Return a matrix times a vector, a vector times a matrix, or the dot product of vectors of pairs."""
    if left.ndim == 2:
        return lib.np.einsum("...d,ud->...u", right, left)
    if right.ndim == 2:
        return lib.np.einsum("...d,du->...u", left, right)
    return (left * right).sum(-1)


def functions_of(lib: Library) -> dict[str, Any]:
    """Return functions of numbers and vectors by the names that formulas have for them."""
    xp = lib.np

    def concat(*vectors):
        shape = np.broadcast_shapes(*(vector.shape[:-1] for vector in vectors))
        return xp.concatenate([xp.broadcast_to(one, (*shape, one.shape[-1])) for one in vectors], -1)

    def dot(one, other):
        return (one * other).sum(-1)

    return {
        "sum": lambda vector: vector.sum(-1),
        "norm1": lambda vector: xp.abs(vector).sum(-1),
        "dot": dot,
        "cosine": lambda one, other: dot(one, other) / (dot(one, one) * dot(other, other)) ** 0.5,
        "concat": concat,
        "sqrt": lambda x: x**0.5,
        "square": lambda x: x * x,
        "tanh": xp.tanh,
        "abs": xp.abs,
    }


def weights_of(lib: Library, normalizer: str, given: dict[str, Any], logits: Any, visible: Any) -> Any:
    """Return the weights of logits over visible keys, (…, Lq, Lk)."""
    xp = lib.np
    zeros = xp.zeros_like(logits)
    shown = xp.where(visible, logits, zeros)
    if normalizer == "softmax":
        raised = xp.where(visible, xp.exp(shown / given["temperature"]), zeros)
        sink = xp.exp(given["sink"]) if "sink" in given else 0.0
        return raised / (raised.sum(-1)[..., None] + sink)
    if normalizer == "sigmoid":
        return xp.where(visible, lib.sigmoid(shown + given["bias"]), zeros)
    if normalizer == "relu":
        return xp.where(visible & (shown > 0), shown, zeros) / (visible + zeros).sum(-1)[..., None]
    if normalizer == "proportional":
        return shown / shown.sum(-1)[..., None]
    if normalizer == "none":
        return shown
    raise ValueError(normalizer)


def attention(lib: Library, case: dict[str, Any], inputs: dict[str, Any]) -> Any:
    """Return the output of a case by its formulas, (…, Lq, Dv)."""
    query, key, value = (inputs[name] for name in ("query", "key", "value"))
    if query.ndim == key.ndim == 4 and query.shape[1] != key.shape[1]:
        heads = [head // (query.shape[1] // key.shape[1]) for head in range(query.shape[1])]
        key, value = key[:, heads], value[:, heads]
    parameters = {name.partition(".")[2]: one for name, one in inputs.items() if "." in name}
    if case["formula"]:
        scores = scores_of_formula(lib, case["formula"], parameters, query, key)
    else:
        scores = scores_of(lib, case["score_model"], parameters, query, key)
    if case["softcap"] is not None:
        scores = case["softcap"] * lib.np.tanh(scores / case["softcap"])
    if "bias" in inputs:
        scores = scores + inputs["bias"]
    visible = lib.array(case["visible"]) > 0
    weights = weights_of(lib, case["normalizer"], parameters, scores, visible)
    return lib.np.einsum("...qk,...kv->...qv", weights, value)


def differentiate(lib: Library, case: dict[str, Any]) -> dict[str, Any]:
    """Return the output of a case, and its gradients by the names of its inputs, as nested lists."""
    inputs = {name: lib.array(nested) for name, nested in case["inputs"].items()}
    upstream = lib.array(case["output_gradient"])
    if case.get("fused"):
        scale = case["fused"]["scale"]

        def function(given: dict[str, Any]) -> Any:
            bias = given.get("bias")
            return lib.fused(given["query"], given["key"], given["value"], bias, case["fused"]["causal"], scale)

    else:

        def function(given: dict[str, Any]) -> Any:
            return attention(lib, case, given)

    output, found = lib.gradients(function, inputs, upstream)
    nested = {name: np.asarray(one).tolist() for name, one in found.items()}
    return {"output": np.asarray(output).tolist(), "gradients": nested}


if __name__ == "__main__":
    library = {"torch": with_torch, "jax": with_jax}[sys.argv[1]]()
    json.dump([differentiate(library, case) for case in json.load(sys.stdin)], sys.stdout)
