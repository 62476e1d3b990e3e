"""The programs in examples/ run against a real server and print what the core computes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from attention_core import SCORE_MODELS, Allowed, Causal, Softmax, attend
from service.examples import load_examples
from tests.promises.readme import ROOT
from tests.server import Server

EXAMPLES = ROOT / "examples"
RUN = {".py": [sys.executable, "-W", "error"], ".sh": ["bash"], ".mjs": ["node"]}

SUPPORT = {name: np.array(load_examples()["honor-of-kings"].request[name]) for name in ("query", "key", "value")}
GONE_HOME = Allowed(np.array([False, True, True, True]))


def printed(path: str, url: str) -> str:
    program = EXAMPLES / path
    ended = subprocess.run(
        [*RUN[program.suffix], program, url], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert ended.returncode == 0, ended.stderr
    assert not ended.stderr
    return ended.stdout


def lines(path: str, url: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in printed(path, url).splitlines()}


def assert_shows(shown: list[str], array: np.ndarray) -> None:
    """As many numbers as the array has, to four decimals."""
    np.testing.assert_allclose([float(text) for text in shown], array.ravel(), atol=0.5001e-4, rtol=0)


@pytest.mark.curl
def test_curl_with_json(server: Server) -> None:
    answer = json.loads(printed("curl/json.sh", server.url))
    expected = attend(**SUPPORT, mask=GONE_HOME)
    np.testing.assert_allclose(answer["weights"], expected.weights, atol=0.5001e-4)
    np.testing.assert_allclose(answer["output"], expected.output, atol=0.5001e-4)


@pytest.mark.curl
def test_curl_with_raw_bytes(server: Server) -> None:
    head, *numbers = printed("curl/binary.sh", server.url).splitlines()
    assert [output["name"] for output in json.loads(head)["outputs"]] == ["weights", "output"]
    expected = attend([[2.0, 1.0]], np.eye(2), [[1.0], [2.0]], normalizer=Softmax(0.5), dtype="float32")
    shown = np.array([float(number) for number in numbers])
    np.testing.assert_allclose(shown, [*expected.weights[0], *expected.output[0]], rtol=1e-6)


def test_python_with_the_client(server: Server) -> None:
    shown = lines("python/with_client.py", server.url)
    expected = attend(**SUPPORT)
    assert_shows(shown["weights"], expected.weights)
    assert_shows(shown["output"], expected.output)
    assert_shows(shown["masked"], attend(**SUPPORT, mask=GONE_HOME, normalizer=Softmax(2.0)).weights)
    assert shown["cached"] == ["1", "2", "1", "5", "float32"]
    assert shown["refused"] == ["/key", "example-1"]


def test_python_with_asyncio(server: Server) -> None:
    shown = lines("python/with_asyncio.py", server.url)
    assert set(shown) == {
        name for name in SCORE_MODELS if name not in ("additive", "bilinear", "trilinear", "expression")
    }
    for name, weights in shown.items():
        model = SCORE_MODELS[name]()
        assert_shows(weights, attend(SUPPORT["query"], SUPPORT["key"][:2], score_model=model).weights)


def test_python_with_httpx(server: Server) -> None:
    shown = lines("python/with_httpx.py", server.url)
    expected = attend(SUPPORT["query"], SUPPORT["key"]).weights
    assert_shows(shown["json"], expected)
    assert_shows(shown["binary"], expected)


@pytest.mark.node
def test_javascript_with_json(server: Server) -> None:
    shown = lines("javascript/json.mjs", server.url)
    expected = attend(**SUPPORT)
    assert_shows(shown["weights"], expected.weights)
    assert_shows(shown["output"], expected.output)
    assert shown["refused"] == ["422", "/softcap"]


@pytest.mark.node
def test_javascript_with_raw_bytes(server: Server) -> None:
    shown = lines("javascript/binary.mjs", server.url)
    expected = attend([[2.0, 1.0], [0.0, 1.0]], np.eye(2), [[10.0], [20.0]], mask=Causal(), dtype="float32")
    assert shown["weights"][0] == "2×2"
    assert_shows(shown["weights"][1:], expected.weights)
    assert shown["output"][0] == "2×1"
    assert_shows(shown["output"][1:], expected.output)


PROGRAMS = sorted(path.relative_to(EXAMPLES).as_posix() for ending in RUN for path in EXAMPLES.rglob(f"*{ending}"))


def test_all_of_them_are_listed() -> None:
    listed = re.findall(
        r"^\| \[`(.+)`\]\((.+)\) \|", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert all(name == link for name, link in listed)
    assert sorted(name for name, _ in listed) == PROGRAMS


@pytest.mark.parametrize("path", PROGRAMS)
def test_every_program_is_run_short_and_commented_in_both_languages(path: str) -> None:
    assert f'"{path}"' in Path(__file__).read_text(encoding="utf-8")
    text = (EXAMPLES / path).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 70
    assert "http://127.0.0.1:8000" in text or "sys.argv[1:2]" in text
    comments = re.findall(r"(?://|#) (.*)|^(?:    )?\"\"\"(.*)", text, re.MULTILINE)
    written = " ".join(part for pair in comments for part in pair)
    assert len(re.findall("[\u4e00-\u9fff]", written)) >= 20
    assert len(re.findall(r"\b[a-z]{2,}\b", written)) >= 15
