"""What Python computes with texts, for text-truth.test.ts: a question as JSON comes in, the answer goes out.

{"tokenizer": path, "texts": []} → ids and offsets (in UTF-16 units) by the library `tokenizers`
{"folder": path, "texts": []} → vectors as sentence-transformers computes them for a folder with mean pooling and normalisation
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer


def units(text):
    """Where each code point begins in UTF-16 units, and where the text ends."""
    places = [0]
    for character in text:
        places.append(places[-1] + (2 if ord(character) > 0xFFFF else 1))
    return places


def tokens(path, texts):
    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    answers = []
    for text in texts:
        encoding = tokenizer.encode(text)
        places = units(text)
        answers.append([encoding.ids, [[places[begin], places[end]] for begin, end in encoding.offsets]])
    return answers


def vectors(folder, texts):
    folder = Path(folder)
    limit = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(limit)
    session = onnxruntime.InferenceSession(str(folder / "onnx/model.onnx"), providers=["CPUExecutionProvider"])
    answers = []
    for text in texts:
        encoding = tokenizer.encode(text.strip())
        inputs = {
            "input_ids": np.array([encoding.ids], dtype=np.int64),
            "attention_mask": np.array([encoding.attention_mask], dtype=np.int64),
            "token_type_ids": np.array([encoding.type_ids], dtype=np.int64),
        }
        names = {each.name for each in session.get_inputs()}
        hidden = session.run(None, {name: value for name, value in inputs.items() if name in names})[0]
        mask = inputs["attention_mask"][:, :, None].astype(np.float32)
        mean = (hidden * mask).sum(1) / np.clip(mask.sum(1), 1e-9, None)
        answers.append((mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12))[0].tolist())
    return answers


question = json.load(sys.stdin)
answer = tokens(question["tokenizer"], question["texts"]) if "tokenizer" in question else vectors(question["folder"], question["texts"])
json.dump(answer, sys.stdout)
