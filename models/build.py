#!/usr/bin/env python3
"""Trains the four bundled models and writes their files. The same inputs give the same bytes, on any processor: what is trained has one
solution, which is found to many more digits than are kept.

    pip install -r requirements.txt
    python build.py            writes models/<name>/1/model.onnx and checksums.sha256
    python build.py --check    builds into a temporary folder and compares with checksums.sha256
"""
import argparse
import hashlib
import os
import pathlib
import sys
import tempfile
import warnings

# One thread: sums are then always taken in the same order.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

# Names inside a graph follow the order of sets, which Python shuffles from run to run unless it is told not to.
if os.environ.get("PYTHONHASHSEED") != "0":
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.datasets import load_digits, load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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


def digits():
    x, y = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = split(x, y)
    weights, biases = hidden_layer()
    # Training both layers by gradient descent gives other bytes on other processors; training the last one alone has one solution.
    last = settle_all([regression(0.1).fit(np.maximum(train_x @ weights + biases, 0), train_y)])[0]
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


MODELS = {"iris": iris, "digits": digits, "reviews": reviews, "simple": simple}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with checksums.sha256 and write nothing here")
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp()) if arguments.check else HERE
    sums = {}
    for name, build in MODELS.items():
        model, measured = build()
        path = folder / name / "1" / "model.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = model.SerializeToString(deterministic=True)
        path.write_bytes(content)
        sums[f"{name}/1/model.onnx"] = hashlib.sha256(content).hexdigest()
        shown = "" if measured is None else f", accuracy {measured[0]:.4f} on {measured[1]} held-out rows"
        print(f"{name}: {len(content)} bytes{shown}")
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
