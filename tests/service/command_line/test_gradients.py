"""gradients from the command line: the answer of the service, and a line for each gradient."""

import json

import httpx
import pytest

from service.specification.examples import requests_to
from tests.service.command_line.command import run

EXAMPLES = requests_to("gradients")


@pytest.mark.parametrize("name", EXAMPLES)
async def test_json_is_what_the_service_answers(client: httpx.AsyncClient, name: str) -> None:
    body = EXAMPLES[name]["value"]
    ended = run("gradients", "-", "--json", body=body)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert json.loads(ended.stdout) == (await client.post("/v1/attention/gradients", json=body)).json()


async def test_each_gradient_has_a_line_with_its_shape_and_its_largest_number(client: httpx.AsyncClient) -> None:
    body = EXAMPLES["learned-score"]["value"]
    ended = run("gradients", "-", body=body)
    assert (ended.returncode, ended.stderr) == (0, b"")
    heading, columns, *lines = ended.stdout.decode().splitlines()
    assert heading == "gradients 梯度"
    assert columns.split() == ["shape", "形状", "norm", "范数", "largest", "最大", "at", "位置"]
    answer = (await client.post("/v1/attention/gradients", json=body)).json()
    weight = answer["gradients"]["score_model"]["query_weight"]
    [row] = [line for line in lines if line.startswith("score_model.query_weight")]
    norm = sum(number**2 for each in weight for number in each) ** 0.5
    assert row.split() == ["score_model.query_weight", "[2,", "4]", f"{norm:.6g}", f"{weight[0][0]:.6g}", "[0,", "0]"]
    assert [line.split()[0] for line in lines if "." in line[:25]][:6] == [
        *(f"score_model.{name}" for name in answer["gradients"]["score_model"]),
        "normalizer.temperature",
        "normalizer.sink",
    ]
    assert lines[lines.index("output 输出") + 1].split()[0] == "0"


def test_numbers_that_are_not_finite_and_notes_are_shown() -> None:
    wide = {"query": [[1.0]], "key": [[1.0], [-1.0]], "value": [[6e4], [-6e4]], "dtype": "float16"}
    ended = run("gradients", "-", body={"request": wide, "output_gradient": 10})
    lines = ended.stdout.decode().splitlines()
    [query] = [line for line in lines if line.startswith("query ")]
    assert query.split() == ["query", "[1,", "1]", "inf", "inf", "[0,", "0]"]
    assert lines[lines.index("notes 说明") + 1].startswith("gradients.query, gradients.key: finite numbers exceed")


def test_a_wrong_request_is_refused_with_its_place() -> None:
    body = EXAMPLES["bias"]["value"]
    ended = run("gradients", "-", body=body | {"request": body["request"] | {"normalizer": "hardmax"}})
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.decode().startswith("error: /request/normalizer: expected a normalizer that can be differ")
