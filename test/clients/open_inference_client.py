"""Asks a Vestal server with the client that the protocol's own working group publishes. Usage: open_inference_client.py <base> <token>; prints JSON."""
import asyncio
import json
import sys

import httpx
from open_inference.openapi.client import AsyncOpenInferenceClient, OpenInferenceClient
from open_inference.openapi.core.api_error import ApiError
from open_inference.openapi.types import InferenceRequest, RequestInput

base, token = sys.argv[1:3]
headers = {"Authorization": f"Bearer {token}"}
client = OpenInferenceClient(base_url=base, httpx_client=httpx.Client(headers=headers))
flowers = RequestInput(name="X", shape=[2, 4], datatype="FP32", data=[5.1, 3.5, 1.4, 0.2, 6.7, 3.0, 5.2, 2.3])
request = InferenceRequest(id="7", inputs=[flowers])


def labels(answer):
    return [answer.id, answer.model_name, answer.model_version, {each.name: list(each.shape) for each in answer.outputs}, answer.outputs[0].data.__root__]


def refused(work):
    try:
        work()
        return "accepted"
    except ApiError as error:
        return [type(error).__name__, error.status_code, error.body["error"]]


client.check_server_liveness()
client.check_server_readiness()
client.check_model_readiness("iris")
client.check_model_version_readiness("iris", "1")
metadata = [client.read_model_metadata("iris"), client.read_model_version_metadata("iris", "1")]
seen = {
    "server": client.read_server_metadata().name,
    "metadata": [[each.name, each.versions, each.platform, each.inputs[0].shape] for each in metadata],
    "infer": [labels(client.model_infer("iris", request=request)), labels(client.model_version_infer("iris", "1", request=request))],
    "unknown": refused(lambda: client.check_model_readiness("nothing")),
    "version": refused(lambda: client.check_model_version_readiness("iris", "9")),
    "wrong": refused(lambda: client.model_infer("iris", request=InferenceRequest(inputs=[]))),
    "stranger": refused(lambda: OpenInferenceClient(base_url=base).read_server_metadata()),
}


async def with_async():
    other = AsyncOpenInferenceClient(base_url=base, httpx_client=httpx.AsyncClient(headers=headers))
    await other.check_model_readiness("iris")
    return labels(await other.model_infer("iris", request=request))


seen["async"] = asyncio.run(with_async())
print(json.dumps(seen))
