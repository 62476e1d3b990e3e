"""Score models that a request writes as formulas, in every representation."""

import json

import httpx
import numpy as np
import pytest
import safetensors.numpy

from attention_client import AsyncAttentionClient
from tests import oracle, written
from tests.compare import assert_close as assert_near
from tests.server import Server, log_lines

SAFETENSORS = {"Content-Type": "application/vnd.safetensors", "Accept": "application/json"}

RNG = np.random.default_rng(18)

VECTORS = {
    name: RNG.standard_normal(shape).round(3).tolist()
    for name, shape in {"query": (3, 4), "key": (5, 4), "value": (5, 2)}.items()
}

HEADED = {
    name: RNG.standard_normal(shape).round(3).tolist()
    for name, shape in {"query": (1, 2, 3, 4), "key": (1, 2, 5, 4), "value": (1, 2, 5, 2)}.items()
}

MANHATTAN = {"name": "expression", "formula": "-sum(abs(q - k)) / tau", "parameters": {"tau": 2.5}}

ADDITIVE = {
    "name": "additive",
    "query_weight": RNG.standard_normal((3, 4)).round(3).tolist(),
    "key_weight": RNG.standard_normal((3, 4)).round(3).tolist(),
    "score_vector": RNG.standard_normal(3).round(3).tolist(),
}

LEARNED = written.as_formula(ADDITIVE)

WEIGHTS = RNG.standard_normal((2, 4, 4)).round(3).tolist()
BY_HEAD = {"name": "expression", "formula": "q @ W @ k", "parameters": {"W": {"per_head": WEIGHTS}}}


TOLERANCE = 1e-12


def assert_close(received, expected):
    """Fail unless the numbers of two nested lists are the same up to rounding."""
    assert_near(received, expected, TOLERANCE)


async def answered(client: httpx.AsyncClient, path: str, document: dict) -> dict:
    """The answer to a request that succeeds."""
    response = await client.post(path, json=document)
    assert response.status_code == 200, response.text
    return response.json()


async def refused(client: httpx.AsyncClient, path: str, document: dict) -> tuple[str, str]:
    """The pointer and the detail of the first error of a request that is wrong."""
    response = await client.post(path, json=document)
    assert response.status_code == 422, response.text
    return response.json()["errors"][0]["pointer"], response.json()["errors"][0]["detail"]


async def test_a_formula_answers_as_the_oracle_and_says_what_was_used(client):
    for model, parameters in (
        (MANHATTAN, {"tau": 2.5}),
        (LEARNED, {"query_weight": {"shape": [3, 4]}, "key_weight": {"shape": [3, 4]}, "score_vector": {"shape": [3]}}),
    ):
        request = VECTORS | {"score_model": model}
        answer, expected = await answered(client, "/v1/attention", request), oracle.attention(request)
        for field in ("scores", "weights", "output"):
            assert_close(answer[field], expected[field])
        used = {"name": "expression", "formula": model["formula"], "parameters": parameters}
        assert answer["score_model"] == used


async def test_a_parameter_may_differ_from_head_to_head(client):
    answer = await answered(client, "/v1/attention", HEADED | {"score_model": BY_HEAD})
    built_in = await answered(
        client, "/v1/attention", HEADED | {"score_model": {"name": "bilinear", "weight": WEIGHTS}}
    )
    assert_close(answer["output"], built_in["output"])
    assert answer["score_model"]["parameters"] == {"W": {"shape": [2, 4, 4], "per_head": True}}


async def test_without_parameters_the_formula_alone_is_enough(client):
    answer = await answered(
        client, "/v1/attention", VECTORS | {"score_model": {"name": "expression", "formula": "q @ k"}}
    )
    built_in = await answered(client, "/v1/attention", VECTORS | {"score_model": "dot_product"})
    assert_close(answer["scores"], built_in["scores"])
    assert answer["score_model"] == {"name": "expression", "formula": "q @ k"}


WRONG = {
    "a word that is no operator": ({"formula": "q $ k"}, "/score_model/formula", "column 3"),
    "an unknown function": ({"formula": "1 + summ(q * k)"}, "/score_model/formula", "'summ' at column 5"),
    "a vector where a number must be": ({"formula": "q * k"}, "/score_model/formula", "column 1"),
    "a parameter that is missing": ({"formula": "q @ k / tau"}, "/score_model/formula", "'tau' at column 9"),
    "a parameter that is not used": ({"formula": "q @ k", "parameters": {"tau": 1}}, "/score_model/parameters/tau", ""),
    "a reserved name": ({"formula": "q @ k * e", "parameters": {"e": 1}}, "/score_model/parameters/e", ""),
    "a size that does not fit": (
        {"formula": "q @ W @ k", "parameters": {"W": [[1, 2, 3, 4]]}},
        "/score_model/formula",
        "column 1",
    ),
    "a word among numbers": (
        {"formula": "w @ k", "parameters": {"w": [1, 2, "x", 4]}},
        "/score_model/parameters/w/2",
        "expected a number",
    ),
    "heads where there are none": (
        {"formula": "q @ k * s", "parameters": {"s": {"per_head": [1, 2]}}},
        "/score_model/parameters/s/per_head",
        "head axis",
    ),
    "something beside per_head": (
        {"formula": "q @ k * s", "parameters": {"s": {"per_heads": [1, 2]}}},
        "/score_model/parameters/s",
        'an object with per_heads. Send {"per_head": […]} with',
    ),
    "a parameter one level too high": (
        {"formula": "-sum(abs(q - k)) / tau", "tau": 2},
        "/score_model/tau",
        'put it into score_model.parameters of expression, as "parameters": {"tau": …}',
    ),
    "a parameter too high with the name of an option": (
        {"formula": "scale * (q @ k)", "scale": 2},
        "/score_model/scale",
        'as "parameters": {"scale": …}',
    ),
    "an option of another model that the formula does not use": (
        {"formula": "q @ k", "scale": 2},
        "/score_model/scale",
        "scaled_dot_product",
    ),
    "parameters by another name": ({"formula": "q @ k * a", "params": {"a": 1}}, "/score_model/params", "parameters"),
    "no formula": ({}, "/score_model/formula", "required"),
    "a number as formula": ({"formula": 7}, "/score_model/formula", "expected a string"),
    "a list of parameters": ({"formula": "q @ k", "parameters": [1]}, "/score_model/parameters", "expected an object"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_wrong_is_pointed_to(client, wrong):
    given, pointer, words = WRONG[wrong]
    found, detail = await refused(client, "/v1/attention", VECTORS | {"score_model": {"name": "expression", **given}})
    assert found == pointer
    assert words in detail


async def test_parameters_come_as_tensors_of_a_safetensors_file(client):
    tensors = {name: np.array(value) for name, value in HEADED.items()}
    tensors["score_model.parameters.W.per_head"] = np.array(WEIGHTS)
    request = {"score_model": {"name": "expression", "formula": "q @ W @ k * tau", "parameters": {"tau": 0.5}}}
    content = safetensors.numpy.save(tensors, {"request": json.dumps(request)})
    response = await client.post("/v1/attention", content=content, headers=SAFETENSORS)
    assert response.status_code == 200, response.text
    halved = {"name": "bilinear", "weight": (np.array(WEIGHTS) / 2).tolist()}
    assert_close(response.json()["output"], oracle.attention(HEADED | {"score_model": halved})["output"])


def inputs_of(arrays: dict[str, object]) -> list[dict]:
    """Inputs of the Open Inference Protocol."""
    return [
        {"name": name, "shape": list(np.shape(array)), "datatype": "FP64", "data": np.array(array).ravel().tolist()}
        for name, array in arrays.items()
    ]


async def test_tensors_of_the_protocol_are_parameters_by_their_names(client):
    names = {name: value for name, value in ADDITIVE.items() if name != "name"}
    document = {"inputs": inputs_of(VECTORS | names), "parameters": {"formula": LEARNED["formula"]}}
    answer = await answered(client, "/v2/models/expression/infer", document)
    outputs = {one["name"]: np.reshape(one["data"], one["shape"]).tolist() for one in answer["outputs"]}
    assert_close(outputs["output"], oracle.attention(VECTORS | {"score_model": ADDITIVE})["output"])


async def test_the_protocol_takes_parameters_for_each_head_and_numbers_in_its_options(client):
    options = json.dumps({"score_model": {"parameters": {"tau": 2}}})
    document = {
        "inputs": inputs_of(HEADED | {"W.per_head": WEIGHTS}),
        "parameters": {"formula": "tau * (q @ W @ k)", "options": options},
    }
    answer = await answered(client, "/v2/models/expression/infer", document)
    outputs = {one["name"]: np.reshape(one["data"], one["shape"]).tolist() for one in answer["outputs"]}
    doubled = {"name": "bilinear", "weight": (2 * np.array(WEIGHTS)).tolist()}
    assert_close(outputs["output"], oracle.attention(HEADED | {"score_model": doubled})["output"])


WRONG_INFERENCES = {
    "a number of the formula among the parameters": ({"formula": "q @ k * tau", "tau": 2}, {}, "/parameters/tau"),
    "an option of another model": ({"formula": "q @ k * scale", "scale": 2}, {}, "/parameters/scale"),
    "a tensor that the formula does not use": ({"formula": "q @ k"}, {"W": [1.0]}, "/inputs/3"),
    "a name with a dot": ({"formula": "q @ k"}, {"W.x": [1.0]}, "/inputs/3/name"),
    "no formula": ({}, {}, "/parameters"),
    "a wrong formula": ({"formula": "q @"}, {}, "/parameters/formula"),
}


@pytest.mark.parametrize("wrong", WRONG_INFERENCES)
async def test_errors_point_into_the_inference(client, wrong):
    parameters, tensors, place = WRONG_INFERENCES[wrong]
    document = {"inputs": inputs_of(VECTORS | tensors), "parameters": parameters}
    pointer, _ = await refused(client, "/v2/models/expression/infer", document)
    assert pointer.startswith(place)


async def test_the_protocol_says_where_a_parameter_of_a_formula_goes(client):
    for name in ("tau", "scale"):
        document = {"inputs": inputs_of(VECTORS), "parameters": {"formula": f"q @ k * {name}", name: 2}}
        _, detail = await refused(client, "/v2/models/expression/infer", document)
        assert '"score_model": {"parameters": {…}} in the parameter options, as "parameters"' in detail
        assert f'as "parameters": {{"{name}": …}}' in detail
    document = {"inputs": inputs_of(VECTORS | {"W.perhead": [1.0]}), "parameters": {"formula": "q @ k * W"}}
    _, detail = await refused(client, "/v2/models/expression/infer", document)
    assert "W.per_head" in detail
    document = {"inputs": inputs_of(VECTORS | {"W": [1.0]}), "parameters": {"formula": "q @ k * W"}}
    _, detail = await refused(client, "/v2/models/expression/infer", document)
    assert "A parameter of shape [1] is a vector too" in detail


MISPLACED = {
    "a formula as the name": ("q @ k", '"score_model": {"name": "expression", "formula": "q @ k"}'),
    "a formula without a name": ({"formula": "q @ k"}, 'Add "name": "expression"'),
    "a formula of a custom model": ({"name": "custom", "formula": "q @ k"}, '"score_model": "expression"'),
}


@pytest.mark.parametrize("name", MISPLACED)
async def test_a_formula_in_the_wrong_place_is_told_its_place(client, name):
    given, words = MISPLACED[name]
    _, detail = await refused(client, "/v1/attention", VECTORS | {"score_model": given})
    assert words in detail


async def test_another_model_takes_no_formula_and_no_other_tensors(client):
    document = {"inputs": inputs_of(VECTORS), "parameters": {"formula": "q @ k"}}
    pointer, _ = await refused(client, "/v2/models/cosine/infer", document)
    assert pointer == "/parameters/formula"
    pointer, _ = await refused(client, "/v2/models/cosine/infer", {"inputs": inputs_of(VECTORS | {"W": [1.0]})})
    assert pointer == "/inputs/3/name"


async def test_the_model_is_listed_with_its_formula_and_its_parameters(client):
    listed = (await client.get("/v1/score-models")).json()["score_models"]
    one = next(each for each in listed if each["name"] == "expression")
    assert one["parameters"]["required"] == ["formula"]
    assert set(one["parameters"]["properties"]) == {"formula", "parameters"}
    await answered(client, "/v1/attention", VECTORS | {"score_model": one["example"]})
    metadata = (await client.get("/v2/models/expression")).json()
    assert [one["name"] for one in metadata["inputs"]][:3] == ["query", "key", "value"]


async def test_variants_merge_parameters_unless_the_formula_changes(client):
    variants = {
        "one more parameter": {"score_model": {"parameters": {"tau": 5}}},
        "another formula": {"score_model": {"formula": "-norm(q - k) * s", "parameters": {"s": 2}}},
        "the same formula": {"score_model": {"formula": MANHATTAN["formula"]}},
    }
    document = {
        "base": VECTORS | {"score_model": MANHATTAN},
        "variants": [{"label": label, "overrides": overrides} for label, overrides in variants.items()],
    }
    answer = await answered(client, "/v1/attention/compare", document)
    used = [one["result"]["score_model"].get("parameters") for one in answer["results"]]
    assert used == [{"tau": 2.5}, {"tau": 5}, {"s": 2}, {"tau": 2.5}]
    kept = {"score_model": {"formula": "q @ k / sigma"}}
    pointer, detail = await refused(
        client, "/v1/attention/compare", document | {"variants": [{"label": "without", "overrides": kept}]}
    )
    assert pointer == "/variants/0/overrides/score_model/formula"
    assert "'sigma'" in detail


async def test_the_cost_of_a_formula_is_predicted(client):
    cheap, dear = [
        (
            await answered(
                client, "/v1/attention/estimate", VECTORS | {"score_model": {"name": "expression", "formula": text}}
            )
        )
        for text in ("-sum(abs(q - k))", "-sum(abs(tanh(exp(q - k)) * sqrt(abs(q - k))))")
    ]
    assert 0 < cheap["operations"] < dear["operations"]
    assert cheap["allowed"]


async def test_what_a_formula_makes_of_every_key_counts_as_memory(client):
    """A wide matrix makes many numbers of each key, which a kernel then reads: W@k is 20 000 times 4 000."""
    wide = {"name": "expression", "formula": "dot(tanh(W @ q), tanh(W @ k))", "parameters": {"W": [[1]] * 4000}}
    request = {"query": [[1]], "key": [[1]] * 20_000, "score_model": wide, "include": ["logsumexp"]}
    predicted = (await client.post("/v1/attention/estimate", json=request)).json()
    assert predicted["bytes"] > 8 * 20_000 * 4000
    assert not predicted["allowed"]
    response = await client.post("/v1/attention", json=request)
    assert (response.status_code, response.json()["type"]) == (413, "/problems/too-large")


@pytest.mark.parametrize(
    ("model", "numbers"),
    [
        ({"formula": "dot(q / s, k)", "parameters": {"s": 1e200}}, [[1e200]]),
        ({"formula": "sum(q / s * k)", "parameters": {"s": 1e200}}, [[1e200]]),
        ({"formula": "sum(q / s)", "parameters": {"s": 0}}, [["NaN"]]),
    ],
)
async def test_a_number_that_scales_a_query_is_not_moved_behind_the_product(client, model, numbers):
    request = {"query": [[1e200, 0]], "key": [[1e200, 0]], "include": ["scores"]}
    response = await client.post("/v1/attention", json=request | {"score_model": {"name": "expression", **model}})
    assert response.json()["scores"] == numbers


async def test_a_candidate_is_checked_against_the_formula(client):
    request = VECTORS | {"score_model": MANHATTAN}
    candidate = {"output": oracle.attention(request)["output"]}
    answer = await answered(client, "/v1/attention/check", {"request": request, "candidate": candidate})
    assert answer["passed"]
    wrong = {"output": oracle.attention(VECTORS)["output"]}
    answer = await answered(client, "/v1/attention/check", {"request": request, "candidate": wrong})
    assert not answer["passed"]


async def test_requests_that_differ_in_formula_or_parameters_are_cached_apart(client):
    models = [MANHATTAN, MANHATTAN | {"parameters": {"tau": 5}}, MANHATTAN | {"formula": "-sum(square(q - k)) / tau"}]
    for model in models * 2:
        request = VECTORS | {"score_model": model}
        answer = await answered(client, "/v1/attention", request)
        assert_close(answer["scores"], oracle.attention(request)["scores"])


async def test_a_picture_names_the_formula(client):
    response = await client.post(
        "/v1/attention", json=VECTORS | {"score_model": MANHATTAN}, headers={"Accept": "image/svg+xml"}
    )
    assert response.status_code == 200
    assert "formula -sum(abs(q - k)) / tau · tau 2.5" in response.text


async def test_a_formula_is_never_logged(server: Server):
    secret = "zq8secret"
    async with httpx.AsyncClient(base_url=server.url) as client:
        for formula in (f"q @ k * {secret}", f"q @ k * {secret}("):
            model = {"name": "expression", "formula": formula, "parameters": {secret: 2}}
            response = await client.post("/v1/attention", json=VECTORS | {"score_model": model})
            assert response.status_code in (200, 422)
            await client.get("/v1/expressions", params={"formula": formula})
        await client.get("/livez", headers={"X-Request-ID": "after-the-formulas"})
        last = await client.post("/v1/attention", json={}, headers={"X-Request-ID": "the-last-formula"})
        assert last.status_code == 422
    log_lines(server, "the-last-formula")
    assert secret not in server.log.read_text()


@pytest.mark.parametrize("model", [MANHATTAN, LEARNED, BY_HEAD], ids=["number", "tensors", "per head"])
async def test_the_client_sends_formulas(server: Server, model):
    vectors = HEADED if model is BY_HEAD else VECTORS
    expected = oracle.attention(vectors | {"score_model": model})
    async with AsyncAttentionClient(server.url) as client:
        result = await client.attend(*vectors.values(), score_model=model)
    assert_close(result.output.tolist(), expected["output"])


async def test_the_client_sends_a_formula_without_parameters(server: Server):
    async with AsyncAttentionClient(server.url) as client:
        model = {"name": "expression", "formula": "q @ k", "parameters": {}}
        result = await client.attend(*VECTORS.values(), score_model=model)
    assert_close(result.scores.tolist(), oracle.attention(VECTORS | {"score_model": "dot_product"})["scores"])


async def test_a_parameter_with_the_name_of_an_input_is_sent_by_the_client(server: Server):
    model = {"name": "expression", "formula": "bias @ k + q @ k", "parameters": {"bias": [1.0, 0.0, 2.0, -1.0]}}
    async with AsyncAttentionClient(server.url) as client:
        result = await client.attend(*VECTORS.values(), score_model=model)
        language = await client.expressions()
        checked = await client.expressions("q @ W @ k")
    assert_close(result.output.tolist(), oracle.attention(VECTORS | {"score_model": model})["output"])
    assert "sum" in [one["name"] for one in language["names"]]
    assert checked["parameters"] == [{"name": "W", "shapes": [["Dq", "Dk"]]}]
