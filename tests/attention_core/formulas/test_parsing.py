"""Refusals before anything runs: with the column, the piece of text, and advice on what to write."""

import ast
import random
import re
from pathlib import Path

import numpy as np
import pytest

from attention_core import formulas
from attention_core.errors import CallError, InvalidValue, ShapeMismatch, UnknownName
from attention_core.formulas import FUNCTIONS, LANGUAGE, RESERVED, PerHead, TilePositions, parse_formula
from attention_core.formulas.language import MAX_CHARACTERS, MAX_DEPTH, MAX_NODES
from tests.attention_core.formulas.binding import bind, score, whole_tile
from tests.attention_core.formulas.drawing import Drawer, names_in, write
from tests.sampling import ALL_DRAWS, draws

SHAPE = (2, 2, 5, 6)
PARAMETERS = {
    "score_model": {"c": 2.0, "w": [1, 2, 3], "W": np.ones((4, 3)), "v": [1, 2, 3, 4]},
    "score_modifier": {"c": 2.0, "slope": [1, 2], "table": np.ones((2, 4))},
    "mask": {"c": 2.0, "doc": [0, 0, 1, 1, 1, 2], "lengths": [3, 4]},
}


def bind_used(text, kind):
    """Bind with those of `PARAMETERS` that the text names."""
    used = {name: value for name, value in PARAMETERS[kind].items() if re.search(rf"\b{name}\b", text)}
    return bind(text, kind, used, heads=2, shape=None if kind == "score_model" else SHAPE)


REFUSED = [
    ("score_model", "sum(q * kk)", UnknownName, 9, "'kk'", "parameter"),
    (
        "score_modifier",
        "score - scor",
        UnknownName,
        9,
        "'scor'",
        r"^The value .* is sent in .*\. Did you mean 'score'\?",
    ),
    ("score_model", "summ(q * k)", UnknownName, 1, "'summ'", "Did you mean 'sum'"),
    ("score_model", "concatenate(q, k)", UnknownName, 1, "'concatenate'", "concat"),
    ("score_model", "q + k", InvalidValue, 1, r"'q \+ k'", "Sum"),
    ("score_model", "sum(q) + (q + 1)", InvalidValue, 1, "a vector of 3 numbers", "Sum"),
    ("score_model", "max(1, 2)", InvalidValue, 1, "2 in", r"maximum\(a, b\)"),
    ("score_model", "sum(1)", InvalidValue, 5, "a number", "sum"),
    ("score_model", "sum(q, k)", InvalidValue, 1, "'sum", "sum"),
    ("score_model", "sum()", InvalidValue, 1, "0 in", "sum"),
    ("score_model", "q[0]", InvalidValue, 1, "'q'", "parameters"),
    ("score_model", "w[0, 1]", InvalidValue, 1, "2 for a vector", "two"),
    ("score_model", "w[3]", InvalidValue, 1, "the index 3 in", "entry"),
    ("score_model", "w[q]", InvalidValue, 3, "a vector", "Reduce"),
    ("score_model", "w[c > 1]", InvalidValue, 3, "a truth value", "where"),
    ("score_model", "1 if c else 2", InvalidValue, 1, "'1 if c else 2'", "where"),
    ("score_model", "q.T @ k", InvalidValue, 2, "'.'", "attributes"),
    ("score_model", "sum(q, axis=1)", InvalidValue, 12, "'='", "=="),
    ("score_model", "sum(q) = 1", InvalidValue, 8, "'='", "=="),
    ("score_model", "sum(q * k", InvalidValue, 4, r"'\('", "bracket"),
    ("score_model", "sum(q * k) + ", InvalidValue, 13, "end", "missing"),
    ("score_model", "sum(q * k))", InvalidValue, 11, r"'\)'", "bracket"),
    ("score_model", "sum(q * k) k", InvalidValue, None, "", "operator"),
    ("score_model", "sum", InvalidValue, 1, "'sum'", "parentheses"),
    ("score_model", "+c", InvalidValue, 1, r"'\+c'", ""),
    ("score_model", "~c", InvalidValue, 1, "'~'", "not"),
    ("score_model", "c ^ 2", InvalidValue, 3, r"'\^'", r"\*\*"),
    ("score_model", "c & c", InvalidValue, 3, "'&'", "and"),
    ("score_model", "c − 1", InvalidValue, 3, "'−'", "minus"),
    ("score_model", "0x10 * c", InvalidValue, 1, "'0x10'", "decimal"),
    ("score_model", "1_000", InvalidValue, 1, "'1_000'", "decimal"),
    ("score_model", "1j", InvalidValue, 1, "'1j'", "decimal"),
    ("score_model", "'text'", InvalidValue, 1, "", ""),
    ("score_model", "None", InvalidValue, 1, "'None'", ""),
    ("score_model", "...", InvalidValue, 1, "", ""),
    ("score_model", "[1, 2]", InvalidValue, 1, "", "parameter"),
    ("score_model", "(1, 2)", InvalidValue, 1, "", ""),
    ("score_model", "[x for x in w]", InvalidValue, 1, "", ""),
    ("score_model", "lambda x: x", InvalidValue, 9, "':'", ""),
    ("score_model", "(x := 1)", InvalidValue, None, "", ""),
    ("score_model", "sum(*w)", InvalidValue, 5, "", ""),
    ("score_model", "w[0](1)", InvalidValue, 1, "", ""),
    ("score_model", "w[0][1]", InvalidValue, 1, "", ""),
    ("score_model", "c is 1", InvalidValue, 1, "", ""),
    ("score_model", "c in w", InvalidValue, 1, "", ""),
    ("score_model", "__import__(c)", UnknownName, 1, "'__import__'", ""),
    ("score_model", "sum(q * k) # sum", InvalidValue, 12, "'#'", "comments"),
    ("score_model", "sum(q * k); c", InvalidValue, 11, "';'", "one expression"),
    ("score_model", "", InvalidValue, None, "empty", ""),
    ("score_model", " \n ", InvalidValue, None, "empty", ""),
    ("score_model", "j + c", InvalidValue, 1, "'j'", "score modifier"),
    ("score_model", "score", InvalidValue, 1, "'score'", "score modifier"),
    ("score_model", "sum(W)", InvalidValue, 5, "a matrix of 4 × 3", "sum"),
    ("score_model", "sum(W + 1)", InvalidValue, 5, "a matrix", "W @ q"),
    ("score_model", "sum(W @ W)", InvalidValue, 5, "a matrix of 4 × 3 @ a matrix", "@"),
    ("score_model", "sum(W @ v)", ShapeMismatch, 5, "a matrix of 4 × 3 @ a vector of 4", "columns"),
    ("score_model", "sum(q + v)", ShapeMismatch, 5, "vectors of 3 and of 4", "project"),
    ("score_model", "dot(q, v)", ShapeMismatch, 1, "vectors of 3 and of 4", ""),
    ("score_model", "c > 1", InvalidValue, 1, "a truth value", "where"),
    ("score_model", "(c > 1) + 1", InvalidValue, 2, "a truth value", "where"),
    ("score_model", "where(c, 1, 2)", InvalidValue, 7, "a number", "Compare"),
    ("score_model", "where(c > 1, c > 2, 2)", InvalidValue, 14, "a truth value", "where"),
    ("score_model", "not c", InvalidValue, 5, "a number", "Compare"),
    ("score_model", "concat(q, 1)", InvalidValue, 11, "a number", "concat"),
    ("mask", "p - j", InvalidValue, 1, "a number", "Compare"),
    ("mask", "j <= p and c", InvalidValue, 12, "a number", "Compare"),
    ("mask", "q > 1", InvalidValue, 1, "'q'", "score model"),
    ("mask", "kv_idx <= p", UnknownName, 1, "'kv_idx'", "Here it is j"),
    ("mask", "j <= q_idx", UnknownName, 6, "'q_idx'", r"Here it is p, or i as the index of a parameter: doc\[i\]"),
    ("mask", "doc[i] == doc[jj]", UnknownName, 15, "'jj'", ""),
    ("mask", "lengths[j] > 1", InvalidValue, 1, "j up to 5", "entry"),
    ("mask", "doc > 1", InvalidValue, 1, "a vector of 6 truth values", "Reduce"),
    ("mask", "J <= p", UnknownName, 1, "'J'", ""),
    ("score_modifier", "score > 1", InvalidValue, 1, "a truth value", "where"),
    ("score_modifier", "slope[h + 1]", InvalidValue, 1, "the index 2 in", ""),
    ("score_modifier", "slope[2]", InvalidValue, 1, "the index 2 in", ""),
    ("score_modifier", "slope[0.5]", InvalidValue, 1, "the index 0.5 in", ""),
    ("score_modifier", "slope[-1]", InvalidValue, 1, "the index -1 in", ""),
    ("score_modifier", "score + slope(h)", UnknownName, 9, "'slope'", r"brackets: slope\[h\]"),
    ("score_modifier", "score + table(h, j)", UnknownName, 9, "'table'", r"table\[h, j\]"),
    ("mask", "doc(i) == 1", UnknownName, 1, "'doc'", r"'dot'.*doc\[i\]"),
    ("score_modifier", "score(1)", UnknownName, 1, "'score'", "no function"),
    ("score_modifier", "score < 0", InvalidValue, 1, "a truth value", "-inf"),
    ("score_modifier", "score + slope", InvalidValue, 1, "a vector of 2 numbers", r"slope\[h\]"),
    ("score_modifier", "c[h]", InvalidValue, 1, "1 for a number", "no index"),
    ("score_modifier", "score + slope[h", InvalidValue, 14, r"'\['", "closes"),
    ("score_modifier", "score + slope[h)", InvalidValue, 16, r"'\)'", "open it"),
    ("score_model", "K @ k", UnknownName, 1, "'K'", "Did you mean 'k'"),
    ("score_model", "sqrt(d_k)", UnknownName, 6, "'d_k'", "Here it is Dk"),
    ("score_model", "2(c)", InvalidValue, 1, r"'2\(c\)'", r"\* for a product"),
    ("score_model", "3q", InvalidValue, 1, "'3q'", r"3 \* q"),
    ("score_model", "c²", InvalidValue, 1, "'c²'", r"\*\*"),
    ("score_model", "１ + c", InvalidValue, 1, "'１'", "Write 1 with half width"),
    ("score_model", "sum（q）", InvalidValue, 4, "'（'", "half width"),
    ("score_model", "class + 1", InvalidValue, 1, "'class'", "word of Python"),
    ("score_model", "max(c > 1, 1)", InvalidValue, 1, "2 in", "maximum"),
    ("mask", "i > 0 AND j > 0", InvalidValue, 7, "'AND'", "`and`"),
    ("mask", "(j <= p) == True", InvalidValue, 2, "a truth value", "Join conditions"),
    ("mask", "j <= i if i > 0 else False", InvalidValue, 1, "a Python if … else", r"\(c and x\) or \(not c and y\)"),
    ("mask", "where(i > 0, j <= i, False)", InvalidValue, 14, "a truth value", r"\(c and x\) or \(not c and y\)"),
    ("mask", "where(j <= i, 1, 0)", InvalidValue, 1, "a number", r"\(c and x\) or \(not c and y\)"),
    ("mask", "(j <= i) != (j > 0)", InvalidValue, 2, "a truth value", r"\(a and not b\) or \(not a and b\)"),
    ("mask", "(j <= i) ^ (j > 0)", InvalidValue, 10, r"'\^'", r"\(a and not b\) or \(not a and b\)"),
    ("score_model", "v @ tanh(W @ q + b)", InvalidValue, 18, "'b'", "Parameters are called otherwise"),
    ("score_model", "w[h]", InvalidValue, 3, "'h'", "per_head"),
    ("score_modifier", "score - slopes * abs(p - j)", UnknownName, 9, "'slopes'", "^The value .* is sent in"),
    (
        "score_modifier",
        "torch.where(j <= p, score, -inf)",
        InvalidValue,
        6,
        r"'\.'",
        r"out torch\.: write where\(c, x, y\)",
    ),
    ("score_model", "np.dot(q, k)", InvalidValue, 3, r"'\.'", r"Leave out np\.: write dot\(a, b\)"),
    ("score_modifier", "score * math.pi", InvalidValue, 13, r"'\.'", r"Leave out math\.: write pi"),
    ("score_modifier", "where(j > p, -float('inf'), score)", InvalidValue, 21, '"\'"', "Write inf, or -inf"),
    ("score_modifier", "score + table[h][j]", InvalidValue, 9, "'table", r"Write table\[h, j\]"),
    ("score_modifier", "score + rel[b, h, i, j]", InvalidValue, 9, "4 in 'rel", r"\{bias\}"),
    ("score_modifier", "score + bias[i, j]", UnknownName, 9, "'bias'", r"sent in .* \{bias\}"),
    ("score_model", "q.k", InvalidValue, 2, r"'\.'", r"q @ k, or dot\(q, k\)"),
    ("score_model", "q @ k.T", InvalidValue, 6, r"'\.'", "There are no attributes; q @ k"),
    ("score_model", "where(c > 1, c)", InvalidValue, 1, "2 in", r"Write where\(c, x, y\)"),
    ("score_model", "cos(q, k)", InvalidValue, 1, "2 in", r"Write cos\(x\)"),
    ("score_modifier", "norm(i, j)", InvalidValue, 1, "2 in", r"Write norm\(x\), of vectors"),
    ("score_modifier", "norm(i)", InvalidValue, 6, "a number", "Here only parameters are vectors"),
    ("score_model", "softmax(q @ k)", UnknownName, 1, "'softmax'", r"^Here it is \{normalizer\}"),
    ("score_model", "len(q)", UnknownName, 1, "'len'", "Here it is Dq"),
    ("score_model", "gate(q)", UnknownName, 1, "'gate'", "^Use one of these functions.$"),
    ("score_model", "c ÷ 2", InvalidValue, 3, "'÷'", "Write /"),
    ("mask", "i mod 2 == 0", InvalidValue, 3, "'mod'", "Write %"),
    ("mask", "i in doc", InvalidValue, 1, "a Python comparison", "Comparisons are"),
]


@pytest.mark.parametrize(("kind", "text", "error", "column", "received", "advice"), REFUSED)
def test_a_refusal_says_where_and_what_to_write(kind, text, error, column, received, advice):
    with pytest.raises(error) as caught:
        bind_used(text, kind)
    assert type(caught.value) is error
    assert caught.value.path == ("formula",)
    if column is not None:
        assert f"at column {column}" in caught.value.received
    assert re.search(received, caught.value.received)
    assert re.search(advice, caught.value.advice)


def test_a_parameter_of_the_wrong_size_beside_query_and_key_is_named():
    with pytest.raises(ShapeMismatch, match="expected 6 entries of w, as many entries as on the right of @"):
        bind("w @ concat(q, k)", "score_model", {"w": [1, 2, 3]})


def test_an_index_beyond_the_heads_is_named():
    with pytest.raises(InvalidValue, match="expected indices from 0 to 1 of slope; received h up to 2 in"):
        bind("score + slope[h]", "score_modifier", {"slope": [1, 2]}, heads=3, shape=(1, 3, 2, 2))


def test_a_size_that_differs_names_both():
    with pytest.raises(InvalidValue, match="Dq = 3 and Dk = 4"):
        bind("sum(q) * sum(k) / D", "score_model", features=(3, 4))
    with pytest.raises(ShapeMismatch, match="vectors of 3 and of 4"):
        bind("sum(q * k)", "score_model", features=(3, 4))
    assert bind("sum(q) / Dq + sum(k) / Dk", "score_model", features=(3, 4))


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_no_parameter_has_a_name_of_the_language(name):
    with pytest.raises(InvalidValue) as caught:
        bind("sum(q * k)", "score_model", {name: 1.0})
    assert caught.value.path == ("parameters", name)


@pytest.mark.parametrize(
    ("parameters", "path", "words"),
    [
        ({"tau": 1, "other": 2}, ("parameters", "other"), "Leave it out"),
        ({"tua": 1}, ("parameters", "tua"), "Did you mean 'tau'"),
        ({"a b": 1}, ("parameters", "a b"), "Rename"),
        ({"tau": "x"}, ("parameters", "tau"), "number"),
        ({"tau": [[1, 2], [3]]}, ("parameters", "tau"), "length"),
        ({"tau": []}, ("parameters", "tau"), "entry"),
        ({"tau": [[[1]]]}, ("parameters", "tau"), "matrix"),
        ({"tau": float("nan")}, ("parameters", "tau"), "NaN"),
        ({"tau": PerHead([1, 2, 3])}, ("parameters", "tau", "per_head"), "2 entries"),
        ({"tau": PerHead(1.0)}, ("parameters", "tau", "per_head"), "2 entries"),
        ({"tau": True}, ("parameters", "tau"), "bool"),
        ({f"p{n}": 1 for n in range(17)}, ("parameters",), "at most 16"),
    ],
)
def test_a_wrong_parameter_is_named(parameters, path, words):
    with pytest.raises(CallError) as caught:
        bind("sum(q * k) / tau", "score_model", parameters, heads=2)
    assert caught.value.path == path
    assert words in caught.value.detail


def test_a_parameter_by_head_needs_heads():
    with pytest.raises(ShapeMismatch, match="head axis"):
        bind("sum(q * k) / tau", "score_model", {"tau": PerHead([1, 2])})


def test_a_missing_parameter_is_an_unknown_name():
    with pytest.raises(UnknownName) as caught:
        bind("sum(q * k) / tau", "score_model")
    assert caught.value.received == "'tau' at column 14"


@pytest.mark.parametrize(
    "text",
    [
        "c" * (MAX_CHARACTERS + 1),
        "1" + " + 1" * MAX_DEPTH,
        "(" * 400 + "1" + ")" * 400,
        "-" * 900 + "1",
        "not " * 240 + "c",
        "1" + "**1" * 300,
        "abs(" * 60 + "1" + ")" * 60,
        "c[" * 200 + "0" + "]" * 200,
        "1 or " * 199 + "c",
        "1<" * 400 + "1",
        "concat(" + ",".join(["w"] * 250) + ")",
    ],
)
def test_limits_hold_before_anything_runs(text):
    with pytest.raises(InvalidValue) as caught:
        parse_formula(text, "score_model", ("formula",))
    assert any(str(limit) in caught.value.expected for limit in (MAX_CHARACTERS, MAX_NODES, MAX_DEPTH))


def test_a_formula_at_the_limits_is_taken():
    deep = "abs(" * (MAX_DEPTH - 1) + "c" + ")" * (MAX_DEPTH - 1)
    wide = "c < 1" + " or c < 1" * 48
    assert parse_formula(deep, "score_model", ("formula",)).free_names == ("c",)
    assert parse_formula(wide, "mask", ("formula",)).free_names == ("c",)


def test_line_breaks_and_names_of_any_script_are_read():
    found = bind("\n  sum(q * k)\n  / 温度", "score_model", {"温度": 2.0})
    queries = np.ones((2, 3))
    assert np.array_equal(score(found, queries, queries), np.full((2, 2), 1.5))
    with pytest.raises(UnknownName, match="'κ' at column 15"):
        bind("sum(q * k) / (κ + 1)", "score_model")


def test_free_names_come_in_the_order_of_the_text():
    formula = parse_formula("b_2 + where(j < a, b_2, c[h])", "score_modifier", ("formula",))
    assert formula.free_names == ("b_2", "a", "c")
    assert formula.uses("j")
    assert not formula.uses("i")


@pytest.mark.parametrize("name", sorted(LANGUAGE))
def test_the_example_of_each_name_is_a_formula_that_uses_it(name):
    entry = LANGUAGE[name]
    parameters = {"W": np.ones((4, 6) if "concat" in entry.example else (3, 3)), "v": np.ones(4), "doc": [0] * 6}
    parameters["lengths"] = [1, 2]
    assert name in entry.example
    assert entry.meaning.zh
    assert entry.meaning.en
    taken = []
    for kind in entry.kinds:
        try:
            formula = parse_formula(entry.example, kind, ("formula",))
            used = {one: parameters[one] for one in formula.free_names}
            taken.append(bind(entry.example, kind, used, heads=2, shape=SHAPE))
        except CallError:
            continue
    assert taken


def test_functions_are_the_names_that_are_called():
    assert {"sum", "where", "concat", "cosine"} <= set(FUNCTIONS)
    assert not {"+", "and", "not", "q", "pi", "@"} & set(FUNCTIONS)


def test_nothing_that_came_in_is_compiled_or_run():
    called, modules = set(), set()
    for path in Path(formulas.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                called.add(node.func.id)
            if isinstance(node, ast.Import):
                modules.update(alias.name for alias in node.names)
    assert not called & {"eval", "exec", "compile", "__import__", "getattr", "setattr"}
    assert modules == {"ast", "numpy", "re"}


WORDS = "0 1 2.5 1e400 1e-400 .5 c w W v doc slope table lengths x ( ) [ ] , . : = # { }"
TOKENS = (*LANGUAGE, *WORDS.split(), " ", "'", '"', "\\", "\n", "\t", "\0", "é", "温", "ｑ", "\ud800")


def mutate(rng, text):
    for _ in range(rng.randint(0, 4)):
        at, end = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
        piece = text[at:end] if rng.random() < 0.3 else rng.choice(TOKENS)
        match rng.randrange(4):
            case 0:
                text = text[:at] + piece + text[at:]
            case 1:
                text = text[:at] + text[min(end, at + 3) :]
            case 2:
                text = text[:at] + piece + text[min(end, at + 8) :]
            case 3:
                text = text[:at] + rng.choice(" ()[],+-*/@<") * rng.choice((1, 1, 2, 60)) + text[at:]
    return text[:1100]


def is_taken(kind, text):
    """Parse, bind and evaluate; a refusal is an error of the call."""
    try:
        bound = bind_used(text, kind)
    except (InvalidValue, UnknownName, ShapeMismatch) as error:
        return not str(error)
    if kind == "score_model":
        queries = np.ones((1, 2, 2, 3))
        assert score(bound, queries, queries).shape == (1, 2, 2, 2)
        assert bound.backward_pairs(queries, queries, np.ones((1, 2, 2, 2))).queries.shape == queries.shape
    elif kind == "mask":
        bound.coverage(whole_tile(SHAPE))
    else:
        assert bound.modify(np.zeros(SHAPE), TilePositions.of(whole_tile(SHAPE))).shape == SHAPE
    return True


def fuzz(seed, number):
    rng, taken = random.Random(seed), 0
    for _ in range(number):
        kind = rng.choice(("score_model", "score_modifier", "mask"))
        if rng.random() < 0.8:
            text = mutate(rng, write(Drawer(rng, kind).formula(rng.randint(0, 4))))
        else:
            text = " ".join(rng.choice(TOKENS) for _ in range(rng.randint(1, 30)))
        taken += is_taken(kind, text)
    return taken


def test_whatever_comes_in_is_taken_or_refused():
    assert fuzz(0, draws(12_000)) > 100


@pytest.mark.soak
def test_a_million_formulas_are_taken_or_refused(monkeypatch):
    monkeypatch.setenv(ALL_DRAWS, "1")
    assert fuzz(1, 1_000_000) > 10_000


def test_drawn_formulas_parse_to_what_was_drawn():
    rng = random.Random(2)
    for _ in range(draws(800)):
        kind = rng.choice(("score_model", "score_modifier", "mask"))
        tree = Drawer(rng, kind).formula(3)
        formula = parse_formula(write(tree), kind, ("formula",))
        names = {str(node.value) for node in formula.root.walk() if node.operation == "name"}
        assert names == names_in(tree)
