"""`digits` on MLServer and onnxruntime, as a custom runtime: MLServer has none for ONNX."""
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Digits(MLModel):
    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(self.settings.parameters.uri, options)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        image = NumpyCodec.decode_input(payload.inputs[0])
        label, probabilities = self._session.run(["label", "probabilities"], {"image": image})
        outputs = [NumpyCodec.encode_output("label", label), NumpyCodec.encode_output("probabilities", probabilities)]
        return InferenceResponse(model_name="digits", model_version="1", outputs=outputs)
