"""cohere's second version for Python."""

import base64
import struct

import cohere
from cohere.core.request_options import RequestOptions
from seen import BASE, BUSY, OTHER, TOKEN, WRONG, failure, tell

ONCE = RequestOptions(max_retries=0)


def client(base=BASE, token=TOKEN):
    return cohere.ClientV2(api_key=token, base_url=base)


def embed(of, model="minilm", types=("float",), **more):
    return of.embed(
        model=model,
        texts=["good", "bad"],
        input_type="classification",
        embedding_types=list(types),
        request_options=ONCE,
        **more,
    )


def rerank(of, model="ranker", **more):
    return of.rerank(model=model, query="alpha", documents=["bad", "good"], request_options=ONCE, **more)


all_types = embed(client(), types=("float", "base64", "binary", "ubinary")).embeddings
ranks = rerank(client(BASE + "/models/ranker"), top_n=1)
unpacked = [list(struct.unpack("<3f", base64.b64decode(text))) for text in all_types.base64]
tell(
    {
        "near": max(abs(a - b) for one, two in zip(unpacked, all_types.float_) for a, b in zip(one, two)) < 1e-6,
        "bits": [all_types.binary, all_types.ubinary],
        "short": len(embed(client(), output_dimension=2).embeddings.float_[0]),
        "tokens": embed(client()).meta.billed_units.input_tokens,
        "ranks": [[each.index, round(each.relevance_score, 4)] for each in ranks.results],
        "wrong": failure(lambda: embed(client(token=WRONG))),
        "other": failure(lambda: rerank(client(token=OTHER))),
        "other_unknown": failure(lambda: rerank(client(token=OTHER), model="nothing")),
        "unknown": failure(lambda: rerank(client(), model="nothing")),
        "task": failure(lambda: rerank(client(), model="minilm")),
        "busy": failure(lambda: embed(client(BUSY))),
        "int8": failure(lambda: embed(client(), types=("int8",))),
    }
)
