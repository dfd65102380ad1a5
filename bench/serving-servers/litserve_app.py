"""`digits` on LitServe and onnxruntime. Usage: litserve_app.py <port> <model> <workers>"""
import sys

import litserve
import numpy as np
import onnxruntime

port, model, workers = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


class Digits(litserve.LitAPI):
    def setup(self, device):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options)

    def decode_request(self, request):
        body = request["inputs"][0]
        return np.array(body["data"], np.float32).reshape(body["shape"])

    def predict(self, image):
        return self.session.run(["label", "probabilities"], {"image": image})

    def encode_response(self, output):
        label, probabilities = output
        return {
            "model_name": "digits",
            "model_version": "1",
            "outputs": [
                {"name": "label", "datatype": "INT64", "shape": label.shape, "data": label.tolist()},
                {"name": "probabilities", "datatype": "FP32", "shape": probabilities.shape, "data": probabilities.ravel().tolist()},
            ],
        }


if __name__ == "__main__":
    server = litserve.LitServer(Digits(api_path="/v2/models/digits/infer"), accelerator="cpu", workers_per_device=workers)
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="error")
