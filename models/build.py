#!/usr/bin/env python3
"""Trains the four bundled models and the two classifiers of examples/, and writes their files. The same inputs give the same bytes, on any processor: what is trained has one
solution, which is found to many more digits than are kept.

    pip install -r requirements.txt
    python build.py            writes models/<name>/1/model.onnx, what examples/ has of models, and checksums.sha256
    python build.py --check    builds into a temporary folder and compares with checksums.sha256
"""
import argparse
import hashlib
import json
import os
import pathlib
import struct
import sys
import tempfile
import warnings
import zlib

# One thread: sums are then always taken in the same order.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

os.environ["TOKENIZERS_PARALLELISM"] = "false"

# Names inside a graph follow the order of sets, which Python shuffles from run to run unless it is told not to.
if os.environ.get("PYTHONHASHSEED") != "0":
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.datasets import load_digits, load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import BPE

HERE = pathlib.Path(__file__).parent
SEED = 20261123
OPSETS = {"": 17, "ai.onnx.ml": 1}


def convert(name, model, inputs, options=None):
    converted = convert_sklearn(
        model, name=name, initial_types=inputs, options=options, target_opset=OPSETS, doc_string=""
    )
    return finish(converted)


def finish(model):
    model.producer_name = "vestal"
    model.producer_version = ""
    model.doc_string = ""
    model.ir_version = min(model.ir_version, 8)
    onnx.checker.check_model(model)
    return model


def split(x, y):
    return train_test_split(x, y, test_size=0.25, random_state=SEED, stratify=y)


def accuracy(model, name, x, y):
    """Accuracy of the ONNX file itself on the held-out part, as a server would run it."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    labels = session.run(["label"], {name: x})[0]
    return float(np.mean(labels == y)), len(y)


def regression(strength):
    """Logistic regression, solved by Newton's method until nothing moves any more."""
    return LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-8, max_iter=200)


def settle(numbers):
    """Numbers without the last digits, which depend on the order in which a processor's library takes its sums."""
    return np.round(numbers * 2**16) / 2**16


def settle_all(pipeline):
    """Settles what a scaler and a regression have learned."""
    for step in pipeline:
        for name in ("mean_", "scale_", "coef_", "intercept_"):
            if hasattr(step, name):
                setattr(step, name, settle(getattr(step, name)))
    return pipeline


def iris():
    x, y = load_iris(return_X_y=True)
    train_x, test_x, train_y, test_y = split(x.astype(np.float32), y)
    pipeline = settle_all(make_pipeline(StandardScaler(), regression(1)).fit(train_x, train_y))
    model = convert("iris", pipeline, [("X", FloatTensorType([None, 4]))], {"zipmap": False})
    return model, accuracy(model, "X", test_x, test_y)


HIDDEN = 128
PATCH = 6


def hidden_layer():
    """Weights [64, HIDDEN] and biases [HIDDEN]: each unit looks at a square of the image with weights drawn from the seed. All are
    multiples of 1/64, and so are the sums over an image's whole numbers: the layer's output is exact."""
    random = np.random.RandomState(SEED)
    weights = np.zeros((8, 8, HIDDEN))
    for unit in range(HIDDEN):
        row, column = random.randint(0, 9 - PATCH, 2)
        weights[row : row + PATCH, column : column + PATCH, unit] = np.round(random.randn(PATCH, PATCH) * 8) / 64
    return weights.reshape(64, HIDDEN), np.round(random.uniform(-4, 4, HIDDEN) * 16) / 16


def train_digits(train_x, train_y):
    """The hidden layer's weights and biases, and the last layer."""
    weights, biases = hidden_layer()
    # Training both layers by gradient descent gives other bytes on other processors; training the last one alone has one solution.
    last = settle_all([regression(0.1).fit(np.maximum(train_x @ weights + biases, 0), train_y)])[0]
    return weights, biases, last


def digits():
    x, y = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = split(x, y)
    weights, biases, last = train_digits(train_x, train_y)
    # One step of training gives the network its shape; its numbers are then replaced.
    network = MLPClassifier(hidden_layer_sizes=(HIDDEN,), max_iter=1, random_state=SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.fit(train_x, train_y)
    network.coefs_ = [weights, last.coef_.T]
    network.intercepts_ = [biases, last.intercept_]
    model = convert("digits", network, [("image", FloatTensorType([None, 64]))], {"zipmap": False})
    return model, accuracy(model, "image", test_x.astype(np.float32), test_y)


def read_reviews(file):
    """Texts and labels of a file: label, tab, text."""
    rows = [line.split("\t") for line in (HERE / "reviews" / file).read_text(encoding="utf-8").splitlines()]
    return np.array([text for _, text in rows], dtype=object), np.array([int(label) for label, _ in rows], dtype=np.int64)


def reviews():
    texts, y = read_reviews("corpus.tsv")
    train_x, test_x, train_y, test_y = split(texts, y)
    # Phrases are for training alone: what is measured is whole reviews that the training has not seen.
    phrases, phrase_y = read_reviews("phrases.tsv")
    train_x, train_y = np.concatenate([train_x, phrases]), np.concatenate([train_y, phrase_y])
    vectorizer = TfidfVectorizer(lowercase=True, ngram_range=(1, 2), token_pattern="[a-zA-Z]+", sublinear_tf=True)
    pipeline = make_pipeline(vectorizer, regression(20)).fit(train_x, train_y)
    vectorizer.idf_ = settle(vectorizer.idf_)
    settle_all(pipeline[1:])
    # A vector of texts, not a column of them: the shape [-1] is what clients send most simply.
    options = {id(vectorizer): {"tokenexp": "[a-zA-Z]+"}, id(pipeline): {"zipmap": False}}
    model = convert("reviews", pipeline, [("text", StringTensorType([None]))], options)
    # The default is en_US.UTF-8, which many machines do not have; lower case of ASCII is all that the tokens need.
    for node in model.graph.node:
        if node.op_type == "StringNormalizer":
            kept = [a for a in node.attribute if a.name != "locale"]
            del node.attribute[:]
            node.attribute.extend([*kept, helper.make_attribute("locale", "C")])
    return model, accuracy(model, "text", test_x, test_y)


def simple():
    shape = ["batch", 16]
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]),
            helper.make_node("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"]),
        ],
        "simple",
        [helper.make_tensor_value_info(name, TensorProto.INT32, shape) for name in ("INPUT0", "INPUT1")],
        [helper.make_tensor_value_info(name, TensorProto.INT32, shape) for name in ("OUTPUT0", "OUTPUT1")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return finish(model), None


def digit_pictures():
    """The network of digits for pictures: dark ink on white paper, at the 8 by 8 pixels that the data has. Beside it a digit to try it with."""
    x, y = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = split(x, y)
    weights, biases, last = train_digits(train_x, train_y)
    constants = {
        "white": np.array(1, dtype=np.float32),
        "levels": np.array(16, dtype=np.float32),
        "hidden_weights": weights.astype(np.float32),
        "hidden_biases": biases.astype(np.float32),
        "last_weights": last.coef_.T.astype(np.float32),
        "last_biases": last.intercept_.astype(np.float32),
    }
    nodes = [
        helper.make_node("Sub", ["white", "pixels"], ["ink"]),
        helper.make_node("Mul", ["ink", "levels"], ["scaled"]),
        # The data has whole numbers from 0 to 16.
        helper.make_node("Round", ["scaled"], ["whole"]),
        helper.make_node("Flatten", ["whole"], ["row"], axis=1),
        helper.make_node("MatMul", ["row", "hidden_weights"], ["hidden_sum"]),
        helper.make_node("Add", ["hidden_sum", "hidden_biases"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["kept"]),
        helper.make_node("MatMul", ["kept", "last_weights"], ["last_sum"]),
        helper.make_node("Add", ["last_sum", "last_biases"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "digit_pictures",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = finish(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    bytes_of = lambda rows: np.round(255 * (1 - rows / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    logits = session.run(["logits"], {"pixels": bytes_of(test_x).astype(np.float32) / np.float32(255)})[0]
    measured = float(np.mean(np.argmax(logits, axis=1) == test_y)), len(test_y)
    seven = bytes_of(test_x[test_y == 7][:1])[0, 0]
    files = {"digits/model.onnx": model.SerializeToString(deterministic=True), "seven.png": png(np.kron(seven, np.ones((8, 8), np.uint8)))}
    return files, measured


def png(pixels):
    """A PNG of grey bytes. It is not compressed: libraries compress differently."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    # One block that is stored, which holds up to 65 535 bytes.
    stored = b"\x78\x01\x01" + struct.pack("<HH", len(rows), len(rows) ^ 0xFFFF) + rows + struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", stored) + chunk(b"IEND", b"")


START, PAD, END, UNKNOWN = "<s>", "<pad>", "</s>", "<unk>"
VOCABULARY_MAX = 4096
TOKENS_MAX = 256


def train_tokenizer(texts):
    """Byte-level byte pair encoding, as RoBERTa has it: a word of the texts is one token, and others are put together from parts. Equal
    pairs are joined in the order of their numbers, so the same texts give the same file."""
    tokenizer = Tokenizer(BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_MAX,
        min_frequency=1,
        special_tokens=[START, PAD, END, UNKNOWN],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        pair=f"{START} $A {END} {END} $B {END}",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (START, END)],
    )
    return tokenizer


def token_features(tokenizer, texts):
    """How often a text has each token, by the square root of its number of tokens: what the graph multiplies with its weights."""
    features = np.zeros((len(texts), tokenizer.get_vocab_size()))
    for row, encoding in enumerate(tokenizer.encode_batch(list(texts))):
        np.add.at(features[row], encoding.ids, 1)
        features[row] /= np.sqrt(len(encoding.ids))
    return features


def sentiment_graph(weights, bias):
    """The classifier as a graph. Weights are multiples of 2^-16, so sums are exact in any order: padding changes no bit of the logits."""
    constants = {
        "weights": weights.astype(np.float32),
        "bias": bias.astype(np.float32),
        "tokens": np.array([1], dtype=np.int64),
        "last": np.array([2], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Gather", ["weights", "input_ids"], ["each"]),
        helper.make_node("Mul", ["each", "column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "tokens"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["mask", "tokens"], ["count"], keepdims=1),
        helper.make_node("Sqrt", ["count"], ["root"]),
        helper.make_node("Div", ["sum", "root"], ["mean"]),
        helper.make_node("Add", ["mean", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "sentiment",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return finish(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))


def sentiment():
    """A folder as Hugging Face has it: the tokenizer, the graph, and what says how they belong together."""
    texts, y = read_reviews("corpus.tsv")
    train_x, test_x, train_y, test_y = split(texts, y)
    phrases, phrase_y = read_reviews("phrases.tsv")
    train_x, train_y = np.concatenate([train_x, phrases]), np.concatenate([train_y, phrase_y])
    tokenizer = train_tokenizer(train_x)
    features = token_features(tokenizer, train_x)
    # Rare tokens weigh more, as in reviews.
    rarity = np.log((1 + len(features)) / (1 + np.sum(features > 0, axis=0))) + 1
    learned = regression(20).fit(features * rarity, train_y)
    # Half of the weight for one label, half against the other: the softmax of the two is the sigmoid of the regression.
    half = settle(learned.coef_[0] * rarity / 2)
    half_bias = settle(learned.intercept_[0] / 2)
    model = sentiment_graph(np.stack([-half, half], axis=1), np.array([-half_bias, half_bias]))
    config = {
        "architectures": ["RobertaForSequenceClassification"],
        "id2label": {"0": "negative", "1": "positive"},
        "label2id": {"negative": 0, "positive": 1},
        "pad_token_id": tokenizer.token_to_id(PAD),
        "vocab_size": tokenizer.get_vocab_size(),
    }
    tokenizer_config = {"model_max_length": TOKENS_MAX, "pad_token": PAD, "padding_side": "right", "tokenizer_class": "PreTrainedTokenizerFast"}
    files = {
        "config.json": json_bytes(config),
        "tokenizer.json": (tokenizer.to_str() + "\n").encode(),
        "tokenizer_config.json": json_bytes(tokenizer_config),
        "model.onnx": model.SerializeToString(deterministic=True),
    }
    return files, sentiment_accuracy(tokenizer, model, test_x, test_y)


def sentiment_accuracy(tokenizer, model, texts, labels):
    """Of the file itself, on texts of different lengths in one run."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id(PAD), pad_token=PAD)
    encodings = tokenizer.encode_batch(list(texts))
    tokenizer.no_padding()
    inputs = {
        "input_ids": np.array([each.ids for each in encodings], dtype=np.int64),
        "attention_mask": np.array([each.attention_mask for each in encodings], dtype=np.int64),
    }
    logits = session.run(["logits"], inputs)[0]
    return float(np.mean(np.argmax(logits, axis=1) == labels)), len(labels)


def json_bytes(value):
    return (json.dumps(value, indent=2) + "\n").encode()


def bundled(name, build):
    """The one file of a bundled model, by its path from the root of the repository."""

    def files():
        model, measured = build()
        return {f"models/{name}/1/model.onnx": model.SerializeToString(deterministic=True)}, measured

    return files


def example(folder, build):
    """The files of an example, likewise."""

    def files():
        content, measured = build()
        return {f"examples/{folder}/{name}": each for name, each in content.items()}, measured

    return files


MODELS = {
    **{name: bundled(name, build) for name, build in {"iris": iris, "digits": digits, "reviews": reviews, "simple": simple}.items()},
    "sentiment": example("text-classifier/sentiment", sentiment),
    "digit_pictures": example("image-classifier", digit_pictures),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with checksums.sha256 and write nothing here")
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp()) if arguments.check else HERE.parent
    sums = {}
    for name, build in MODELS.items():
        files, measured = build()
        for place, content in files.items():
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            sums[os.path.relpath(place, "models")] = hashlib.sha256(content).hexdigest()
        shown = "" if measured is None else f", accuracy {measured[0]:.4f} on {measured[1]} held-out rows"
        print(f"{name}: {sum(map(len, files.values()))} bytes{shown}")
    text = "".join(f"{digest}  {path}\n" for path, digest in sums.items())
    checksums = HERE / "checksums.sha256"
    if not arguments.check:
        checksums.write_text(text)
        return 0
    different = sorted(set(text.splitlines()) ^ set(checksums.read_text().splitlines()))
    for line in different:
        print(f"differs: {line}", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
