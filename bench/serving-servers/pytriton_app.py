"""`digits` behind Triton's own front end, as PyTriton starts it, and onnxruntime. Usage: pytriton_app.py <port> <model> <workers>"""
import os
import sys
import sysconfig

# Triton's process for Python loads the library of the same minor version that it finds first, which must be that of this Python.
libraries = sysconfig.get_config_var("LIBDIR") or ""
if not os.environ.get("LD_LIBRARY_PATH", "").startswith(libraries):
    os.environ["LD_LIBRARY_PATH"] = ":".join(filter(None, [libraries, os.environ.get("LD_LIBRARY_PATH")]))
    os.execv(sys.executable, [sys.executable, *sys.argv])

import numpy as np
import onnxruntime
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

port, model, workers = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


def worker():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options)

    @batch
    def infer(image):
        label, probabilities = session.run(["label", "probabilities"], {"image": image})
        return {"label": label.reshape(-1, 1), "probabilities": probabilities}

    return infer


if __name__ == "__main__":
    config = TritonConfig(http_address="127.0.0.1", http_port=port, grpc_address="127.0.0.1", grpc_port=port + 1, metrics_port=port + 2)
    with Triton(config=config) as triton:
        triton.bind(
            model_name="digits",
            infer_func=[worker() for _ in range(workers)],
            inputs=[Tensor(name="image", dtype=np.float32, shape=(64,))],
            outputs=[Tensor(name="label", dtype=np.int64, shape=(1,)), Tensor(name="probabilities", dtype=np.float32, shape=(10,))],
            config=ModelConfig(max_batch_size=64, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
        )
        triton.serve()
