"""Asks a Vestal server for what Triton adds to the protocol, with tritonclient sync, async and aio. Usage: triton_extensions.py <host:port> <token>."""
import asyncio
import json
import sys

import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

address, token = sys.argv[1:3]
headers = {"Authorization": f"Bearer {token}"}
flowers = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], dtype=np.float32)
OUTPUTS = ["label", "probabilities"]
seen = {}


# tritonclient writes what one request needs into the headers that it was given, so each inference has its own.
def arguments(module, is_binary_in, is_binary_out):
    tensor = module.InferInput("X", list(flowers.shape), "FP32")
    tensor.set_data_from_numpy(flowers, binary_data=is_binary_in)
    outputs = None if is_binary_out is None else [module.InferRequestedOutput(name, binary_data=is_binary_out) for name in OUTPUTS]
    return {"model_name": "iris", "inputs": [tensor], "outputs": outputs, "headers": dict(headers)}


def summary(answer):
    return [answer.as_numpy("label").tolist(), list(answer.as_numpy("probabilities").shape)]


client = triton.InferenceServerClient(address, concurrency=4)
seen["forms"] = [summary(client.infer(**arguments(triton, i, o))) for i in (False, True) for o in (False, True, None)]
seen["compressed"] = [
    summary(client.infer(**arguments(triton, True, True), request_compression_algorithm=a, response_compression_algorithm=b))
    for a in (None, "gzip", "deflate")
    for b in (None, "gzip", "deflate")
]
seen["async"] = [summary(pending.get_result()) for pending in [client.async_infer(**arguments(triton, True, True)) for _ in range(8)]]

first, second = (np.arange(16, dtype=np.int32).reshape(1, 16) * factor for factor in (1, 2))
mixed = [triton.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
mixed[0].set_data_from_numpy(first, binary_data=False)
mixed[1].set_data_from_numpy(second, binary_data=True)
answer = client.infer("simple", mixed, outputs=[triton.InferRequestedOutput("OUTPUT0", binary_data=True), triton.InferRequestedOutput("OUTPUT1", binary_data=False)], headers=dict(headers))
seen["mixed"] = [bool((answer.as_numpy("OUTPUT0") == first + second).all()), bool((answer.as_numpy("OUTPUT1") == first - second).all())]

texts = triton.InferInput("text", [2], "BYTES")
texts.set_data_from_numpy(np.array(["I would buy it again", "It broke on the first day"], dtype=np.object_))
seen["bytes"] = client.infer("reviews", [texts], headers=dict(headers)).as_numpy("label").tolist()

classes = client.infer(**{**arguments(triton, True, True), "outputs": [triton.InferRequestedOutput("probabilities", class_count=1)]})
seen["classes"] = [text.decode().split(":")[1] for text in classes.as_numpy("probabilities").flatten()]
seen["parameters"] = summary(client.infer(**arguments(triton, True, True), priority=1, timeout=5_000_000, parameters={"custom": "a"}, request_id="9"))

seen["config"] = client.get_model_config("iris", headers=headers)["input"][0]["name"]
statistics = client.get_inference_statistics("iris", headers=headers)["model_stats"][0]
seen["statistics"] = [statistics["name"], statistics["version"], statistics["inference_count"] > 0, sorted(statistics["inference_stats"])]
seen["all_statistics"] = sorted(entry["name"] for entry in client.get_inference_statistics(headers=headers)["model_stats"])
index = lambda: {entry["name"]: entry["state"] for entry in client.get_model_repository_index(headers=headers)}
seen["index"] = index()
client.unload_model("digits", headers=headers)
seen["unloaded"] = [client.is_model_ready("digits", headers=headers), index()["digits"] in ("UNLOADING", "UNAVAILABLE")]
client.load_model("digits", headers=headers)
seen["loaded"] = [client.is_model_ready("digits", headers=headers), index()["digits"]]


def refused(work):
    try:
        work()
        return "accepted"
    except InferenceServerException as error:
        return error.status()


seen["refused"] = {
    "unknown": refused(lambda: client.load_model("nothing", headers=headers)),
    "stranger": refused(lambda: client.unload_model("iris")),
    "shared_memory": refused(lambda: client.get_system_shared_memory_status(headers=headers)),
    "trace": refused(lambda: client.get_trace_settings(headers=headers)),
    "logging": refused(lambda: client.get_log_settings(headers=headers)),
}


async def with_aio():
    async with triton_aio.InferenceServerClient(address) as aio:
        answers = await asyncio.gather(*[aio.infer(**arguments(triton_aio, i, o)) for i in (False, True) for o in (False, True, None)])
        packed = await aio.infer(**arguments(triton_aio, True, True), request_compression_algorithm="gzip", response_compression_algorithm="deflate")
        await aio.load_model("digits", headers=headers)
        names = sorted(entry["name"] for entry in await aio.get_model_repository_index(headers=headers))
        ready = await aio.is_model_ready("iris", headers=headers)
        metadata = await aio.get_model_metadata("iris", headers=headers)
        return [[summary(answer) for answer in answers], summary(packed), names, ready, metadata["name"]]


seen["aio"] = asyncio.run(with_aio())
print(json.dumps(seen))
