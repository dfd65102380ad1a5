"""Embeddings of texts and classes of pictures on FastAPI, tokenizers, Pillow and onnxruntime. Usage: fastapi_tasks.py <port> <models> <workers> <threads> <spinning>"""

import asyncio
import io
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

# The workers that uvicorn starts import this file again, and have no arguments.
if len(sys.argv) > 5:
    os.environ.update(BENCH_MODELS=sys.argv[2], BENCH_THREADS=sys.argv[4], BENCH_SPINNING=sys.argv[5])
# One text is encoded at a time, and threads of its own would take the cores from the model.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import onnxruntime
import orjson
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response
from PIL import Image
from tokenizers import Tokenizer

MODELS = Path(os.environ["BENCH_MODELS"])
THREADS = int(os.environ["BENCH_THREADS"])
# The rules by which Vestal forms its runs.
ROWS_MAX, TOKENS_MAX, PADDING_MAX = 32, 1024, 24
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


class Batcher:
    """Runs that share what waits: one run at a time, the nearest lengths together."""

    def __init__(self, compute):
        self.compute, self.waiting, self.woken, self.thread = compute, [], asyncio.Event(), ThreadPoolExecutor(1)

    async def infer(self, item, length=1):
        answer = asyncio.get_running_loop().create_future()
        self.waiting.append((length, item, answer))
        self.woken.set()
        return await answer

    def take(self):
        first = self.waiting[0]
        batch, longest = [first], first[0]
        for each in sorted(self.waiting[1:], key=lambda one: abs(one[0] - first[0])):
            longer = max(longest, each[0])
            padding = (longer - longest) * len(batch) + longer - each[0]
            if len(batch) == ROWS_MAX or (len(batch) + 1) * longer > TOKENS_MAX:
                break
            if padding <= PADDING_MAX:
                batch.append(each)
                longest = longer
        taken = {id(each) for each in batch}
        self.waiting = [each for each in self.waiting if id(each) not in taken]
        return batch

    async def serve(self):
        while True:
            await self.woken.wait()
            batch = self.take()
            if not self.waiting:
                self.woken.clear()
            try:
                results = await asyncio.get_running_loop().run_in_executor(self.thread, self.compute, [item for _, item, _ in batch])
            except Exception as error:
                for _, _, answer in batch:
                    answer.set_exception(error)
                continue
            for (_, _, answer), result in zip(batch, results):
                answer.set_result(result)


def load(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.add_session_config_entry("session.intra_op.allow_spinning", os.environ["BENCH_SPINNING"])
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def text_model(folder):
    limit = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(limit)
    session = load(folder / "onnx/model.onnx")
    names = {each.name for each in session.get_inputs()}

    def compute(rows):
        shape = (len(rows), max(len(ids) for ids in rows))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros(shape, np.int64)}
        hidden = session.run(None, {name: value for name, value in inputs.items() if name in names})[0]
        weights = mask[:, None, :].astype(np.float32)
        means = np.matmul(weights, hidden)[:, 0] / weights.sum(2)
        return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)

    return tokenizer, Batcher(compute)


def image_model(folder):
    session = load(folder / "1/model.onnx")
    return Batcher(lambda rows: session.run(["scores"], {"x": np.stack(rows)})[0])


def pixels(body):
    picture = Image.open(io.BytesIO(body)).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    values = (np.asarray(picture, np.float32) * np.float32(1 / 255) - MEAN) / STD
    return np.ascontiguousarray(values.transpose(2, 0, 1))


@asynccontextmanager
async def lifespan(_):
    # Beside the threads of the models: Pillow gives the interpreter's lock up while it decodes and resizes.
    app.state.decoders = ThreadPoolExecutor(THREADS)
    app.state.images = image_model(MODELS / "pictures")
    batchers = [app.state.images]
    if (MODELS / "minilm").exists():
        app.state.tokenizer, app.state.texts = text_model(MODELS / "minilm")
        batchers.append(app.state.texts)
    tasks = [asyncio.create_task(batcher.serve()) for batcher in batchers]
    yield
    for task in tasks:
        task.cancel()


app = FastAPI(lifespan=lifespan)


def answer_with(output):
    return Response(orjson.dumps({"output": output}, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")


@app.post("/models/minilm/predict/")
async def embed(request: Request):
    text = orjson.loads(await request.body())["input"]
    ids = app.state.tokenizer.encode(text.strip()).ids
    return answer_with(await app.state.texts.infer(ids, len(ids)))


@app.post("/models/pictures/predict/")
async def classify(request: Request):
    body = await request.body()
    row = await asyncio.get_running_loop().run_in_executor(app.state.decoders, pixels, body)
    scores = await app.state.images.infer(row)
    exps = np.exp(scores - scores.max())
    shares = exps / exps.sum()
    return answer_with([{"label": f"class-{index}", "score": float(shares[index])} for index in np.argsort(-shares)[:5]])


if __name__ == "__main__":
    uvicorn.run(
        "fastapi_tasks:app",
        host="127.0.0.1",
        port=int(sys.argv[1]),
        workers=int(sys.argv[3]),
        loop="uvloop",
        http="httptools",
        log_level="error",
        access_log=False,
    )
