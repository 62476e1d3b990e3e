"""What a formula says of one pair."""

import random

import numpy as np
import pytest

from attention_core.expressions import Expression
from attention_core.formulas import LANGUAGE, PerHead
from tests.attention_core.formulas.binding import bind, given, score
from tests.attention_core.formulas.drawing import HEADS, D, Drawer, names_in, write
from tests.sampling import draws


def test_a_sum_is_explained_by_its_elements():
    bound = bind("-sum(abs(q - k)) / tau", "score_model", {"tau": PerHead([2.0, 4.0])}, heads=2)
    terms = bound.explain_score(np.array([1.0, 2, 3]), np.array([0.0, 2, 5]), 1)
    assert terms.terms == (
        Expression("feature 0", 1.0, "|{}|", (1.0,)),
        Expression("feature 1", 0.0, "|{}|", (0.0,)),
        Expression("feature 2", 2.0, "|{}|", (-2.0,)),
    )
    assert terms.factor == Expression("factor", -0.25, "−1 / {}", (4.0,), "-1 / tau")
    assert terms.score == -0.75


def test_a_sum_at_the_root_of_a_score_model_has_a_line_for_each_element():
    bound = bind("sum(w * abs(q - k) ** norm(k))", "score_model", {"w": [1.0, 2.0, 3.0]})
    query, key = np.array([1.0, 2, 3]), np.array([0.0, 3, 5])
    lines = bound.explain({"q": query, "k": key}, 0)
    assert [line.name for line in lines] == ["feature 0", "feature 1", "feature 2"]
    assert sum(line.value for line in lines) == pytest.approx(score(bound, query[None], key[None]).item())
    assert lines == bound.explain_score(query, key, 0).terms


def test_each_operation_that_is_written_is_a_line():
    bound = bind("j <= p and doc[i] == doc[j]", "mask", {"doc": [0, 0, 1]}, shape=(3, 3))
    lines = bound.explain({"i": 1, "j": 0, "p": 1, "b": 0, "h": 0}, 0)
    assert [(line.name, line.value, line.template, line.operands) for line in lines] == [
        ("j <= p", 1.0, "{} ≤ {}", (0.0, 1.0)),
        ("doc[i]", 0.0, "doc[{}]", (1.0,)),
        ("doc[j]", 0.0, "doc[{}]", (0.0,)),
        ("doc[i] == doc[j]", 1.0, "{} = {}", (0.0, 0.0)),
        ("j <= p and doc[i] == doc[j]", 1.0, "{} and {}", (1.0, 1.0)),
    ]
    assert [line.value for line in lines if isinstance(line.value, bool)] == [True] * 3
    assert lines[-1].operands == (True, True)
    assert all(isinstance(operand, bool) for operand in lines[-1].operands)


@pytest.mark.parametrize(
    ("formula", "parts"),
    [
        ("where(j < 2 * 3, score, -inf)", ["j < 2 * 3", "where(j < 2 * 3, score, -inf)"]),
        ("score + e ** pi * gain", ["e ** pi * gain", "score + e ** pi * gain"]),
        ("score + row[1] * 2", ["row[1]", "row[1] * 2", "score + row[1] * 2"]),
        ("where(not False, score, 1)", ["where(not False, score, 1)"]),
        ("-inf", ["-inf"]),
    ],
)
def test_constants_have_no_line_but_as_the_whole(formula, parts):
    parameters = {name: value for name, value in (("gain", 2.0), ("row", [1.0, 2.0, 3.0])) if name in formula}
    bound = bind(formula, "score_modifier", parameters, shape=(3, 3))
    places = {"score": 0.5, "i": 1, "j": 0, "p": 1, "b": 0, "h": 0}
    assert [line.name for line in bound.explain(places, 0)] == parts


@pytest.mark.parametrize(
    ("formula", "template", "operands", "source", "parts"),
    [
        ("-sum(q * k)", "−1", (), "", []),
        ("2 * sum(q * k)", "{}", (2.0,), "2", []),
        ("-sum(q * k) / tau", "−1 / {}", (4.0,), "-1 / tau", []),
        ("tau * dot(q, k) * 7 / sqrt(D)", "{} × {} / {}", (7.0, 4.0, 3**0.5), "7 * tau / sqrt(D)", ["sqrt(D)"]),
        ("norm(q - k) / (2 * tau)", "1 / {}", (8.0,), "1 / (2 * tau)", ["2 * tau"]),
        ("sum(q ** norm(k))", None, None, None, ["norm(k)"]),
    ],
)
def test_the_factor_of_the_terms_is_shown_as_it_is_made(formula, template, operands, source, parts):
    bound = bind(formula, "score_model", {"tau": 4.0} if "tau" in formula else {})
    query, key = np.array([1.0, 2, 3]), np.array([0.0, 2, 5])
    factor = bound.explain_score(query, key, 0).factor
    assert (factor is None) is (template is None)
    if factor is not None:
        assert (factor.template, factor.source) == (template, source)
        assert factor.operands == pytest.approx(operands)
    assert [line.name for line in bound.explain_score_steps(query, key, 0)] == parts


@pytest.mark.parametrize(
    ("text", "template", "operands"),
    [
        ("dot(q, k)", "{* + }", (0.0, 4.0, 15.0)),
        ("norm(q - k)", "norm({*, })", (1.0, 0.0, -2.0)),
        ("max(q)", "max({*, })", (1.0, 2.0, 3.0)),
        ("mean(q)", "mean({*, })", (1.0, 2.0, 3.0)),
        ("cosine(q, q)", "{} / ({} × {})", (14.0, 14**0.5, 14**0.5)),
        ("exp(norm1(k) - 7)", "exp({})", (0.0,)),
        ("clip(norm1(k), 0, 2)", "clip({}, {}, {})", (7.0, 0.0, 2.0)),
    ],
)
def test_the_last_line_is_the_whole(text, template, operands):
    lines = bind(text, "score_model").explain({"q": [1.0, 2, 3], "k": [0.0, 2, 5]}, 0)
    assert lines[-1].name == text
    assert lines[-1].template == template
    assert lines[-1].operands == pytest.approx(operands)


def test_terms_add_up_to_the_score():
    rng, generator = random.Random(0), np.random.default_rng(0)
    for _ in range(draws(600)):
        drawer = Drawer(rng, "score_model")
        tree, (parameters, by_head) = drawer.number(rng.randint(1, 3)), drawer.parameters()
        used = given({name: value for name, value in parameters.items() if name in names_in(tree)}, by_head)
        queries, keys = (generator.standard_normal((1, HEADS, 1, D)) for _ in range(2))
        bound = bind(write(tree), "score_model", used, heads=HEADS)
        expected = score(bound, queries, keys)[0, :, 0, 0]
        for head in range(HEADS):
            terms = bound.explain_score(queries[0, head, 0], keys[0, head, 0], head)
            assert terms.score == pytest.approx(expected[head], rel=1e-6, abs=1e-9, nan_ok=True), write(tree)
            for term in terms.terms:
                places = term.template.replace("{* + }", "").replace("{*, }", "").count("{}")
                assert places == len(term.operands) or "{*" in term.template


def test_the_table_says_everything_of_each_name():
    for name, entry in LANGUAGE.items():
        assert entry.name == name
        assert entry.latex
        assert entry.kinds
