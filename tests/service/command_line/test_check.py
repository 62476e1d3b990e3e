"""check from the command line: the verdict of the service as a table, and as an exit code."""

import json
import subprocess
from typing import Any

import httpx
import pytest

from tests.service.command_line.command import HONOR, run


def verdict_of(candidate: Any, *arguments: str, request: Any = HONOR) -> subprocess.CompletedProcess[bytes]:
    return run("check", "-", *arguments, body={"request": request, "candidate": candidate})


async def test_a_right_candidate_passes(client: httpx.AsyncClient) -> None:
    answer = (await client.post("/v1/attention", json=HONOR)).json()
    candidate = {"weights": answer["weights"], "output": answer["output"]}
    ended = verdict_of(candidate)
    assert (ended.returncode, ended.stderr) == (0, b"")
    lines = ended.stdout.decode().splitlines()
    assert lines[0] == "passed 通过   rtol 1e-07, atol 1e-09"
    assert {"weights", "output"} == {line.split()[0] for line in lines if "✓ yes 是" in line}
    assert "✗" not in ended.stdout.decode()
    assert "likely cause" not in ended.stdout.decode()


async def test_a_wrong_candidate_fails_with_the_likely_cause(client: httpx.AsyncClient) -> None:
    wrong = (await client.post("/v1/attention", json={**HONOR, "score_model": "dot_product"})).json()
    right = (await client.post("/v1/attention", json=HONOR)).json()
    body = {"request": HONOR, "candidate": {"weights": wrong["weights"], "logsumexp": [3.5, 2.98]}}
    answered = (await client.post("/v1/attention/check", json=body)).json()
    ended = run("check", "-", body=body)
    assert (ended.returncode, ended.stderr) == (1, b"")
    shown = ended.stdout.decode()
    assert shown.startswith("FAILED 未通过")
    field = answered["fields"]["weights"]
    row = next(line for line in shown.splitlines() if line.startswith("weights"))
    assert "✗ NO 否" in row
    at = tuple(field["worst_index"])
    assert str(list(at)) in row
    assert f"{right['weights'][at[0]][at[1]]:.6g}" in row
    assert f"{wrong['weights'][at[0]][at[1]]:.6g}" in row
    assert f"{field['max_abs_error']:.6g}" in row
    if answered["likely_cause"]:
        assert f"likely cause 可能的原因: {answered['likely_cause']}" in shown
    assert answered["advice"]["zh"] in shown
    assert answered["advice"]["en"] in shown


async def test_the_likely_cause_is_named(client: httpx.AsyncClient) -> None:
    wrong = (await client.post("/v1/attention", json={**HONOR, "score_model": "dot_product"})).json()
    ended = verdict_of({"weights": wrong["weights"]})
    assert ended.returncode == 1
    assert "likely cause 可能的原因: scale missing" in ended.stdout.decode()


@pytest.mark.parametrize("scale", [0.5, 1.0])
async def test_a_verdict_as_json_is_what_the_service_answers(client: httpx.AsyncClient, scale: float) -> None:
    model = {"name": "scaled_dot_product", "scale": scale}
    candidate = (await client.post("/v1/attention", json={**HONOR, "score_model": model})).json()["output"]
    body = {"request": HONOR, "candidate": {"output": candidate}}
    answered = await client.post("/v1/attention/check", json=body)
    ended = run("check", "-", "--json", body=body)
    assert ended.returncode == (0 if scale == 0.5 else 1)
    assert ended.stdout == answered.content + b"\n"


@pytest.mark.parametrize(
    "candidate", [{}, {"weights": [[1, "x"]]}, {"weights": [[1.0]]}, {"wieghts": [[1.0]]}], ids=str
)
async def test_a_wrong_check_is_refused_as_by_the_service(client: httpx.AsyncClient, candidate: Any) -> None:
    answered = (await client.post("/v1/attention/check", json={"request": HONOR, "candidate": candidate})).json()
    ended = verdict_of(candidate, "--json")
    assert (ended.returncode, ended.stdout) == (2, b"")
    del answered["instance"]
    assert json.loads(ended.stderr) == answered
