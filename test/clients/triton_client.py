"""Asks a Vestal server what a tritonclient script asks of Triton. Usage: triton_client.py <host:port> <token>; prints JSON."""
import json
import sys

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

address, token = sys.argv[1:3]
headers = {"Authorization": f"Bearer {token}"}
client = triton.InferenceServerClient(address)
seen = {}


def infer(model, arrays, outputs, **options):
    inputs = []
    for name, (array, datatype) in arrays.items():
        tensor = triton.InferInput(name, list(array.shape), datatype)
        tensor.set_data_from_numpy(array, binary_data=False)
        inputs.append(tensor)
    asked = [triton.InferRequestedOutput(name, binary_data=False) for name in outputs]
    return client.infer(model, inputs, outputs=asked, headers=options.pop("headers", headers), **options)


seen["live"] = client.is_server_live()
seen["ready"] = client.is_server_ready()
seen["model_ready"] = client.is_model_ready("iris", headers=headers)
seen["server"] = client.get_server_metadata(headers=headers)["name"]
seen["inputs"] = client.get_model_metadata("iris", headers=headers)["inputs"]

flowers = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], dtype=np.float32)
answer = infer("iris", {"X": (flowers, "FP32")}, ["label", "probabilities"], request_id="7", model_version="1")
seen["labels"] = answer.as_numpy("label").tolist()
seen["probabilities"] = list(answer.as_numpy("probabilities").shape)
seen["id"] = answer.get_response()["id"]

texts = np.array(["I would buy it again", "It broke on the first day"], dtype=np.object_)
seen["reviews"] = infer("reviews", {"text": (texts, "BYTES")}, ["label"]).as_numpy("label").tolist()

ones = np.ones((1, 16), dtype=np.int32)
sums = infer("simple", {"INPUT0": (ones * 3, "INT32"), "INPUT1": (ones, "INT32")}, ["OUTPUT0", "OUTPUT1"])
seen["simple"] = [int(sums.as_numpy(name)[0][0]) for name in ("OUTPUT0", "OUTPUT1")]


def refused(work):
    try:
        work()
        return "accepted"
    except InferenceServerException as error:
        return [error.status(), error.message()]


seen["no_token"] = refused(lambda: client.get_model_metadata("iris"))
seen["unknown"] = refused(lambda: client.get_model_metadata("nothing", headers=headers))
seen["wrong_shape"] = refused(lambda: infer("iris", {"X": (flowers[:, :2], "FP32")}, ["label"]))
print(json.dumps(seen))
