"""`digits` on BentoML and onnxruntime; the model's path is in DIGITS_MODEL."""
import os

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=int(os.environ.get("DIGITS_WORKERS", "1")), traffic={"timeout": 60})
class Digits:
    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["DIGITS_MODEL"], options)

    @bentoml.api(route="/v2/models/digits/infer")
    async def infer(self, inputs: list[dict]) -> dict:
        body = inputs[0]
        image = np.array(body["data"], np.float32).reshape(body["shape"])
        label, probabilities = self.session.run(["label", "probabilities"], {"image": image})
        return {
            "model_name": "digits",
            "model_version": "1",
            "outputs": [
                {"name": "label", "datatype": "INT64", "shape": list(label.shape), "data": label.tolist()},
                {"name": "probabilities", "datatype": "FP32", "shape": list(probabilities.shape), "data": probabilities.ravel().tolist()},
            ],
        }
