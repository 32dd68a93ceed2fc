"""Trains LeNet-5 on handwritten digits and writes everything in this folder but itself.

    python -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python train.py

The digits are the 1797 of scikit-learn's load_digits: 8x8 pixels of 17 grey levels, by 13 writers.
They are enlarged to the framing of MNIST, 20 pixels high in an image of 28x28, white on black,
0 to 1. Every fifth is held out. Network, gradients and optimiser are written in numpy below: the
original LeNet-5 with tanh and average pooling, Adam, random shifts and scales. It takes half a
minute. Results repeat on one machine; another BLAS may round otherwise and end at other weights.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_digits

HERE = Path(__file__).parent
SIZE, DIGIT = 28, 20  # pixels of the image, and of the digit inside it
EPOCHS, BATCH, RATE = 60, 32, 2e-3


def enlarge(digits, shift=(0, 0), scale=(1, 1)):
    """[n, 8, 8] to [n, 28, 28] by bilinear interpolation, black outside; shift in output pixels.

    shift and scale are (vertical, horizontal), each a number or one per digit.
    """

    def rows(shift, scale):  # [n, 28, 8]: the weight of each source pixel in each output pixel
        centre = np.arange(SIZE)[None] - (SIZE - 1) / 2 - np.reshape(shift, (-1, 1))
        source = centre * 8 / DIGIT / np.reshape(scale, (-1, 1)) + 3.5
        return np.maximum(0, 1 - np.abs(source[:, :, None] - np.arange(8)))

    down, across = rows(shift[0], scale[0]), rows(shift[1], scale[1])
    return (down @ digits @ across.transpose(0, 2, 1)).astype(np.float32)


# The network: a layer is a function of its input that returns its output and a function from the
# gradient of the output to the gradient of the input, which also stores gradients of parameters.


def conv(p, name, pad=0):
    def forward(x):  # [n, c, h, w]
        w, b = p[name + ".weight"], p[name + ".bias"]
        k = w.shape[2]
        x = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
        windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3))
        n, c, h, wd = windows.shape[:4]
        columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * h * wd, c * k * k)
        y = columns @ w.reshape(len(w), -1).T + b
        y = y.reshape(n, h, wd, -1).transpose(0, 3, 1, 2)

        def backward(dy, grads):
            rows = dy.transpose(0, 2, 3, 1).reshape(n * h * wd, -1)
            grads[name + ".weight"] = (rows.T @ columns).reshape(w.shape)
            grads[name + ".bias"] = rows.sum(0)
            dcolumns = (rows @ w.reshape(len(w), -1)).reshape(n, h, wd, c, k, k)
            dx = np.zeros_like(x)
            for i in range(k):
                for j in range(k):
                    dx[:, :, i : i + h, j : j + wd] += dcolumns[..., i, j].transpose(0, 3, 1, 2)
            return dx[:, :, pad : x.shape[2] - pad, pad : x.shape[3] - pad]

        return y, backward

    return forward


def dense(p, name):
    def forward(x):
        def backward(dy, grads):
            grads[name + ".weight"] = dy.T @ x
            grads[name + ".bias"] = dy.sum(0)
            return dy @ p[name + ".weight"]

        return x @ p[name + ".weight"].T + p[name + ".bias"], backward

    return forward


def tanh(x):
    y = np.tanh(x)
    return y, lambda dy, grads: dy * (1 - y * y)


def average_pool(x):
    n, c, h, w = x.shape
    y = x.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))
    return y, lambda dy, grads: np.repeat(np.repeat(dy / 4, 2, 2), 2, 3)


def flatten(x):
    return x.reshape(len(x), -1), lambda dy, grads: dy.reshape(x.shape)


def lenet5(rng):
    shapes = {"conv1": (6, 1, 5, 5), "conv2": (16, 6, 5, 5), "fc1": (120, 400), "fc2": (84, 120), "fc3": (10, 84)}
    p = {}
    for name, shape in shapes.items():
        p[name + ".weight"] = (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        p[name + ".bias"] = np.zeros(shape[0], np.float32)
    layers = [conv(p, "conv1", pad=2), tanh, average_pool, conv(p, "conv2"), tanh, average_pool, flatten]
    layers += [dense(p, "fc1"), tanh, dense(p, "fc2"), tanh, dense(p, "fc3")]
    return p, layers


def logits(layers, x):
    for layer in layers:
        x, _ = layer(x)
    return x


def step(layers, x, labels):
    """The gradients of the mean cross-entropy over a batch."""
    backwards, grads = [], {}
    for layer in layers:
        x, backward = layer(x)
        backwards.append(backward)
    d = np.exp(x - x.max(1, keepdims=True))
    d /= d.sum(1, keepdims=True)
    d[np.arange(len(d)), labels] -= 1
    d /= len(d)
    for backward in reversed(backwards):
        d = backward(d, grads)
    return grads


def train(digits, labels):
    rng = np.random.default_rng(5)
    p, layers = lenet5(rng)
    moments = {k: (np.zeros_like(v), np.zeros_like(v)) for k, v in p.items()}
    steps = EPOCHS * (len(digits) // BATCH)
    t = 0
    for _ in range(EPOCHS):
        order = rng.permutation(len(digits))
        for i in range(0, len(order) - BATCH + 1, BATCH):
            batch = order[i : i + BATCH]
            x = enlarge(digits[batch], rng.uniform(-2, 2, (2, BATCH)), rng.uniform(0.85, 1.15, (2, BATCH)))
            grads = step(layers, x[:, None], labels[batch])
            t += 1
            rate = RATE * 0.5 * (1 + np.cos(np.pi * t / steps))
            for k, g in grads.items():  # Adam with decoupled weight decay
                m, v = moments[k]
                m += 0.1 * (g - m)
                v += 0.001 * (g * g - v)
                p[k] -= rate * ((m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8) + 0.01 * p[k])
    return p, layers


def export(p, path):
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    rows = [  # op, name, input, parameters, attributes; the value has the node's name
        ("Conv", "conv1", "image", True, {"kernel_shape": [5, 5], "pads": [2, 2, 2, 2]}),
        ("Tanh", "tanh1", "conv1", False, {}),
        ("AveragePool", "pool1", "tanh1", False, pool),
        ("Conv", "conv2", "pool1", True, {"kernel_shape": [5, 5]}),
        ("Tanh", "tanh2", "conv2", False, {}),
        ("AveragePool", "pool2", "tanh2", False, pool),
        ("Flatten", "flatten", "pool2", False, {"axis": 1}),
        ("Gemm", "fc1", "flatten", True, {"transB": 1}),
        ("Tanh", "tanh3", "fc1", False, {}),
        ("Gemm", "fc2", "tanh3", True, {"transB": 1}),
        ("Tanh", "tanh4", "fc2", False, {}),
        ("Gemm", "fc3", "tanh4", True, {"transB": 1}),
        ("Softmax", "softmax", "fc3", False, {"axis": 1}),
    ]
    nodes = []
    for op, name, source, parameters, attributes in rows:
        inputs = [source] + ([name + ".weight", name + ".bias"] if parameters else [])
        output = "probabilities" if op == "Softmax" else name
        nodes.append(helper.make_node(op, inputs, [output], name=name, **attributes))
    graph = helper.make_graph(
        nodes,
        "lenet5",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, SIZE, SIZE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(v, k) for k, v in p.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def main():
    data = load_digits()
    digits, labels = data.images / 16, data.target
    test = np.arange(len(digits)) % 5 == 4
    p, layers = train(digits[~test], labels[~test])

    held_out, answers = enlarge(digits[test])[:, None], labels[test]
    guesses = logits(layers, held_out).argmax(1)
    right = int((guesses == answers).sum())
    print(f"{right} of {len(guesses)} held-out digits right: {100 * right / len(guesses):.1f} %")

    export(p, HERE / "lenet5.onnx")

    # A held-out image of each digit that people can read too, and a second one of two, as 8-bit
    # PNGs; the tensors for `modelc verify` are made from those files, in the order of their names.
    for label, n, index in [(d, 0, 17) for d in range(10)] + [(3, 1, 12), (8, 1, 12)]:
        image = held_out[np.flatnonzero(answers == label)[index], 0]
        Image.fromarray(np.round(image * 255).astype(np.uint8)).save(HERE / f"{label}_{n}.png")
    images = [np.asarray(Image.open(f), np.float32) / 255 for f in sorted(HERE.glob("*.png"))]
    x = np.stack(images)[:, None]
    session = onnxruntime.InferenceSession(HERE / "lenet5.onnx", providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"image": x})
    (HERE / "data").mkdir(exist_ok=True)
    np.save(HERE / "data" / "input_0.npy", x)
    np.save(HERE / "data" / "output_0.npy", y)
    for f, scores in zip(sorted(HERE.glob("*.png")), y):
        print(f"{f.name}: {scores.argmax()} with {scores.max():.4f}")


if __name__ == "__main__":
    main()
