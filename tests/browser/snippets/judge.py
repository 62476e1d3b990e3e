"""Let the page write programs, run them in a process of their own, and compare with decimal numbers."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Page

from tests import oracle
from tests.browser.snippets.cases import Request

WRITE = """
async ({ form, requests, numbers, url, hasKey }) => {
  await import("./static/playground/views/list.js");
  const { FORMS } = await import("./static/playground/snippets/list.js");
  return requests.map((request, at) => FORMS[form]({
    request, numbers: { logits: numbers[at] }, tensors: { key: request.key, value: request.value ?? null },
    index: [], memory: null, url, hasKey }));
}
"""

TOLERANCE = 1e-12

BASH, NODE = "/bin/bash", "/usr/bin/node"


async def written(page: Page, form: str, requests: list[Request], url: str, *, has_key: bool = False) -> list[Any]:
    """Return what the page writes for each request: ``{"code": …}`` or ``{"refusal": …}``."""
    numbers = [[[1.0]] for _ in requests]
    asked = {"form": form, "requests": requests, "numbers": numbers, "url": url, "hasKey": has_key}
    found: list[Any] = await page.evaluate(WRITE, asked)
    return found


def run(python: Path | str, programs: Mapping[str, str], **environment: str) -> dict[str, dict[str, Any]]:
    """Return what each program leaves behind, all of them run by one interpreter."""
    ended = subprocess.run(
        [python, Path(__file__).with_name("run.py")],
        input=json.dumps(programs),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={"PATH": "/usr/bin:/bin", **environment},
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, dict[str, Any]] = json.loads(ended.stdout)
    return found


def assert_right(name: str, request: Request, found: Mapping[str, Any]) -> None:
    """Fail unless a program has ended well, printed something, and has the numbers of the oracle."""
    assert "error" not in found, f"{name}: {found['error']}"
    assert found["printed"] > 0
    expected = oracle.attention(request)
    fields = [field for field in ("scores", "weights", "output") if field in found]
    assert fields, name
    for field in fields:
        wanted, received = (np.array(nested, dtype=np.float64) for nested in (expected[field], found[field]))
        assert received.shape == wanted.shape, f"{name}: {field}"
        size = max(1.0, float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0)))
        np.testing.assert_allclose(received, wanted, rtol=0, atol=TOLERANCE * size, err_msg=f"{name}: {field}")


async def assert_programs_right(
    page: Page, form: str, asked: Mapping[str, Request], url: str, python: Path | str, **environment: str
) -> None:
    """Fail unless every request is written, runs, and gives the numbers of the oracle."""
    answers = await written(page, form, list(asked.values()), url)
    programs = {name: answer["code"] for name, answer in zip(asked, answers, strict=True)}
    found = run(python, programs, **environment)
    for name, request in asked.items():
        assert_right(name, request, found[name])


def output_of(command: str, text: str, **environment: str) -> str:
    """Return what a program that is read from standard input prints, such as a script of bash; it must end well."""
    ended = subprocess.run(
        [command, *([] if command == BASH else ["-"])],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", **environment},
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
