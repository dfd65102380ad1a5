"""Asks a Vestal server with KServe's Python client for the v2 REST protocol. Usage: kserve_client.py <base> <token>; prints JSON."""
import asyncio
import json
import sys

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

base, token = sys.argv[1:3]
# Its client writes what one request needs into the headers that it was given, so each has its own.
headers = {"Authorization": f"Bearer {token}"}
flowers = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], dtype=np.float32)


async def main():
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=1))
    seen = {
        "live": await client.is_server_live(base),
        "ready": await client.is_server_ready(base),
        "model_ready": await client.is_model_ready(base, "iris", headers=dict(headers)),
    }
    for is_binary in (False, True):
        tensor = InferInput("X", list(flowers.shape), "FP32")
        tensor.set_data_from_numpy(flowers, binary_data=is_binary)
        outputs = [RequestedOutput(name, parameters={"binary_data": is_binary}) for name in ("label", "probabilities")]
        request = InferRequest(model_name="iris", infer_inputs=[tensor], request_outputs=outputs)
        answer = await client.infer(base, request, model_name="iris", headers=dict(headers))
        label, probabilities = answer.outputs
        seen["binary" if is_binary else "json"] = [label.as_numpy().tolist(), list(probabilities.as_numpy().shape)]
    try:
        tensor = InferInput("X", [1, 2], "FP32")
        tensor.set_data_from_numpy(flowers[:1, :2], binary_data=False)
        await client.infer(base, InferRequest(model_name="iris", infer_inputs=[tensor]), model_name="iris", headers=dict(headers))
        seen["refused"] = "accepted"
    except Exception as error:
        seen["refused"] = str(error).split(". Expected")[0]
    await client.close()
    print(json.dumps(seen))


asyncio.run(main())
