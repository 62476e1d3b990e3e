"""The error about an unknown argument, number type or result names the right one."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from attention_client import InvalidArgument
from attention_client.names import VECTORS
from attention_client.schema import Options
from attention_core.hints import TABLE
from tests.attention_client.conftest import CallMethod

NOWHERE = "http://127.0.0.1:1"
QUERY = np.ones((2, 3))

ARGUMENTS: list[tuple[str, list[str]]] = [
    ("softmax_scale", ["score_model={'name': 'scaled_dot_product', 'scale': ...}"]),
    ("attn_mask", ["mask={'allowed': ...}", "bias"]),
    ("is_causal", ["mask={'causal': True}"]),
    ("valid_lens", ["mask={'key_lengths': ...}"]),
    ("temperature", ["normalizer={'name': 'softmax', 'temperature': ...}"]),
    ("key_lengths", ["mask={'key_lengths': ...}"]),
    ("left", ["mask={'window': {'left': ...}}"]),
    ("query_weight", ["score_model={'name': 'additive', 'query_weight': ...}"]),
    ("rope", ["position='rotary'"]),
    ("return_lse", ["include=['logsumexp']"]),
    ("digits", ["decimals in POST /v1/attention"]),
    ("softcapp", ["Did you mean 'softcap'?"]),
    ("casual", ["Did you mean 'causal'?", "mask={'causal': ...}"]),
    ("nonsense", ["Known arguments are query, key, value"]),
]


@pytest.mark.parametrize(("name", "expected"), ARGUMENTS, ids=[name for name, _ in ARGUMENTS])
async def test_an_unknown_argument_is_translated(call: CallMethod, name: str, expected: list[str]) -> None:
    with pytest.raises(TypeError) as raised:
        await call(NOWHERE, "attend", QUERY, QUERY, **{name: 1})
    assert f"'{name}'" in str(raised.value)
    for text in expected:
        assert text in str(raised.value)


@pytest.mark.parametrize("method", ["attend", "estimate", "explain", "check"])
async def test_every_method_translates_an_unknown_argument(call: CallMethod, method: str) -> None:
    beside: dict[str, Any] = {"explain": {"query_index": 0, "key_index": 0}, "check": {"candidate": {}}}.get(method, {})
    with pytest.raises(TypeError, match="Here it is score_model"):
        await call(NOWHERE, method, QUERY, QUERY, softmax_scale=1.0, **beside)


async def test_every_field_of_the_table_is_translated(call: CallMethod) -> None:
    for row in TABLE["field"]:
        name = row.names[0]
        if row.within or name in (*VECTORS, *Options.__annotations__):
            continue
        with pytest.raises(TypeError) as raised:
            await call(NOWHERE, "attend", QUERY, QUERY, **{name: 1})
        assert "Did you mean" not in str(raised.value)
        assert "Known arguments" not in str(raised.value)


@pytest.mark.parametrize(("dtype", "expected"), [("fp16", "dtype='float16'"), ("Float32", "Did you mean 'float32'?")])
async def test_a_number_type_is_translated(call: CallMethod, dtype: str, expected: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        await call(NOWHERE, "attend", QUERY, QUERY, dtype=dtype)
    assert expected in raised.value.detail


@pytest.mark.parametrize(
    ("field", "expected"), [("lse", "include=['logsumexp']"), ("weigths", "Did you mean 'weights'?")]
)
async def test_a_field_of_the_result_is_translated(call: CallMethod, field: str, expected: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        await call(NOWHERE, "attend", QUERY, QUERY, include=[field])
    assert expected in raised.value.detail


WITHOUT_CORE = """
import sys
sys.modules["attention_core"] = None
from attention_client import AttentionClient
try:
    AttentionClient().attend([[1.0]], [[1.0]], softmax_scale=1)
except TypeError as error:
    assert str(error).startswith("unexpected keyword argument 'softmax_scale'. Known arguments are query"), error
else:
    raise AssertionError
"""


def test_without_the_core_the_arguments_are_listed() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_CORE], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
