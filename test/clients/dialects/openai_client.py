"""openai for Python, which asks for base64 unless it is told otherwise."""

import struct

from openai import OpenAI
from seen import BASE, BUSY, OTHER, TOKEN, WRONG, failure, tell


def client(base=BASE + "/v1", token=TOKEN):
    return OpenAI(base_url=base, api_key=token, max_retries=0)


def embed(of, model="minilm", **more):
    return of.embeddings.create(model=model, input=["good", "bad"], **more)


def singles(answer):
    """The numbers as 32-bit floats, which both forms have in full."""
    return [struct.pack(f"<{len(each.embedding)}f", *each.embedding) for each in answer.data]


default, floats = embed(client()), embed(client(), encoding_format="float")
one = embed(client(BASE + "/models/minilm/v1"), model="anything")
tell(
    {
        "same": singles(default) == singles(floats),
        "one": singles(one) == singles(floats),
        "length": len(default.data[0].embedding),
        "usage": [default.usage.prompt_tokens, default.usage.total_tokens],
        "short": len(embed(client(), dimensions=2).data[0].embedding),
        "models": [each.id for each in client().models.list()],
        "retrieved": client().models.retrieve("minilm").id,
        "some": [each.id for each in client(token=OTHER).models.list()],
        "wrong": failure(lambda: embed(client(token=WRONG))),
        "other": failure(lambda: embed(client(token=OTHER))),
        "other_unknown": failure(lambda: embed(client(token=OTHER), model="nothing")),
        "unknown": failure(lambda: embed(client(), model="nothing")),
        "task": failure(lambda: embed(client(), model="mood")),
        "busy": failure(lambda: embed(client(BUSY + "/v1"))),
        "ids": failure(lambda: client().embeddings.create(model="minilm", input=[[5, 6]])),
        "empty": failure(lambda: client().embeddings.create(model="minilm", input="")),
    }
)
