"""Adding a score model or a normalizer takes three files and an entry of the oracle; everything else follows.

A copy of the tree gets one of each by hand, the generators run, and the service of the copy knows both.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from development.generate import pages_of
from tests.promises.tree import ROOT, Edit, Tree
from tests.server import Server, running_server
from tests.service.specification import without_keys

MAX_FILES = 3
"""Files written by hand, beside the oracle."""

GENERATED = {
    "attention_client/names.json",
    "attention_client/schema.py",
    "openapi/openapi.json",
    *pages_of("score models", "normalizers", "parameters of v2"),
}

MODELS = Path(__file__).with_name("added_models")

SCORE_MODELS, NORMALIZERS = "attention_core/scores/__init__.py", "attention_core/normalizers/__init__.py"
ORACLE, PLAIN = "tests/oracle.py", "tests/plain.py"

RNG = np.random.default_rng(1)
QUERY, KEY, VALUE = RNG.standard_normal((3, 4)), RNG.standard_normal((5, 4)), RNG.standard_normal((5, 2))


def chebyshev(query: Any, key: Any, steepness: float) -> Any:
    """Scores, written down once more."""
    return np.array([[-steepness * max(abs(q - k)) for k in key] for q in query])


def softmax(scores: Any) -> Any:
    exponentials = np.exp(scores)
    return exponentials / exponentials.sum(-1, keepdims=True)


def taylor(scores: Any, constant: float) -> Any:
    values = constant + scores + scores**2 / 2
    return values / values.sum(-1, keepdims=True)


CHEBYSHEV_ORACLE = (
    '    "chebyshev": lambda model, q, k: (\n'
    "        -(model.get('steepness') or 1) * max(abs(x - y) for x, y in zip(q, k, strict=True))\n"
    "    ),\n"
)
CHEBYSHEV_PLAIN = (
    '    "chebyshev": lambda own, query, key: (\n'
    '        -np.abs(_differences(query, key)).max(-1) * own.number("steepness", 1)\n'
    "    ),\n"
)
TAYLOR_ORACLE = (
    "def _taylor(normalizer, logits):\n"
    '    constant = Decimal(normalizer.get("constant") or 1)\n'
    "    values = [constant + z + z * z / 2 for z in logits]\n"
    "    return [value / sum(values) for value in values], None\n\n\n"
)
TAYLOR_PLAIN = (
    "def _taylor(normalizer, logits):\n"
    "    shown = np.where(np.isneginf(logits), 0, logits)\n"
    "    scale = np.maximum(np.abs(shown).max(-1, keepdims=True, initial=0), 1)\n"
    '    constant = logits.dtype.type(normalizer.get("constant") or 1)\n'
    "    values = constant / scale / scale + shown / scale / scale + (shown / scale) ** 2 / 2\n"
    "    values = np.where(np.isneginf(logits), 0, values)\n"
    "    return values / values.sum(-1, keepdims=True), None\n\n\n"
)

EDITS: dict[str, tuple[Edit, ...]] = {
    "score_model": (
        Edit("attention_core/scores/chebyshev.py", (MODELS / "chebyshev.py").read_text(encoding="utf-8")),
        Edit(
            SCORE_MODELS,
            "from attention_core.scores.chebyshev import Chebyshev\n",
            before="from attention_core.scores.cosine",
        ),
        Edit(SCORE_MODELS, "        Chebyshev,\n", before="    )\n}"),
        Edit(SCORE_MODELS, '    "Chebyshev",\n', before='    "Cosine",'),
        Edit(ORACLE, CHEBYSHEV_ORACLE, before='    "cosine": _cosine,'),
        Edit(PLAIN, CHEBYSHEV_PLAIN, before='    "cosine": _cosine,'),
    ),
    "normalizer": (
        Edit("attention_core/normalizers/taylor.py", (MODELS / "taylor.py").read_text(encoding="utf-8")),
        Edit(NORMALIZERS, "from attention_core.normalizers.taylor import Taylor\n", before="\nNORMALIZERS: dict"),
        Edit(NORMALIZERS, "        Taylor,\n", before="    )\n}"),
        Edit(NORMALIZERS, '    "Taylor",\n', before='    "Sparsemax",\n]'),
        Edit(ORACLE, TAYLOR_ORACLE, before="NORMALIZERS = {"),
        Edit(ORACLE, '    "taylor": _taylor,\n', before='    "hardmax": _hardmax,'),
        Edit(ORACLE, '"taylor", ', before='"hardmax")\n'),
        Edit(PLAIN, TAYLOR_PLAIN, before="NORMALIZERS = {"),
        Edit(PLAIN, '    "taylor": _taylor,\n', before='    "hardmax": _hardmax,'),
    ),
}
"""The edits that a person makes for each."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """One copy with both: each takes seconds to generate, and a server of its own."""
    return Tree(tmp_path_factory.mktemp("models"), *EDITS["score_model"], *EDITS["normalizer"])


@pytest.fixture(scope="module")
def extended(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("log"), root=tree.root) as server:
        yield server


def ask(server: Server, **fields: Any) -> dict[str, Any]:
    arrays = {"query": QUERY.tolist(), "key": KEY.tolist(), "value": VALUE.tolist()}
    return answer(httpx.post(f"{server.url}/v1/attention", json=arrays | fields))


def infer(server: Server, model: str, parameters: dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
    """The outputs of an inference in float64, by name."""
    arrays = {"query": QUERY, "key": KEY, "value": VALUE}
    inputs = [tensor(name, array) for name, array in arrays.items()] + list(more)
    body = {"inputs": inputs, "parameters": parameters}
    outputs = answer(httpx.post(f"{server.url}/v2/models/{model}/infer", json=body))["outputs"]
    return {one["name"]: np.reshape(one["data"], one["shape"]) for one in outputs}


def tensor(name: str, array: Any) -> dict[str, Any]:
    return {"name": name, "shape": list(np.shape(array)), "datatype": "FP64", "data": np.ravel(array).tolist()}


def answer(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def close(received: Any, expected: Any) -> None:
    np.testing.assert_allclose(np.array(received, float), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("kind", EDITS)
def test_a_model_takes_three_files(tree: Tree, kind: str) -> None:
    by_hand = {edit.path for edit in EDITS[kind]}
    assert len(by_hand - {ORACLE}) <= MAX_FILES, by_hand
    assert by_hand <= tree.by_hand
    assert tree.generated <= GENERATED


def test_json_answers_with_the_added_score_model(extended: Server) -> None:
    scores = chebyshev(QUERY, KEY, 2.5)
    received = ask(extended, score_model={"name": "chebyshev", "steepness": 2.5})
    assert received["score_model"] == {"name": "chebyshev", "steepness": 2.5}
    close(received["scores"], scores)
    close(received["weights"], softmax(scores))
    close(received["output"], softmax(scores) @ VALUE)
    close(ask(extended, score_model="chebyshev")["scores"], chebyshev(QUERY, KEY, 1.0))


def test_json_answers_with_the_added_normalizer(extended: Server) -> None:
    scores = QUERY @ KEY.T
    received = ask(extended, score_model="dot_product", normalizer={"name": "taylor", "constant": 3})
    assert received["normalizer"] == {"name": "taylor", "constant": 3.0}
    close(received["weights"], taylor(scores, 3.0))
    hidden = ask(extended, score_model="dot_product", normalizer="taylor", mask={"allowed": [[True] * 4 + [False]]})
    close(hidden["weights"], np.pad(taylor(scores[:, :4], 1.0), ((0, 0), (0, 1))))


def test_long_calls_are_tiled_with_what_was_added(extended: Server) -> None:
    query, key = np.random.default_rng(2).standard_normal((2, 700, 3))
    long = {"query": query.tolist(), "key": key.tolist(), "value": key.tolist(), "include": ["output"]}
    received = answer(httpx.post(f"{extended.url}/v1/attention", json=long | {"score_model": "chebyshev"}))
    distances = np.max(np.abs(query[:, None] - key), axis=-1)
    close(received["output"], softmax(-distances) @ key)
    received = answer(httpx.post(f"{extended.url}/v1/attention", json=long | {"normalizer": "taylor"}))
    close(received["output"], taylor(query @ key.T / np.sqrt(3), 1.0) @ key)


def test_open_inference_answers_with_what_was_added(extended: Server) -> None:
    outputs = infer(extended, "chebyshev", {"steepness": 0.5})
    close(outputs["scores"], chebyshev(QUERY, KEY, 0.5))
    outputs = infer(extended, "chebyshev", {}, tensor("steepness", [0.25]))
    close(outputs["scores"], chebyshev(QUERY, KEY, 0.25))
    metadata = answer(httpx.get(f"{extended.url}/v2/models/chebyshev"))
    assert {"name": "steepness", "datatype": "FP32", "shape": [-1]} in metadata["inputs"]
    outputs = infer(extended, "dot_product", {"normalizer": "taylor", "constant": 2})
    close(outputs["weights"], taylor(QUERY @ KEY.T, 2.0))


@pytest.mark.parametrize(
    ("field", "wrong", "pointer"),
    [
        ("score_model", {"name": "chebyshev", "steepness": 0}, "/score_model/steepness"),
        ("score_model", {"name": "chebyshev", "steepnes": 1}, "/score_model/steepnes"),
        ("score_model", "chebishev", "/score_model"),
        ("normalizer", {"name": "taylor", "constant": 0.5}, "/normalizer/constant"),
        ("normalizer", {"name": "taylor", "constant": [1]}, "/normalizer/constant"),
    ],
)
def test_wrong_parameters_are_named(extended: Server, field: str, wrong: Any, pointer: str) -> None:
    response = httpx.post(
        f"{extended.url}/v1/attention", json={"query": QUERY.tolist(), "key": KEY.tolist(), field: wrong}
    )
    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    assert wrong != "chebishev" or "Did you mean 'chebyshev'?" in response.json()["detail"]


def test_catalogue_and_document_describe_what_was_added(extended: Server, tree: Tree) -> None:
    cases = [
        ("score-models", "score_models", "Chebyshev", "切比雪夫距离", "steepness"),
        ("normalizers", "normalizers", "Taylor", "泰勒 softmax", "constant"),
    ]
    for path, field, component, title, parameter in cases:
        entries = answer(httpx.get(f"{extended.url}/v1/{path}"))[field]
        [entry] = [one for one in entries if one["title"]["zh"] == title]
        assert entry["title"]["en"].startswith(component)
        assert list(entry["parameters"]["properties"]) == [parameter]
        document = answer(httpx.get(f"{extended.url}/openapi.json"))
        assert parameter in document["components"]["schemas"][component]["properties"]
        printed = json.loads((tree.root / "openapi/openapi.json").read_text())
        assert document == without_keys(printed) | {"servers": [{"url": "/"}]}
        for models, scalars in zip(pages_of(path.replace("-", " ")), pages_of("parameters of v2"), strict=True):
            row = f"| `{entry['name']}` | {entry['formula']['plain']} |".replace("|q − k|", "\\|q − k\\|")
            assert row in (tree.root / models).read_text(encoding="utf-8")
            assert f"| `{parameter}` | `{field[:-1]}.{parameter}` |" in (tree.root / scalars).read_text(
                encoding="utf-8"
            )


def test_the_generic_tests_take_up_a_new_score_model(tree: Tree) -> None:
    """Among them finite differences of the gradients, and the oracle."""
    assert tree.test("-k", "chebyshev", "tests/attention_core/test_scores.py") >= 15


@pytest.mark.soak
def test_the_generic_tests_take_up_a_new_normalizer(tree: Tree) -> None:
    assert tree.test("-k", "taylor", "tests/attention_core/test_normalizers.py") >= 9


@pytest.mark.soak
def test_the_model_of_the_documentation_passes_the_tests_that_it_names(tmp_path: Path) -> None:
    page = (ROOT / "docs/adding-a-score-model.md").read_text(encoding="utf-8")
    model, oracle, plain = re.findall(r"```python declaration\n(.*?)```", page, re.DOTALL)
    tree = Tree(
        tmp_path,
        Edit("attention_core/scores/hamming.py", model),
        Edit(
            SCORE_MODELS,
            "from attention_core.scores.hamming import Hamming\n",
            before="from attention_core.scores.trilinear",
        ),
        Edit(SCORE_MODELS, "        Hamming,\n", before="    )\n}"),
        Edit(ORACLE, oracle, before='    "cosine": _cosine,'),
        Edit(PLAIN, plain, before='    "cosine": _cosine,'),
    )
    commands = re.findall(r"^\.venv/bin/python -m pytest (.*) -k (?:\"(.*)\"|(.*))$", page, re.MULTILINE)
    assert len(commands) == 2
    for paths, quoted, bare in commands:
        assert tree.test("-k", quoted or bare, *paths.split()) >= 8


GENERIC = [
    "tests/attention_core/test_ladder.py",
    "tests/attention_core/test_dimensions.py",
    "tests/attention_core/test_properties.py",
    "tests/attention_core/gradients/test_oracle.py",
    "tests/attention_core/blockwise/test_ladder.py",
    "tests/service/explanation/test_explain.py",
    "tests/promises/test_readme_tables.py",
]

CHOSEN = "everything_registered or named_with_their"
"""Tests whose ids do not name the model."""


@pytest.mark.soak
@pytest.mark.parametrize("path", GENERIC)
def test_every_generic_test_passes_with_what_was_added(tree: Tree, path: str) -> None:
    assert tree.test("-k", f"chebyshev or {CHOSEN}", path) >= 1
    assert tree.test("-k", f"taylor or {CHOSEN}", path) >= 1
