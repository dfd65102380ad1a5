"""Writes models for batching-property.test.ts: random graphs, graphs that must share runs and graphs that must not.

batching_graphs.py FOLDER SEED COUNT
"""
import os
import random
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
UINT8, INT8, INT32, BOOL, STRING = TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32, TensorProto.BOOL, TensorProto.STRING
END = 2**63 - 1


class Graph:
    """A graph that grows by one operator at a time; a shape has 'n' where the rows are, and a text for other open sizes."""

    def __init__(self, seed, opset=17):
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.opset = opset
        self.nodes, self.constants, self.inputs, self.functions = [], [], [], []
        self.count = 0

    def name(self, base="v"):
        self.count += 1
        return f"{base}{self.count}"

    def input(self, name, shape, kind=FLOAT):
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def constant(self, array):
        name = self.name("c")
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weights(self, *shape):
        return self.constant((self.numbers.standard_normal(shape) * 0.5).astype(np.float32))

    def ints(self, *values):
        return self.constant(np.array(values, dtype=np.int64))

    def op(self, operator, inputs, outputs=1, domain="", **attributes):
        names = [self.name() for _ in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, name=f"{operator}_{self.count}", domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def squeeze(self, x, *axes):
        return self.op("Squeeze", [x], axes=list(axes)) if self.opset < 13 else self.op("Squeeze", [x, self.ints(*axes)])

    def unsqueeze(self, x, *axes):
        return self.op("Unsqueeze", [x], axes=list(axes)) if self.opset < 13 else self.op("Unsqueeze", [x, self.ints(*axes)])

    def reduce(self, operator, x, axes, keep):
        is_new = self.opset >= 18 or (operator == "ReduceSum" and self.opset >= 13)
        if is_new:
            return self.op(operator, [x, self.ints(*axes)], keepdims=keep)
        return self.op(operator, [x], axes=list(axes), keepdims=keep)

    def dimension(self, x, index):
        """As PyTorch exports x.shape[index]: a list of one."""
        shape = self.op("Shape", [x])
        return self.unsqueeze(self.op("Gather", [shape, self.constant(np.int64(index))], axis=0), 0)

    def save(self, folder, name, outputs):
        for index, (value, kind, shape) in enumerate(outputs):
            self.nodes.append(helper.make_node("Identity", [value], [f"y{index}"]))
        declared = [helper.make_tensor_value_info(f"y{index}", kind, shape) for index, (_, kind, shape) in enumerate(outputs)]
        graph = helper.make_graph(self.nodes, "graph", self.inputs, declared, self.constants)
        domains = {"": self.opset, "ai.onnx.ml": 3, "com.microsoft": 1, "own": 1}
        used = {""} | {node.domain for node in self.nodes} | {"own" for _ in self.functions}
        imports = [helper.make_opsetid(domain, domains[domain]) for domain in domains if domain in used]
        model = helper.make_model(graph, opset_imports=imports, functions=self.functions, ir_version=8)
        path = os.path.join(folder, name, "1")
        os.makedirs(path)
        with open(os.path.join(path, "model.onnx"), "wb") as file:
            file.write(model.SerializeToString())


# ── Random graphs ──────────────────────────────────────────────────────────────────────────────────────────────────────


def axis_of(g, shape):
    axis = g.random.randrange(len(shape))
    return axis if g.random.random() < 0.7 else axis - len(shape)


def sized(shape, start=0):
    return [axis for axis in range(start, len(shape)) if shape[axis] != "n"]


def unary(g, x, s):
    return g.op(g.random.choice(["Relu", "Sigmoid", "Tanh", "Neg", "Abs", "Exp", "Erf", "Floor", "Softsign", "Sign"]), [x]), s


def binary_constant(g, x, s):
    tail = [size for size in s if size != "n"]
    dims = tail[g.random.randrange(len(tail) + 1) :] if s and s[0] == "n" else [1 if size == "n" else size for size in s]
    return g.op(g.random.choice(["Add", "Mul", "Sub", "Max"]), [x, g.weights(*dims)]), s


def row_constant(g, x, s):
    """A constant with two rows of its own."""
    return g.op("Add", [x, g.weights(*[2 if size == "n" else size for size in s])]), s


def two_branches(g, x, s):
    return g.op(g.random.choice(["Add", "Mul", "Sub"]), [g.op("Sigmoid", [x]), g.op("Tanh", [x])]), s


def softmax(g, x, s):
    return g.op(g.random.choice(["Softmax", "LogSoftmax"]), [x], axis=axis_of(g, s)), s


def reduction(g, x, s):
    if len(s) < 2:
        return None
    axis, keep = axis_of(g, s), g.random.randrange(2)
    out = list(s)
    out[axis] = 1
    if not keep:
        del out[axis if axis >= 0 else axis + len(s)]
    operator = g.random.choice(["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2"])
    return g.reduce(operator, x, [axis], keep), out


def argument(g, x, s):
    axis = axis_of(g, s)
    out = list(s)
    out[axis] = 1
    return g.op("Cast", [g.op("ArgMax", [x], axis=axis, keepdims=1)], to=FLOAT), out


def cumulative(g, x, s):
    return g.op("CumSum", [x, g.constant(np.int64(axis_of(g, s)))]), s


def top(g, x, s):
    axis = axis_of(g, s)
    out = list(s)
    out[axis] = 1
    return g.op("TopK", [x, g.ints(1)], 2, axis=axis)[g.random.randrange(1)], out


def matmul(g, x, s):
    if len(s) < 2 or s[-1] == "n":
        return None
    width = g.random.choice([2, 3, 5])
    return g.op("MatMul", [x, g.weights(s[-1], width)]), [*s[:-1], width]


def matmul_left(g, x, s):
    if len(s) < 2 or s[-2] == "n":
        return None
    height = g.random.choice([2, 3])
    return g.op("MatMul", [g.weights(height, s[-2]), x]), [*s[:-2], height, s[-1]]


def gram(g, x, s):
    """x times itself turned round: of matrices [n, k] each row meets every other."""
    if len(s) < 2:
        return None
    order = [*range(len(s) - 2), len(s) - 1, len(s) - 2]
    return g.op("MatMul", [x, g.op("Transpose", [x], perm=order)]), [*s[:-1], s[-2]]


def gemm(g, x, s):
    if len(s) != 2 or s[1] == "n":
        return None
    return g.op("Gemm", [x, g.weights(4, s[1]), g.weights(4)], transB=1), [s[0], 4]


def transpose(g, x, s):
    order = list(range(len(s)))
    g.random.shuffle(order)
    return g.op("Transpose", [x], perm=order), [s[axis] for axis in order]


def reshape_flat(g, x, s):
    if s[0] != "n" or s.count("n") != 1:
        return None
    width = int(np.prod([size for size in s[1:]]))
    if g.random.random() < 0.5 and len(s) > 2:
        return g.op("Reshape", [x, g.ints(-1, s[-1])]), ["m", s[-1]]
    return g.op("Reshape", [x, g.ints(g.random.choice([0, -1]), width)]), ["n", width]


def reshape_cut(g, x, s):
    """Rows end up in the middle of a dimension."""
    return g.op("Reshape", [x, g.ints(1, -1)]), [1, "m"]


def reshape_by_shape(g, x, s):
    """The target is computed: batch from Shape, the rest -1, as exports write it."""
    if s[0] != "n" or s.count("n") != 1:
        return None
    width = int(np.prod([size for size in s[1:]]))
    target = g.op("Concat", [g.dimension(x, 0), g.ints(1, -1)], axis=0)
    return g.op("Reshape", [x, target]), ["n", 1, width]


def flatten(g, x, s):
    axis = g.random.randrange(0, len(s) + 1)
    left, right = s[:axis], s[axis:]
    fold = lambda sizes: ("n" if [size for size in sizes if size != 1] == ["n"] else "m") if "n" in sizes else int(np.prod(sizes or [1]))
    return g.op("Flatten", [x], axis=axis), [fold(left), fold(right)]


def unsqueeze(g, x, s):
    if len(s) > 3:
        return None
    axis = g.random.randrange(len(s) + 1)
    return g.unsqueeze(x, axis), [*s[:axis], 1, *s[axis:]]


def squeeze(g, x, s):
    ones = [axis for axis in range(len(s)) if s[axis] == 1]
    if not ones or len(s) < 2:
        return None
    axis = g.random.choice(ones)
    return g.squeeze(x, axis), [*s[:axis], *s[axis + 1 :]]


def squeeze_all(g, x, s):
    return (g.op("Squeeze", [x]), [size for size in s if size != 1]) if len(s) > 1 and s.count(1) < len(s) else None


def concat(g, x, s):
    axis = axis_of(g, s)
    out = list(s)
    out[axis] = "m" if s[axis] == "n" else s[axis] * 2
    return g.op("Concat", [x, g.op("Tanh", [x])], axis=axis), out


def concat_constant(g, x, s):
    axes = sized(s)
    if not axes:
        return None
    axis = g.random.choice(axes)
    out = list(s)
    out[axis] = s[axis] + 1
    return g.op("Concat", [x, g.weights(*[1 if place == axis or size == "n" else size for place, size in enumerate(s)])], axis=axis), out


def split(g, x, s):
    even = [axis for axis in range(len(s)) if s[axis] != "n" and s[axis] % 2 == 0]
    if not even:
        return None
    axis = g.random.choice(even)
    out = list(s)
    out[axis] = s[axis] // 2
    if g.opset >= 18:
        return g.op("Split", [x], 2, axis=axis, num_outputs=2)[1], out
    return g.op("Split", [x], 2, axis=axis)[1], out


def slicing(g, x, s):
    axis = g.random.randrange(len(s))
    if g.random.random() < 0.3:
        return g.op("Slice", [x, g.ints(0), g.ints(END), g.ints(axis)]), s
    if s[axis] == "n":
        start, end, step = g.random.choice([(0, 1, 1), (-1, END, 1), (END, -END, -1)])
        return g.op("Slice", [x, g.ints(start), g.ints(end), g.ints(axis), g.ints(step)]), ["m" if size == "n" else size for size in s]
    out = list(s)
    out[axis] = 1
    return g.op("Slice", [x, g.ints(0), g.ints(1), g.ints(axis)]), out


def gather(g, x, s):
    axis = axis_of(g, s)
    out = list(s)
    out[axis] = 2
    return g.op("Gather", [x, g.ints(0, 0)], axis=axis), out


def gather_one(g, x, s):
    if len(s) < 2:
        return None
    axis = g.random.randrange(len(s))
    return g.op("Gather", [x, g.constant(np.int64(0))], axis=axis), [*s[:axis], *s[axis + 1 :]]


def table_lookup(g, x, s):
    index = g.op("Cast", [g.op("Sigmoid", [x])], to=INT64)
    return g.op("Gather", [g.weights(2, 3), index]), [*s, 3]


def expand(g, x, s):
    return g.op("Expand", [x, g.ints(*[1 for _ in s])]), s


def tile(g, x, s):
    axis = g.random.randrange(len(s))
    out = list(s)
    out[axis] = "m" if s[axis] == "n" else s[axis] * 2
    return g.op("Tile", [x, g.ints(*[2 if place == axis else 1 for place in range(len(s))])]), out


def pad(g, x, s):
    axis = g.random.randrange(len(s))
    pads = [0] * (2 * len(s))
    pads[axis] = 1
    out = list(s)
    out[axis] = "m" if s[axis] == "n" else s[axis] + 1
    return g.op("Pad", [x, g.ints(*pads)]), out


def count_rows(g, x, s):
    """The number of rows as a value."""
    return g.op("Mul", [x, g.op("Cast", [g.op("Gather", [g.op("Shape", [x]), g.constant(np.int64(0))])], to=FLOAT)]), s


def layer_norm(g, x, s):
    if g.opset < 17 or s[-1] == "n":
        axis = len(s) - 1
        return g.op("LpNormalization", [x], axis=axis), s
    return g.op("LayerNormalization", [x, g.weights(s[-1]), g.weights(s[-1])], axis=-1), s


def batch_norm(g, x, s):
    if len(s) < 2 or s[1] in ("n", "m") or s[0] == "m":
        return None
    width = s[1]
    variance = g.constant(np.abs(g.numbers.standard_normal(width)).astype(np.float32) + 0.5)
    inputs = [x, g.weights(width), g.weights(width), g.weights(width), variance]
    if g.opset >= 14 and g.random.random() < 0.3:
        return g.op("BatchNormalization", inputs, 3, training_mode=1)[0], s
    return g.op("BatchNormalization", inputs), s


def instance_norm(g, x, s):
    if len(s) < 3 or s[1] == "n":
        return None
    return g.op("InstanceNormalization", [x, g.weights(s[1]), g.weights(s[1])]), s


def mean_variance(g, x, s):
    return (g.op("MeanVarianceNormalization", [x], axes=g.random.choice([[0, 2], [1], [1, 2]])), s) if len(s) == 3 else None


def convolution(g, x, s):
    if len(s) < 3 or s[1] in ("n", "m") or s[-1] in ("n", "m") or s[2] in ("n", "m"):
        return None
    kernel = [1] * (len(s) - 2)
    return g.op("Conv", [x, g.weights(3, s[1], *kernel), g.weights(3)]), [s[0], 3, *s[2:]]


def pool(g, x, s):
    if len(s) < 3:
        return None
    if g.random.random() < 0.3:
        values, places = g.op("MaxPool", [x], 2, kernel_shape=[1] * (len(s) - 2))
        return g.op("Add", [values, g.op("Cast", [places], to=FLOAT)]), s
    return g.op("GlobalAveragePool", [x]), [*s[:2], *[1] * (len(s) - 2)]


def dynamic_quantization(g, x, s):
    q, scale, zero = g.op("DynamicQuantizeLinear", [x], 3)
    return g.op("DequantizeLinear", [q, scale, zero]), s


def dynamic_product(g, x, s):
    if len(s) < 2 or s[-1] in ("n", "m"):
        return None
    q, scale, zero = g.op("DynamicQuantizeLinear", [x], 3)
    w = g.constant(g.numbers.integers(-50, 50, (s[-1], 3)).astype(np.int8))
    product = g.op("MatMulInteger", [q, w, zero])
    return g.op("Mul", [g.op("Cast", [product], to=FLOAT), scale]), [*s[:-1], 3]


def static_quantization(g, x, s):
    scale, zero = g.constant(np.float32(0.05)), g.constant(np.uint8(128))
    return g.op("DequantizeLinear", [g.op("QuantizeLinear", [x, scale, zero]), scale, zero]), s


def recurrent(g, x, s):
    if len(s) != 3 or s[2] in ("n", "m") or 1 in s[:2]:
        return None
    operator, gates = g.random.choice([("LSTM", 4), ("GRU", 3), ("RNN", 1)])
    y = g.op(operator, [x, g.weights(1, gates * 2, s[2]), g.weights(1, gates * 2, 2)], hidden_size=2)
    return g.squeeze(y, 1), [s[0], s[1], 2]


def non_zero(g, x, s):
    places = g.op("NonZero", [g.op("Relu", [x])])
    return g.op("Cast", [g.op("Transpose", [places])], to=FLOAT), ["m", len(s)]


def compress(g, x, s):
    axis = g.random.randrange(len(s))
    out = list(s)
    out[axis] = "m" if s[axis] == "n" else 1
    return g.op("Compress", [x, g.constant(np.array([True]))], axis=axis), out


def unique(g, x, s):
    return g.op("Unique", [x]), ["m"]


def einsum(g, x, s):
    letters = "abcd"[: len(s)]
    out = list(letters)
    g.random.shuffle(out)
    if g.random.random() < 0.4 and len(s) > 1:
        out = out[:-1]
    return g.op("Einsum", [x], equation=f"{letters}->{''.join(out)}"), [s[letters.index(letter)] for letter in out]


def einsum_two(g, x, s):
    if len(s) != 2:
        return None
    equation, out = g.random.choice([("ab,ab->ab", s), ("ab,cb->ac", [s[0], s[0]]), ("ab,ac->abc", [s[0], s[1], s[1]]), ("ab,ac->bc", [s[1], s[1]])])
    return g.op("Einsum", [x, g.op("Tanh", [x])], equation=equation), out


def random_numbers(g, x, s):
    return g.op("Add", [x, g.op("RandomNormalLike", [x], seed=1.0)]), s


def trilu(g, x, s):
    return (g.op("Trilu", [x]), s) if len(s) > 1 and g.opset >= 14 else None


def one_hot(g, x, s):
    if len(s) > 3:
        return None
    index = g.op("Cast", [g.op("Sigmoid", [x])], to=INT64)
    axis = g.random.choice([-1, 0, len(s)])
    place = len(s) if axis == -1 else axis
    return g.op("OneHot", [index, g.ints(2), g.constant(np.array([0, 1], dtype=np.float32))], axis=axis), [*s[:place], 2, *s[place:]]


def gather_elements(g, x, s):
    axis = g.random.randrange(len(s))
    index = g.op("Mul", [g.op("Cast", [g.op("Sigmoid", [x])], to=INT64), g.ints(0)])
    return g.op("GatherElements", [x, index], axis=axis), s


def branch(g, x, s):
    """If: the condition is a constant, or the sum of all rows."""
    inner = [helper.make_node(operator, [x], [f"{operator}_{g.count}"]) for operator in ("Relu", "Tanh")]
    graphs = [helper.make_graph([node], "branch", [], [helper.make_tensor_value_info(node.output[0], FLOAT, None)]) for node in inner]
    if g.random.random() < 0.5:
        condition = g.constant(np.array(True))
    else:
        total = g.op("ReduceMax", [x], keepdims=0)
        condition = g.op("Greater", [total, g.constant(np.float32(0.7))])
    return g.op("If", [condition], then_branch=graphs[0], else_branch=graphs[1]), s


def loop(g, x, s):
    """Loop: three rounds, or as many as there are rows."""
    k = g.count
    body = helper.make_graph(
        [
            helper.make_node("Identity", [f"go{k}"], [f"on{k}"]),
            helper.make_node("Sigmoid", [f"in{k}"], [f"a{k}"]),
            helper.make_node("Add", [f"a{k}", x], [f"out{k}"]),
        ],
        "body",
        [
            helper.make_tensor_value_info(f"i{k}", INT64, []),
            helper.make_tensor_value_info(f"go{k}", BOOL, []),
            helper.make_tensor_value_info(f"in{k}", FLOAT, None),
        ],
        [helper.make_tensor_value_info(f"on{k}", BOOL, []), helper.make_tensor_value_info(f"out{k}", FLOAT, None)],
    )
    count = g.constant(np.int64(3)) if g.random.random() < 0.6 else g.op("Gather", [g.op("Shape", [x]), g.constant(np.int64(0))])
    return g.op("Loop", [count, g.constant(np.array(True)), x], body=body), s


def scan(g, x, s):
    """Scan over the first axis, with a sum that goes from place to place."""
    if len(s) < 2:
        return None
    k = g.count
    body = helper.make_graph(
        [helper.make_node("Add", [f"s{k}", f"e{k}"], [f"t{k}"]), helper.make_node("Identity", [f"t{k}"], [f"o{k}"])],
        "body",
        [helper.make_tensor_value_info(f"{letter}{k}", FLOAT, None) for letter in "se"],
        [helper.make_tensor_value_info(f"{letter}{k}", FLOAT, None) for letter in "to"],
    )
    first = g.op("Mul", [g.op("Gather", [x, g.constant(np.int64(0))], axis=0), g.constant(np.float32(0))])
    return g.op("Scan", [first, x], 2, num_scan_inputs=1, body=body)[1], s


def function(g, x, s):
    """A function of the model's own: over the last axis, or over the first."""
    name = g.name("Own")
    axis = g.random.choice([-1, 0])
    nodes = [
        helper.make_node("Softmax", ["a"], ["b"], axis=axis),
        helper.make_node("Mul", ["a", "b"], ["c"]),
    ]
    g.functions.append(helper.make_function("own", name, ["a"], ["c"], nodes, [helper.make_opsetid("", g.opset)]))
    return g.op(name, [x], domain="own"), s


def scaler(g, x, s):
    if len(s) != 2 or s[1] in ("n", "m"):
        return None
    return g.op("Scaler", [x], domain="ai.onnx.ml", offset=[0.5] * s[1], scale=[2.0] * s[1]), s


def normalizer(g, x, s):
    return (g.op("Normalizer", [x], domain="ai.onnx.ml", norm=g.random.choice(["MAX", "L1", "L2"])), s) if len(s) <= 2 else None


def imputer(g, x, s):
    if len(s) != 2 or s[1] in ("n", "m"):
        return None
    return g.op("Imputer", [x], domain="ai.onnx.ml", imputed_value_floats=[0.5] * s[1], replaced_value_float=0.0), s


def linear(g, x, s):
    if len(s) > 2 or s[-1] in ("n", "m"):
        return None
    weights = [float(value) for value in g.numbers.standard_normal(2 * s[-1])]
    return g.op("LinearRegressor", [x], domain="ai.onnx.ml", coefficients=weights, intercepts=[0.1, 0.2], targets=2), [s[0], 2]


def extractor(g, x, s):
    return g.op("ArrayFeatureExtractor", [x, g.ints(0)], domain="ai.onnx.ml"), [*s[:-1], 1]


def microsoft(g, x, s):
    operator = g.random.choice(["Gelu", "QuickGelu", "FastGelu", "Inverse", "ExpandDims", "GatherND"])
    if operator in ("Gelu", "QuickGelu", "FastGelu"):
        return g.op(operator, [x], domain="com.microsoft"), s
    if operator == "ExpandDims":
        return g.op(operator, [x, g.constant(np.int32(0))], domain="com.microsoft"), [1, *s]
    return None


def ranges(g, x, s):
    """Numbers the places of the first axis and adds that to them."""
    if s[0] != "n":
        return None
    count = g.op("Gather", [g.op("Shape", [x]), g.constant(np.int64(0))])
    numbers = g.op("Range", [g.constant(np.int64(0)), count, g.constant(np.int64(1))])
    column = g.op("Cast", [numbers], to=FLOAT)
    return g.op("Add", [x, g.unsqueeze(column, *range(1, len(s))) if len(s) > 1 else column]), s


def zeros_like(g, x, s):
    """Zeros of the shape of x, with something added: as exports make states and masks."""
    zeros = g.op("ConstantOfShape", [g.op("Shape", [x])])
    return g.op("Add", [x, zeros]), s


def dropout(g, x, s):
    if g.opset < 12:
        return None
    return g.op("Dropout", [x, g.constant(np.float32(0.5)), g.constant(np.array(g.random.random() < 0.3))]), s


def reverse(g, x, s):
    if len(s) < 2:
        return None
    batch, time = g.random.choice([(0, 1), (1, 0)])
    lengths = g.op("Expand", [g.ints(1), g.dimension(x, batch)])
    return g.op("ReverseSequence", [x, lengths], batch_axis=batch, time_axis=time), s


STEPS = [
    unary, binary_constant, row_constant, two_branches, softmax, reduction, argument, cumulative, top, matmul, matmul_left, gram, gemm, transpose,
    reshape_flat, reshape_cut, reshape_by_shape, flatten, unsqueeze, squeeze, squeeze_all, concat, concat_constant, split, slicing, gather,
    gather_one, table_lookup, expand, tile, pad, count_rows, layer_norm, batch_norm, instance_norm, mean_variance, convolution, pool,
    dynamic_quantization, dynamic_product, static_quantization, recurrent, non_zero, compress, unique, einsum, einsum_two, random_numbers, trilu,
    one_hot, gather_elements, branch, loop, scan, function, scaler, normalizer, imputer, linear, extractor, microsoft, ranges, zeros_like, dropout, reverse,
]  # fmt: skip
#: Steps that keep rows apart wherever they are used: graphs of these alone must share runs.
HARMLESS = [unary, binary_constant, two_branches, matmul, gemm, reshape_flat, reshape_by_shape, unsqueeze, layer_norm, expand, zeros_like, static_quantization, scaler]


def random_graph(folder, seed, index):
    g = Graph(seed * 100_003 + index, opset=random.Random(seed + index).choice([11, 12, 13, 15, 17, 18, 20]))
    shape = ["n", *[g.random.choice([1, 2, 3, 4]) for _ in range(g.random.randrange(0, 4))]]
    x, s = g.input("x", shape), shape
    steps = HARMLESS if index % 5 == 0 else STEPS
    taken = []
    while len(taken) < g.random.randrange(1, 6) or not taken:
        step = g.random.choice(steps)
        before = (len(g.nodes), len(g.constants), len(g.inputs))
        made = step(g, x, s) if s and "m" not in s else None
        if made is None:
            if not s or "m" in s:
                break
            g.nodes, g.constants = g.nodes[: before[0]], g.constants[: before[1]]
            continue
        x, s = made
        taken.append(step.__name__)
    kind = "h" if steps is HARMLESS else "r"
    name = f"{kind}{index}-" + ".".join(step.replace("_", "") for step in taken)
    g.save(folder, name[:90], [(x, FLOAT, [f"d{place}" for place in range(len(s))])])


# ── Graphs that must share runs ────────────────────────────────────────────────────────────────────────────────────────


def mlp(g):
    x = g.input("x", ["n", 6])
    h = g.op("Relu", [g.op("Gemm", [x, g.weights(8, 6), g.weights(8)], transB=1)])
    variance = g.constant(np.ones(8, dtype=np.float32))
    h = g.op("BatchNormalization", [h, g.weights(8), g.weights(8), g.weights(8), variance])
    return [(g.op("Softmax", [g.op("MatMul", [h, g.weights(8, 3)])], axis=-1), FLOAT, ["n", 3])]


def cnn(g, head):
    x = g.input("x", ["n", 3, 8, 8])
    h = g.op("Relu", [g.op("Conv", [x, g.weights(4, 3, 3, 3), g.weights(4)], pads=[1, 1, 1, 1])])
    h = g.op("MaxPool", [h], kernel_shape=[2, 2], strides=[2, 2])
    if head == "flatten":
        h = g.op("Flatten", [h])
        return [(g.op("Gemm", [h, g.weights(5, 64), g.weights(5)], transB=1), FLOAT, ["n", 5])]
    h = g.op("GlobalAveragePool", [h])
    if head == "reshape":
        h = g.op("Reshape", [h, g.ints(-1, 4)])
    elif head == "shape":
        h = g.op("Reshape", [h, g.op("Concat", [g.dimension(h, 0), g.ints(-1)], axis=0)])
    else:
        h = g.squeeze(h, 2, 3)
    return [(g.op("Gemm", [h, g.weights(5, 4), g.weights(5)], transB=1), FLOAT, ["n", 5])]


def decomposed_norm(g, x, width):
    centred = g.op("Sub", [x, g.reduce("ReduceMean", x, [-1], 1)])
    variance = g.reduce("ReduceMean", g.op("Pow", [centred, g.constant(np.float32(2))]), [-1], 1)
    scaled = g.op("Div", [centred, g.op("Sqrt", [g.op("Add", [variance, g.constant(np.float32(1e-5))])])])
    return g.op("Add", [g.op("Mul", [scaled, g.weights(width)]), g.weights(width)])


def gelu(g, x):
    erf = g.op("Erf", [g.op("Div", [x, g.constant(np.float32(1.4142135))])])
    return g.op("Mul", [g.op("Mul", [x, g.op("Add", [erf, g.constant(np.float32(1))])]), g.constant(np.float32(0.5))])


def heads(g, x, source):
    """view(batch, time, 2, 4).permute(0, 2, 1, 3), as PyTorch exports it."""
    target = g.op("Concat", [g.dimension(source, 0), g.dimension(source, 1), g.ints(2), g.ints(4)], axis=0)
    return g.op("Transpose", [g.op("Reshape", [x, target])], perm=[0, 2, 1, 3])


def attention_layer(g, x, mask=None):
    q, k, v = (heads(g, g.op("Add", [g.op("MatMul", [x, g.weights(8, 8)]), g.weights(8)]), x) for _ in range(3))
    scores = g.op("Div", [g.op("MatMul", [q, g.op("Transpose", [k], perm=[0, 1, 3, 2])]), g.constant(np.float32(2))])
    if mask is not None:
        scores = g.op("Add", [scores, mask])
    context = g.op("Transpose", [g.op("MatMul", [g.op("Softmax", [scores], axis=-1), v])], perm=[0, 2, 1, 3])
    target = g.op("Concat", [g.dimension(x, 0), g.dimension(x, 1), g.ints(8)], axis=0)
    out = g.op("MatMul", [g.op("Reshape", [context, target]), g.weights(8, 8)])
    x = decomposed_norm(g, g.op("Add", [x, out]), 8)
    return decomposed_norm(g, g.op("Add", [x, g.op("MatMul", [gelu(g, g.op("MatMul", [x, g.weights(8, 16)])), g.weights(16, 8)])]), 8)


def encoder(g, time):
    x = g.input("x", ["n", time, 8])
    h = attention_layer(g, attention_layer(g, x))
    return [(g.op("MatMul", [g.op("Gather", [h, g.constant(np.int64(0))], axis=1), g.weights(8, 2)]), FLOAT, ["n", 2])]


def bert(g, time):
    ids, mask = g.input("ids", ["n", time], INT64), g.input("mask", ["n", time], INT64)
    positions = g.op("Slice", [g.ints(*range(64)), g.ints(0), g.dimension(ids, 1), g.ints(0)])
    h = g.op("Add", [g.op("Gather", [g.weights(30, 8), ids]), g.op("Gather", [g.weights(64, 8), positions])])
    wide = g.op("Cast", [g.unsqueeze(mask, 1, 2)], to=FLOAT)
    bias = g.op("Mul", [g.op("Sub", [g.constant(np.float32(1)), wide]), g.constant(np.float32(-1e4))])
    h = attention_layer(g, decomposed_norm(g, h, 8), bias)
    # Mean of the tokens that count, as sentence encoders pool.
    counted = g.op("Cast", [g.op("Expand", [g.unsqueeze(mask, 2), g.op("Shape", [h])])], to=FLOAT)
    total = g.reduce("ReduceSum", g.op("Mul", [h, counted]), [1], 0)
    count = g.op("Clip", [g.reduce("ReduceSum", counted, [1], 0), g.constant(np.float32(1e-9))])
    return [(g.op("Div", [total, count]), FLOAT, ["n", 8])]


def sequence_first(g):
    """nn.MultiheadAttention: [time, batch, 8] to [time, batch * heads, 4]."""
    x = g.op("Transpose", [g.input("x", ["n", 5, 8])], perm=[1, 0, 2])
    batch = g.dimension(x, 1)
    many = g.op("Mul", [batch, g.ints(2)])
    parts = []
    for _ in range(3):
        part = g.op("Reshape", [g.op("MatMul", [x, g.weights(8, 8)]), g.op("Concat", [g.ints(5), many, g.ints(4)], axis=0)])
        parts.append(g.op("Transpose", [part], perm=[1, 0, 2]))
    q, k, v = parts
    scores = g.op("Softmax", [g.op("MatMul", [q, g.op("Transpose", [k], perm=[0, 2, 1])])], axis=-1)
    context = g.op("Transpose", [g.op("MatMul", [scores, v])], perm=[1, 0, 2])
    flat = g.op("Reshape", [context, g.op("Concat", [g.op("Mul", [batch, g.ints(5)]), g.ints(8)], axis=0)])
    out = g.op("Gemm", [flat, g.weights(8, 8), g.weights(8)])
    out = g.op("Reshape", [out, g.op("Concat", [g.ints(5), batch, g.ints(8)], axis=0)])
    return [(g.op("Transpose", [out], perm=[1, 0, 2]), FLOAT, ["n", 5, 8])]


def class_token(g):
    """A vision transformer's head of the sequence: one token for each row, expanded to the batch."""
    x = g.input("x", ["n", 3, 8, 8])
    patches = g.op("Conv", [x, g.weights(8, 3, 4, 4)], strides=[4, 4])
    target = g.op("Concat", [g.dimension(patches, 0), g.ints(8), g.ints(-1)], axis=0)
    tokens = g.op("Transpose", [g.op("Reshape", [patches, target])], perm=[0, 2, 1])
    minus = g.ints(-1)
    shape = g.op("Concat", [g.dimension(x, 0), minus, minus], axis=0)
    ones = g.op("ConstantOfShape", [g.ints(3)], value=numpy_helper.from_array(np.array([1], dtype=np.int64)))
    own = g.op("Where", [g.op("Equal", [shape, g.op("Mul", [ones, g.ints(-1)])]), ones, shape])
    tokens = g.op("Concat", [g.op("Expand", [g.weights(1, 1, 8), own]), tokens], axis=1)
    tokens = g.op("Add", [tokens, g.weights(1, 5, 8)])
    return [(g.op("Gather", [attention_layer(g, tokens), g.constant(np.int64(0))], axis=1), FLOAT, ["n", 8])]


def recurrent_model(g, state):
    x = g.op("Transpose", [g.input("x", ["n", 4, 3])], perm=[1, 0, 2])
    weights = [g.weights(1, 20, 3), g.weights(1, 20, 5), g.weights(1, 40)]
    inputs = [x, *weights]
    if state:
        zeros = g.op("ConstantOfShape", [g.op("Concat", [g.ints(1), g.dimension(x, 1), g.ints(5)], axis=0)])
        inputs += ["", zeros, zeros]
    y, h, _ = g.op("LSTM", inputs, 3, hidden_size=5)
    last = g.squeeze(h, 0)
    every = g.op("Transpose", [g.squeeze(y, 1)], perm=[1, 0, 2])
    return [(last, FLOAT, ["n", 5]), (every, FLOAT, ["n", 4, 5])]


def scikit_linear(g):
    x = g.input("x", ["n", 4])
    h = g.op("Imputer", [x], domain="ai.onnx.ml", imputed_value_floats=[0.5] * 4, replaced_value_float=float("nan"))
    h = g.op("Scaler", [h], domain="ai.onnx.ml", offset=[0.1] * 4, scale=[1.5] * 4)
    weights = [float(value) for value in g.numbers.standard_normal(12)]
    label, scores = g.op(
        "LinearClassifier", [h], 2, domain="ai.onnx.ml", classlabels_ints=[0, 1, 2], coefficients=weights, intercepts=[0.1, 0.2, 0.3],
        multi_class=1, post_transform="SOFTMAX",
    )  # fmt: skip
    return [(label, INT64, ["n"]), (g.op("Normalizer", [scores], domain="ai.onnx.ml", norm="L1"), FLOAT, ["n", 3])]


def scikit_network(g):
    """MLPClassifier: the label is looked up in a list of classes."""
    x = g.op("Cast", [g.input("x", ["n", 4])], to=FLOAT)
    scores = g.op("Softmax", [g.op("Add", [g.op("MatMul", [x, g.weights(4, 3)]), g.weights(3)])], axis=-1)
    place = g.op("ArgMax", [scores], axis=1)
    label = g.op("ArrayFeatureExtractor", [g.ints(7, 8, 9), place], domain="ai.onnx.ml")
    return [(g.op("Reshape", [label, g.ints(-1)]), INT64, ["n"]), (scores, FLOAT, ["n", 3])]


def scikit_columns(g):
    """A ColumnTransformer: numbers scaled, a category encoded."""
    age, city = g.input("age", ["n", 1]), g.input("city", ["n", 1], INT64)
    scaled = g.op("Scaler", [age], domain="ai.onnx.ml", offset=[30.0], scale=[0.1])
    encoded = g.op("OneHotEncoder", [city], domain="ai.onnx.ml", cats_int64s=[0, 1, 2], zeros=1)
    encoded = g.op("Reshape", [encoded, g.ints(-1, 3)])
    table = g.op("Concat", [scaled, encoded], axis=1)
    return [(g.op("LinearRegressor", [table], domain="ai.onnx.ml", coefficients=[0.1, 0.2, 0.3, 0.4], intercepts=[0.5]), FLOAT, ["n", 1])]


def trees(g, outputs):
    x = g.input("x", ["n", 3])
    nodes = dict(
        nodes_treeids=[0] * 3, nodes_nodeids=[0, 1, 2], nodes_featureids=[1, 0, 0], nodes_values=[0.4, 0.0, 0.0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"], nodes_truenodeids=[1, 0, 0], nodes_falsenodeids=[2, 0, 0],
    )  # fmt: skip
    if outputs == 1:
        leaves = dict(target_treeids=[0, 0], target_nodeids=[1, 2], target_ids=[0, 0], target_weights=[1.5, -0.5], n_targets=1)
        return [(g.op("TreeEnsembleRegressor", [x], domain="ai.onnx.ml", **nodes, **leaves), FLOAT, ["n", 1])]
    leaves = dict(class_treeids=[0, 0], class_nodeids=[1, 2], class_ids=[0, 1], class_weights=[1.0, 1.0], classlabels_int64s=[0, 1])
    label, scores = g.op("TreeEnsembleClassifier", [x], 2, domain="ai.onnx.ml", **nodes, **leaves)
    # LightGBM's converter declares the label with one row.
    return [(label, INT64, [1]), (scores, FLOAT, ["n", 2])]


def quantised_pairs(g):
    """Static QDQ: activations with one scale, weights with one a channel."""
    x = g.input("x", ["n", 3, 6, 6])
    scale, zero = g.constant(np.float32(0.02)), g.constant(np.uint8(120))
    pair = lambda value: g.op("DequantizeLinear", [g.op("QuantizeLinear", [value, scale, zero]), scale, zero])
    w = g.constant(g.numbers.integers(-100, 100, (4, 3, 3, 3)).astype(np.int8))
    scales = g.constant(np.full(4, 0.01, dtype=np.float32))
    w = g.op("DequantizeLinear", [w, scales, g.constant(np.zeros(4, dtype=np.int8))], axis=0)
    h = pair(g.op("Relu", [g.op("Conv", [pair(x), w])]))
    h = g.op("Flatten", [pair(g.op("GlobalAveragePool", [h]))])
    return [(g.op("Gemm", [h, g.weights(4, 3), g.weights(3)]), FLOAT, ["n", 3])]


def quantised_operators(g):
    x = g.input("x", ["n", 8])
    scale, zero = g.constant(np.float32(0.02)), g.constant(np.uint8(120))
    w = g.constant(g.numbers.integers(-100, 100, (8, 4)).astype(np.int8))
    q = g.op("QuantizeLinear", [x, scale, zero])
    q = g.op("QLinearMatMul", [q, scale, zero, w, g.constant(np.float32(0.01)), g.constant(np.int8(0)), scale, zero])
    return [(g.op("DequantizeLinear", [q, scale, zero]), FLOAT, ["n", 4])]


def upsampling(g):
    x = g.input("x", ["n", 2, 4, 4])
    h = g.op("Resize", [x, "", g.constant(np.array([1, 1, 2, 2], dtype=np.float32))], mode="nearest")
    h = g.op("Pad", [h, g.ints(0, 0, 1, 1, 0, 0, 1, 1)], mode="reflect")
    return [(g.op("Concat", [h, g.op("Tanh", [h])], axis=1), FLOAT, ["n", 4, 10, 10])]


def einsums(g):
    x = g.input("x", ["n", 4, 6])
    h = g.op("Einsum", [x, g.weights(6, 5)], equation="bij,jk->bik")
    return [(g.op("Einsum", [h, h], equation="bik,bjk->bij"), FLOAT, ["n", 4, 4])]


def branches(g):
    x = g.input("x", ["n", 3])
    constant = lambda name: helper.make_graph([helper.make_node(name, ["x"], [f"{name}_y"])], name, [], [helper.make_tensor_value_info(f"{name}_y", FLOAT, ["n", 3])])
    return [(g.op("If", [g.constant(np.array(False))], then_branch=constant("Relu"), else_branch=constant("Tanh")), FLOAT, ["n", 3])]


def functions(g):
    g.input("x", ["n", 3])
    nodes = [helper.make_node("Softmax", ["a"], ["b"]), helper.make_node("Mul", ["a", "b"], ["c"])]
    attribute = helper.make_attribute("axis", 0)
    attribute.ref_attr_name = "over"
    attribute.ClearField("i")
    nodes[0].attribute.append(attribute)
    g.functions.append(helper.make_function("own", "Weigh", ["a"], ["c"], nodes, [helper.make_opsetid("", g.opset)], attributes=["over"]))
    return [(g.op("Weigh", ["x"], domain="own", over=1), FLOAT, ["n", 3])]


GOOD = {
    "mlp": mlp, "cnn-flatten": lambda g: cnn(g, "flatten"), "cnn-reshape": lambda g: cnn(g, "reshape"), "cnn-shape": lambda g: cnn(g, "shape"),
    "cnn-squeeze": lambda g: cnn(g, "squeeze"), "encoder-fixed": lambda g: encoder(g, 6), "encoder-open": lambda g: encoder(g, "t"),
    "bert-fixed": lambda g: bert(g, 6), "bert-open": lambda g: bert(g, "t"), "sequence-first": sequence_first, "class-token": class_token,
    "lstm": lambda g: recurrent_model(g, False), "lstm-state": lambda g: recurrent_model(g, True), "scikit-linear": scikit_linear,
    "scikit-network": scikit_network, "scikit-columns": scikit_columns, "trees": lambda g: trees(g, 1), "trees-label": lambda g: trees(g, 2),
    "qdq": quantised_pairs, "qlinear": quantised_operators, "upsampling": upsampling, "einsum": einsums, "if": branches, "function": functions,
}  # fmt: skip


# ── Graphs that must not share runs ────────────────────────────────────────────────────────────────────────────────────


def wide(g, step, shape=("n", 4)):
    x = g.input("x", list(shape))
    value, s = step(g, x, list(shape))
    return [(value, FLOAT, [f"d{place}" for place in range(len(s))])]


def function_over_rows(g):
    made = functions(g)
    g.nodes[-1].attribute[0].i = 0
    return made


BAD = {
    "dynamic-quantization": lambda g: wide(g, dynamic_quantization), "dynamic-product": lambda g: wide(g, dynamic_product),
    "softmax-rows": lambda g: wide(g, lambda g, x, s: (g.op("Softmax", [x], axis=0), s)),
    "mean-rows": lambda g: wide(g, lambda g, x, s: (g.op("Sub", [x, g.reduce("ReduceMean", x, [0], 1)]), s)),
    "max-all": lambda g: wide(g, lambda g, x, s: (g.op("Div", [x, g.op("ReduceMax", [x], keepdims=0)]), s)),
    "cumulative-rows": lambda g: wide(g, lambda g, x, s: (g.op("CumSum", [x, g.constant(np.int64(0))]), s)),
    "sorted-rows": lambda g: wide(g, lambda g, x, s: (g.op("Sub", [x, g.op("TopK", [x, g.ints(1)], 2, axis=0)[0]]), s)),
    "training": lambda g: wide(g, lambda g, x, s: (g.op("BatchNormalization", [x, *[g.weights(4) for _ in range(3)], g.constant(np.ones(4, dtype=np.float32))], 3, training_mode=1)[0], s)),
    "row-count": lambda g: wide(g, count_rows), "numbered": lambda g: wide(g, ranges), "gram": lambda g: wide(g, gram),
    "first-row": lambda g: wide(g, lambda g, x, s: (g.op("Add", [x, g.op("Gather", [x, g.ints(0)], axis=0)]), s)),
    "condition": lambda g: wide(g, lambda g, x, s: branch_of_rows(g, x, s)), "recurrent-rows": lambda g: wide(g, recurrent_rows, ("n", 2, 3)),
    "random": lambda g: wide(g, random_numbers), "non-zero": lambda g: wide(g, non_zero), "unique": lambda g: wide(g, unique),
    "function-rows": function_over_rows, "scan-rows": lambda g: wide(g, scan),
}  # fmt: skip


def branch_of_rows(g, x, s):
    while True:
        copy = (len(g.nodes), len(g.constants))
        made = branch(g, x, s)
        if any(node.op_type == "Greater" for node in g.nodes):
            return made
        del g.nodes[copy[0] :], g.constants[copy[1] :]


def recurrent_rows(g, x, s):
    y = g.op("GRU", [x, g.weights(1, 6, 3), g.weights(1, 6, 2)], hidden_size=2)
    return g.squeeze(y, 1), ["n", 2, 2]


def main():
    folder, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    for name, build in GOOD.items():
        for opset in (13, 17) if name not in ("upsampling",) else (13, 18):
            g = Graph(seed, opset)
            g.save(folder, f"good-{name}-{opset}", build(g))
    for name, build in BAD.items():
        g = Graph(seed, 17)
        g.save(folder, f"bad-{name}", build(g))
    for index in range(count):
        random_graph(folder, seed, index)


main()
