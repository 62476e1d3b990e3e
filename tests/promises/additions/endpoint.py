"""An endpoint that computes the length of vectors."""

from development.generate import pages_of
from tests.promises.additions import Addition
from tests.promises.tree import Edit

RECORDS = "service/specification/endpoints.py"

SCHEMA = '''\
"""The request and the response of /v1/norms."""

from typing import Annotated, Any

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from service.schemas.base import StrictModel
from service.schemas.tensors import Result, Tensor


class NormsRequest(StrictModel):
    """Vectors to measure. 待测向量。"""

    vectors: Annotated[NDArray[Any], Tensor("extended", min_rank=2)] = Field(description="Shape (…, L, D). 向量。")


class NormsResponse(BaseModel):
    """The length of each vector. 长度。"""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    norms: Result = Field(description="Euclidean norms, (…, L). 长度。")
'''

COMPUTE = '''\
"""POST /v1/norms: the length of each vector."""

import numpy as np

from service.compute.contract import Body, Prepared, Reply, Run
from service.compute.documents import numbers_for, read_document, write_document
from service.schemas.norms import NormsRequest
from service.schemas.parse import parse
from service.settings import Settings


def prepare_norms(body: Body, settings: Settings) -> Prepared:
    """Read the vectors."""
    request = parse(NormsRequest, read_document(body, settings))

    def complete(run: Run) -> Reply:
        """Return the lengths."""
        norms = np.linalg.norm(request.vectors.astype(np.float64), axis=-1)
        return write_document({"norms": numbers_for(body.wanted, "float64").of_dtype(norms)}, body.wanted)

    return Prepared(operations=1, bytes=1, complete=complete)
'''

RECORD = """\
    Endpoint(
        path="/v1/norms",
        name="measure",
        title=Text("向量长度", "Norms"),
        about=Text("计算每个向量的长度。", "Return the length of each vector."),
        answer=Text("每个向量的长度。", "The length of each vector."),
        prepare=prepare_norms,
        request=NormsRequest,
        response=NormsResponse,
        examples={"right-angle": described(Text("勾三股四", "3, 4"), Text("弦五。", "5."), {"vectors": [[3.0, 4.0]]})},
    ),
"""

PROOF = """
import asyncio
from pathlib import Path

import httpx

from service.main import create_app
from service.settings import Settings


async def main() -> None:
    app = create_app(Settings(log_level="error"))
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        right, wrong = [await client.post("/v1/norms", json=body) for body in ({"vectors": [[3, 4], [0, 2]]}, {})]
        counted = (await client.get("/metrics")).text.splitlines()
        document = (await client.get("/openapi.json")).json()
    assert (right.status_code, right.json()) == (200, {"norms": [5.0, 2.0]}), right.text
    assert (wrong.status_code, wrong.json()["type"]) == (422, "/problems/invalid-request"), wrong.text
    assert 'attention_requests_total{method="POST",route="/v1/norms",status="200"} 1.0' in counted, counted
    operation = document["paths"]["/v1/norms"]["post"]
    assert operation["operationId"] == "measure", operation
    content = operation["responses"]["200"]["content"]
    assert content["application/json"]["example"] == {"norms": [5.0]}, content
    assert set(content) == {"application/json", "application/vnd.safetensors"}, content
    components = {name for name in document["components"]["schemas"] if "Norms" in name}
    assert components == {"NormsRequest", "NormsResponse"}, components


asyncio.run(main())
assert "| `POST /v1/norms` | The length of each vector. |" in Path("docs/reference/endpoints.md").read_text()
assert "| `POST /v1/norms` | 每个向量的长度。 |" in Path("docs/reference/endpoints.zh-CN.md").read_text()
"""

ADDITION = Addition(
    edits=(
        Edit("service/schemas/norms.py", SCHEMA),
        Edit("service/compute/norms.py", COMPUTE),
        Edit(RECORDS, "from service.compute.norms import prepare_norms\n", before="from service.schemas.attention"),
        Edit(
            RECORDS,
            "from service.schemas.norms import NormsRequest, NormsResponse\n",
            before="from service.schemas.results",
        ),
        Edit(
            RECORDS,
            "from service.specification.examples import described\n",
            before="from service.specification.examples import NamedExamples",
        ),
        Edit(RECORDS, RECORD, before='    Endpoint(\n        path="/v1/attention",'),
    ),
    max_files=3,
    generated=(*pages_of("endpoints"), "openapi/openapi.json", "service/specification/answers.json"),
    proof=PROOF,
    tests=(
        "tests/promises/test_generated.py",
        "tests/service/test_endpoints.py",
        "tests/service/test_specification.py::test_the_file_is_what_the_command_prints",
        "tests/service/test_specification.py::test_it_is_valid_openapi",
    ),
)
