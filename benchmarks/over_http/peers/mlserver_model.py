"""Attention as a model of MLServer, with its own codec for NumPy arrays."""

from maths import attention
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Attention(MLModel):
    """Answers those outputs that are asked for."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Attend."""
        inputs = {one.name: NumpyCodec.decode_input(one) for one in payload.inputs}
        arrays = attention(inputs["query"], inputs["key"], inputs["value"])
        wanted = [one.name for one in payload.outputs or []] or list(arrays)
        outputs = [NumpyCodec.encode_output(name, arrays[name]) for name in wanted]
        return InferenceResponse(model_name=self.name, outputs=outputs)
