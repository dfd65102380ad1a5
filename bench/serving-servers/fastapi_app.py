"""Models as the Open Inference Protocol has them, on FastAPI and onnxruntime. Usage: fastapi_app.py <port> <model> <workers>

The model is `digits`. PICTURE_MODEL may be the path of one that takes pictures as tensors.
"""
import os
import sys

import numpy as np
import onnxruntime
import orjson
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response

# The workers that uvicorn starts import this file again, and have no arguments.
if len(sys.argv) > 2:
    os.environ.setdefault("DIGITS_MODEL", sys.argv[2])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.add_session_config_entry("session.intra_op.allow_spinning", "0")
session = onnxruntime.InferenceSession(os.environ["DIGITS_MODEL"], options)
picture = onnxruntime.InferenceSession(os.environ["PICTURE_MODEL"], options) if "PICTURE_MODEL" in os.environ else None
app = FastAPI()


@app.get("/v2/health/live")
async def live():
    return Response(b"{}", media_type="application/json")


@app.post("/v2/models/picture/infer")
async def infer_picture(request: Request):
    body = orjson.loads(await request.body())["inputs"][0]
    (means,) = picture.run(["y"], {"x": np.array(body["data"], np.float32).reshape(body["shape"])})
    output = {"name": "y", "datatype": "FP32", "shape": means.shape, "data": means.ravel().tolist()}
    return Response(orjson.dumps({"model_name": "picture", "model_version": "1", "outputs": [output]}), media_type="application/json")


# The fastest form here: the body is read by hand with orjson, since pydantic's models cost more than the model.
@app.post("/v2/models/digits/infer")
async def infer(request: Request):
    body = orjson.loads(await request.body())["inputs"][0]
    label, probabilities = session.run(["label", "probabilities"], {"image": np.array(body["data"], np.float32).reshape(body["shape"])})
    answer = orjson.dumps(
        {
            "model_name": "digits",
            "model_version": "1",
            "outputs": [
                {"name": "label", "datatype": "INT64", "shape": label.shape, "data": label.tolist()},
                {"name": "probabilities", "datatype": "FP32", "shape": probabilities.shape, "data": probabilities.ravel().tolist()},
            ],
        }
    )
    return Response(answer, media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(
        "fastapi_app:app",
        host="127.0.0.1",
        port=int(sys.argv[1]),
        workers=int(sys.argv[3]),
        loop="uvloop",
        http="httptools",
        log_level="error",
        access_log=False,
    )
