"""The built-in score models as formulas of the model `expression`, with the parameters that the built-in ones have."""

from tests.nested import rank

RANKS = {"query_weight": 2, "key_weight": 2, "score_vector": 1, "hidden_bias": 1}
"""Ranks of the parameters that are no numbers, for one head."""

FORMULAS = {
    "scaled_dot_product": {(): "q @ k / sqrt(D)", ("scale",): "dot(q, k) * scale"},
    "dot_product": {(): "sum(q * k)"},
    "additive": {
        ("query_weight", "key_weight", "score_vector"): "score_vector @ tanh(query_weight @ q + key_weight @ k)",
        ("query_weight", "key_weight", "score_vector", "hidden_bias"): (
            "dot(score_vector, tanh(query_weight @ q + key_weight @ k + hidden_bias))"
        ),
    },
    "bilinear": {("weight",): "q @ weight @ k"},
    "cosine": {(): "cosine(q, k)", ("scale",): "scale * cosine(q, k)"},
    "gaussian": {(): "-sum((q - k) ** 2) / 2", ("bandwidth",): "-sum(square(q - k)) / (2 * bandwidth ** 2)"},
    "laplacian": {(): "-norm1(q - k)", ("bandwidth",): "-sum(abs(q - k)) / bandwidth"},
    "trilinear": {("weight",): "weight @ concat(q, k, q * k)"},
}
"""The formula of each built-in score model, by the parameters that it is given."""


def as_formula(model):
    """The score model of a request as a formula: a parameter with an axis of heads is one per head."""
    given = {name: value for name, value in model.items() if name != "name" and value is not None}
    own_ranks = {**RANKS, "weight": 2 if model["name"] == "bilinear" else 1}
    parameters = {
        name: {"per_head": value} if rank(value) > own_ranks.get(name, 0) else value for name, value in given.items()
    }
    formula = next(text for names, text in FORMULAS[model["name"]].items() if set(names) == set(given))
    return {"name": "expression", "formula": formula, "parameters": parameters}


def as_built_in(model):
    """The built-in score model that `as_formula` made a formula of."""
    name = next(name for name, formulas in FORMULAS.items() if model["formula"] in formulas.values())
    values = {
        key: value["per_head"] if isinstance(value, dict) else value for key, value in model["parameters"].items()
    }
    return {"name": name, **values}
