"""`digits` on Ray Serve and onnxruntime. Usage: ray_app.py <port> <model> <replicas>"""
import os
import shutil
import sys
import time

# What Ray's page on high throughput asks for; its faster ingress needs the program haproxy. No reports of use, and no token for loopback.
os.environ.update({"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"})
if shutil.which("haproxy"):
    os.environ["RAY_SERVE_ENABLE_HA_PROXY"] = "1"

import numpy as np
import onnxruntime
import orjson
import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

port, model, replicas = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


@serve.deployment(num_replicas=replicas, max_ongoing_requests=100, ray_actor_options={"num_cpus": 0})
class Digits:
    def __init__(self, path: str):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options)

    async def __call__(self, request: Request) -> Response:
        body = orjson.loads(await request.body())["inputs"][0]
        label, probabilities = self.session.run(["label", "probabilities"], {"image": np.array(body["data"], np.float32).reshape(body["shape"])})
        answer = {
            "model_name": "digits",
            "model_version": "1",
            "outputs": [
                {"name": "label", "datatype": "INT64", "shape": label.shape, "data": label.tolist()},
                {"name": "probabilities", "datatype": "FP32", "shape": probabilities.shape, "data": probabilities.ravel().tolist()},
            ],
        }
        return Response(orjson.dumps(answer), media_type="application/json")


if __name__ == "__main__":
    ray.init(include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Digits.bind(model), name="digits", route_prefix="/v2/models/digits/infer", logging_config={"enable_access_log": False})
    while True:
        time.sleep(3600)
