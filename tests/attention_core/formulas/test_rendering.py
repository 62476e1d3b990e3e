"""Formulas as LaTeX and as MathML, and what they say of the shapes of their parameters."""

from xml.etree import ElementTree as ET

import pytest

from attention_core.errors import InvalidValue
from attention_core.formulas import LANGUAGE, parse_formula
from attention_core.formulas.known_shapes import known_parameters
from attention_core.formulas.mathml import write_mathml
from attention_core.formulas.rendering import identifier, render

KINDS = ("score_model", "score_modifier", "mask")


def rendered(text, kind="score_model", vectors=("q", "k")):
    return render(parse_formula(text, kind, ()).root, vectors)


WRITTEN = {
    "q @ k / sqrt(D)": r"\frac{q^{\top} \, k}{\sqrt{D}}",
    "q @ W @ k": r"q^{\top} \, W \, k",
    "-norm1(q - k) / tau": r"-\frac{\left\|q - k\right\|_1}{\tau}",
    "a - (c - d)": r"a - \left(c - d\right)",
    "(a - c) - d": "a - c - d",
    "a * (c + d)": r"a \cdot \left(c + d\right)",
    "(a + c) * d": r"\left(a + c\right) \cdot d",
    "a - -c": r"a - \left(-c\right)",
    "a * -c": r"a \cdot \left(-c\right)",
    "-(a + c)": r"-\left(a + c\right)",
    "(-a) ** 2": r"\left(-a\right)^{2}",
    "-a ** 2": "-a^{2}",
    "(a ** c) ** d": r"\left(a^{c}\right)^{d}",
    "a ** c ** d": "a^{c^{d}}",
    "a ** (c + d)": "a^{c + d}",
    "(a / c) ** 2": r"\left(\frac{a}{c}\right)^{2}",
    "-(a % c)": r"-\left(a \bmod c\right)",
    "(-a) % c": r"\left(-a\right) \bmod c",
    "(a % c) * d": r"\left(a \bmod c\right) \cdot d",
    "where(a > c, a, c) * d": r"\left(\begin{cases} a & a > c \\ c & \text{otherwise} \end{cases}\right) \cdot d",
    "1e-5 * a": r"1 \cdot 10^{-5} \cdot a",
    "1e999 * a": r"\infty \cdot a",
    "0.5 + 2": "0.5 + 2",
    "sum(q * k)": r"\sum_m \left(q \circ k\right)_m",
    "sum(q) * a": r"\left(\sum_m \left(q\right)_m\right) \cdot a",
    "query_weight": r"\mathrm{query}_{\mathrm{weight}}",
    "W_q": "W_{q}",
    "_": r"\mathrm{\_}",
}


@pytest.mark.parametrize("text", WRITTEN)
def test_a_formula_keeps_its_meaning_in_latex(text):
    assert rendered(text).latex == WRITTEN[text]


def test_a_vector_on_the_left_of_a_product_is_a_row():
    assert rendered("v @ tanh(W @ q)", vectors=("q", "k", "v")).latex == r"v^{\top} \, \tanh\left(W \, q\right)"


def test_chains_and_conditions_are_written_out():
    chain = rendered("0 <= p - j < 8 and (j < 4 or not i == j)", "mask").latex
    assert chain == r"0 \le p - j \land p - j < 8 \land \left(j < 4 \lor \lnot \left(i = j\right)\right)"
    cases = rendered("where(j > p, -inf, score)", "score_modifier").latex
    assert cases == r"\begin{cases} -\infty & j > p \\ \mathrm{score} & \text{otherwise} \end{cases}"


def _parsed(text):
    for kind in KINDS:
        try:
            return parse_formula(text, kind, ()).root
        except ValueError:
            continue
    raise AssertionError(text)


@pytest.mark.parametrize("name", LANGUAGE)
def test_every_name_of_the_language_has_both_notations(name):
    rendering = render(_parsed(LANGUAGE[name].example))
    assert "<" not in rendering.latex.replace(" < ", "")
    tree = ET.fromstring(rendering.mathml)
    assert tree.tag == "{http://www.w3.org/1998/Math/MathML}math"
    assert "\\" not in "".join(tree.itertext())


def test_mathml_has_the_structure_of_the_formula():
    text = rendered("where(q @ k < 2, W_q ** 2, -a / c)").mathml
    tags = [one.tag.partition("}")[2] for one in ET.fromstring(text).iter()]
    assert tags.count("mtr") == 2
    assert {"mfrac", "msup", "msubsup", "mtable"} <= set(tags)


@pytest.mark.parametrize("latex", [r"\frac{1", r"\unknown", r"\begin{cases} 1 & 2"])
def test_latex_that_no_formula_has_is_refused(latex):
    with pytest.raises((ValueError, IndexError)):
        write_mathml(latex)


@pytest.mark.parametrize(
    ("name", "latex"), [("x", "x"), ("alpha", r"\alpha"), ("tau_1", r"\tau_{1}"), ("a_b_c", r"a_{\mathrm{b\_c}}")]
)
def test_names_are_written_as_people_write_them(name, latex):
    assert identifier(name) == latex


KNOWN = {
    ("-sum(abs(q - k)) / tau", "score_model"): {"tau": {()}},
    ("q @ W @ k", "score_model"): {"W": {("Dq", "Dk")}},
    ("w @ concat(q, k, q * k)", "score_model"): {"w": {("3·D",)}},
    ("v @ tanh(W @ concat(q, k))", "score_model"): {"v": {("U",)}, "W": {("U", "Dq + Dk")}},
    ("score * a", "score_modifier"): {"a": {()}},
    ("table[h, clip(p - j, 0, 8)] + score", "score_modifier"): {"table": {("Hq", "U")}},
    ("j < lengths[b]", "mask"): {"lengths": {("B",)}},
    ("doc[i] == doc[j]", "mask"): {"doc": {("max(Lq, Lk)",)}},
    ("where(norm(q) > t, q @ k, 0)", "score_model"): {"t": {()}},
}


@pytest.mark.parametrize(("text", "kind"), KNOWN)
def test_what_a_formula_says_of_its_parameters(text, kind):
    found = known_parameters(parse_formula(text, kind, ()), ())
    assert {one.name: set(one.shapes) for one in found} == KNOWN[text, kind]


FITS_NOTHING = {
    ("q", "score_model"): ("a number for each pair", "a vector of Dq numbers: 'q' at column 1"),
    ("q * k", "score_model"): ("a number for each pair", "a vector of D numbers: 'q * k' at column 1"),
    ("concat(q, k, q)", "score_model"): ("a number for each pair", "a vector of 2·Dq + Dk numbers"),
    ("p - j", "mask"): ("a truth value", "a number: 'p - j' at column 1"),
    ("i == j", "score_modifier"): ("a number", "a truth value: 'i == j' at column 1"),
    ("a @ score", "score_modifier"): ("two vectors, beside @", "a number @ a number: 'a @ score' at column 1"),
    ("sum(where(q, 1, 2))", "score_model"): ("the condition of where", "a vector of Dq numbers: 'q' at column 11"),
    ("sum(q * k) + (q > 0)", "score_model"): ("numbers beside +", "a vector of D truth values: 'q > 0' at column 15"),
    ("dot(q, 1)", "score_model"): ("vectors as operands of dot", "a number: '1' at column 8"),
    ("t[q]", "score_model"): ("a number as index", "a vector of Dq numbers: 'q' at column 3"),
    ("t[i, j] + t[i]", "score_modifier"): ("as many indices", "1 for a matrix of Lq × Lk: 't[i]' at column 11"),
    ("q @ W @ k + W", "score_model"): ("numbers or vectors", "a matrix of Dq × Dk: 'W' at column 13"),
}


@pytest.mark.parametrize(("text", "kind"), FITS_NOTHING)
def test_a_formula_that_fits_no_parameters_is_refused_with_the_column_and_the_piece(text, kind):
    expected, received = FITS_NOTHING[text, kind]
    with pytest.raises(InvalidValue) as caught:
        known_parameters(parse_formula(text, kind, ()), ("formula",))
    assert caught.value.path == ("formula",)
    assert expected in caught.value.expected
    assert received in caught.value.received


def test_too_many_combinations_are_given_up():
    found = known_parameters(parse_formula(" + ".join(f"sum(a{n} * c{n})" for n in range(8)), "score_model", ()), ())
    assert [one.name for one in found] == [f"{letter}{n}" for n in range(8) for letter in "ac"]
    assert all(one.shapes == () for one in found)
