"""Requests and expected answers in the format of each server: the same tensors for all of them."""

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from benchmarks.over_http.peers.maths import attention

Arrays = dict[str, NDArray[Any]]

ALL = ("scores", "weights", "output")
OUTPUT = ("output",)

JSON_HEADERS = {"Content-Type": "application/json"}
LENGTH = "Inference-Header-Content-Length"
SAFETENSORS = "application/vnd.safetensors"

DATATYPES = {np.dtype("<f4"): "FP32", np.dtype("<f8"): "FP64"}
TOLERANCES = {np.dtype("<f4"): 1e-4, np.dtype("<f8"): 1e-9}

TENSOR_NAMES = ("query", "key", "value")

ID = "1"
"""Without an id KServe's answers do not pass its own validation."""


@dataclass(frozen=True)
class Answer:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Exchange:
    """A request, and how its answer is read; without `read` only its status is known."""

    path: str
    body: bytes
    headers: dict[str, str]
    expected: Arrays = field(default_factory=dict)
    read: Callable[[Answer], Arrays] | None = None

    def once(self, port: int) -> Answer:
        """Ask once and check the answer; raises ValueError if it is wrong."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        try:
            connection.request("POST", self.path, self.body, self.headers)
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            answer = Answer(response.status, headers, response.read())
        finally:
            connection.close()
        self.check(answer)
        return answer

    def check(self, answer: Answer) -> None:
        """Raise ValueError unless the answer is what the maths say."""
        if answer.status != 200:
            raise ValueError(f"{self.path} answers {answer.status}: {answer.body[:500]!r}")
        if self.read is None:
            return
        arrays = self.read(answer)
        for name, expected in self.expected.items():
            tolerance = TOLERANCES[expected.dtype]
            np.testing.assert_allclose(arrays[name], expected, rtol=tolerance, atol=tolerance, err_msg=name)


def tensors(queries: int, keys: int, features: int, dtype: str, heads: int | None = None) -> Arrays:
    """Return a query, keys and values, the same every time."""
    rng = np.random.default_rng(0)
    leading = () if heads is None else (1, heads)
    shapes = ((*leading, queries, features), (*leading, keys, features), (*leading, keys, features))
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in zip(TENSOR_NAMES, shapes, strict=True)}


def expected(arrays: Arrays, include: tuple[str, ...]) -> Arrays:
    """Return what every server must answer."""
    results: dict[str, Any] = attention(**arrays)
    return {name: results[name] for name in include}


def plain_json(arrays: Arrays, include: tuple[str, ...] | None = None, path: str = "/v1/attention") -> Exchange:
    """Nested lists under the names of the tensors, as the service and FastAPI with lists take them."""
    numbers: dict[str, Any] = {name: short(array).tolist() for name, array in arrays.items()}
    dtype = arrays["query"].dtype
    options: dict[str, Any] = {} if dtype == np.float64 else {"dtype": dtype.name}
    if include is not None:
        options["include"] = include
    body = json.dumps(numbers | options, separators=(",", ":")).encode()

    def read(answer: Answer) -> Arrays:
        return {name: np.array(numbers) for name, numbers in json.loads(answer.body).items() if name in ALL}

    return Exchange(path, body, JSON_HEADERS, expected(arrays, include or ALL), read)


def inference_json(arrays: Arrays, include: tuple[str, ...], model: str) -> Exchange:
    """The Open Inference Protocol with numbers as JSON."""
    inputs = [_tensor(name, array) | {"data": short(array).ravel().tolist()} for name, array in arrays.items()]
    document = {"id": ID, "inputs": inputs, "outputs": [{"name": name} for name in include]}
    body = json.dumps(document, separators=(",", ":")).encode()

    def read(answer: Answer) -> Arrays:
        outputs = json.loads(answer.body)["outputs"]
        return {one["name"]: np.array(one["data"]).reshape(one["shape"]) for one in outputs}

    return Exchange(f"/v2/models/{model}/infer", body, JSON_HEADERS, expected(arrays, include), read)


def inference_binary(arrays: Arrays, include: tuple[str, ...], model: str) -> Exchange:
    """The Open Inference Protocol with raw tensors both ways."""
    inputs = [
        _tensor(name, array) | {"parameters": {"binary_data_size": array.nbytes}} for name, array in arrays.items()
    ]
    outputs = [{"name": name, "parameters": {"binary_data": True}} for name in include]
    parameters = {"binary_data_output": True}
    head = json.dumps({"id": ID, "inputs": inputs, "outputs": outputs, "parameters": parameters}).encode()
    body = b"".join((head, *(array.tobytes() for array in arrays.values())))
    headers = {"Content-Type": "application/octet-stream", LENGTH: str(len(head))}
    return Exchange(f"/v2/models/{model}/infer", body, headers, expected(arrays, include), _read_binary)


def safetensors(arrays: Arrays, include: tuple[str, ...]) -> Exchange:
    """Tensors in a safetensors file, both ways."""
    body = save(arrays, {"request": json.dumps({"include": include})})
    headers = {"Content-Type": SAFETENSORS, "Accept": SAFETENSORS}
    return Exchange("/v1/attention", body, headers, expected(arrays, include), lambda answer: load(answer.body))


def anything(of: Exchange) -> Exchange:
    """The same body for a server that does not look at it."""
    return Exchange(of.path, of.body, of.headers)


def _tensor(name: str, array: NDArray[Any]) -> dict[str, Any]:
    return {"name": name, "shape": list(array.shape), "datatype": DATATYPES[array.dtype]}


def short(array: NDArray[Any]) -> NDArray[np.float64]:
    """Return the float64 that are written with as few digits as the array's own type needs."""
    return array.astype(str).astype(np.float64)


def _read_binary(answer: Answer) -> Arrays:
    place = int(answer.headers[LENGTH.lower()])
    stored = {datatype: dtype for dtype, datatype in DATATYPES.items()}
    arrays: Arrays = {}
    for one in json.loads(answer.body[:place])["outputs"]:
        size = one["parameters"]["binary_data_size"]
        raw = answer.body[place : place + size]
        arrays[one["name"]] = np.frombuffer(raw, stored[one["datatype"]]).reshape(one["shape"])
        place += size
    return arrays
