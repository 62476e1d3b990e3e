"""Attention as a model of KServe, with its own arrays; raw tensors where they are asked for.

python kserve_server.py PORT
"""

import sys

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from maths import attention

DATATYPES = {"float32": "FP32", "float64": "FP64"}


class Attention(Model):
    """Answers those outputs that are asked for."""

    def __init__(self) -> None:
        """Be ready at once."""
        super().__init__("attention")
        self.ready = True

    async def predict(
        self,
        payload: InferRequest,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> InferResponse:
        """Attend."""
        inputs = {one.name: one.as_numpy() for one in payload.inputs}
        arrays = attention(inputs["query"], inputs["key"], inputs["value"])
        wanted = [one.name for one in payload.request_outputs or []] or list(arrays)
        outputs = []
        for name in wanted:
            array = arrays[name]
            output = InferOutput(name, list(array.shape), DATATYPES[array.dtype.name])
            output.set_data_from_numpy(array, binary_data=payload.use_binary_outputs)
            outputs.append(output)
        return InferResponse(
            payload.id,
            self.name,
            outputs,
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )


if __name__ == "__main__":
    ModelServer(http_port=int(sys.argv[1]), workers=1, enable_grpc=False).start([Attention()])
