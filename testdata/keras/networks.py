"""Trains small networks of the classic families with Keras and writes everything in this folder but itself.

    python -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python networks.py [NAME ...]

The digits are those of ../digits, whose train.py says where they are from and how they are enlarged; every
fifth is held out. Each network is saved as model.keras, model.h5 (the format of Keras 2) and model.onnx
(model.export, which is tf2onnx: a batch of any size, NHWC), beside what Keras makes of a dozen digits.
Results repeat on one machine; another may round otherwise and end at other weights.
"""

import json
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from keras import Sequential, layers
from PIL import Image
from sklearn.datasets import load_digits

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "digits"))
from train import SIZE, enlarge

EPOCHS, BATCH, RATE = 40, 32, 3e-3
SHEET = 20  # digits in a row of heldout.png


def lenet5():
    """LeCun et al. 1998, with Keras' usual tanh and average pooling."""
    return Sequential(
        [
            layers.Input((SIZE, SIZE, 1)),
            layers.Conv2D(6, 5, padding="same", activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Conv2D(16, 5, activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(120, activation="tanh"),
            layers.Dense(84, activation="tanh"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def vgg():
    """Pairs of 3x3 convolutions and max pooling, then dense layers with dropout: VGG, with the widths of a digit."""
    model = Sequential([layers.Input((SIZE, SIZE, 1))])
    for block, width in enumerate((8, 16, 24), 1):
        for i in (1, 2):
            model.add(layers.Conv2D(width, 3, padding="same", activation="relu", name=f"block{block}_conv{i}"))
        model.add(layers.MaxPooling2D(2, strides=2, name=f"block{block}_pool"))
    model.add(layers.Flatten())
    for i in (1, 2):
        model.add(layers.Dense(48, activation="relu", name=f"fc{i}"))
        model.add(layers.Dropout(0.3))
    model.add(layers.Dense(10, activation="softmax", name="predictions"))
    return model


def resnet_v1():
    """Basic blocks: convolution, normalisation, ReLU; the last ReLU after the sum (He et al. 2015)."""

    def conv(x, width, size, stride=1):
        x = layers.Conv2D(width, size, stride, padding="same", use_bias=False)(x)
        return layers.BatchNormalization(momentum=0.9)(x)

    inputs = layers.Input((SIZE, SIZE, 1))
    x = layers.ReLU()(conv(inputs, 8, 3))
    for width, stride in ((8, 1), (12, 2), (16, 2)):
        for stride in (stride, 1):
            shortcut = x if x.shape[-1] == width and stride == 1 else conv(x, width, 1, stride)
            y = layers.ReLU()(conv(x, width, 3, stride))
            x = layers.ReLU()(layers.Add()([conv(y, width, 3), shortcut]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def resnet_v2():
    """Pre-activation bottlenecks with identity mappings: normalisation and ReLU before each convolution (He et al. 2016)."""

    def active(x):
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    inputs = layers.Input((SIZE, SIZE, 1))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    for width, stride in ((16, 1), (24, 2), (32, 2)):
        for stride in (stride, 1):
            y = active(x)
            shortcut = x
            if x.shape[-1] != width or stride != 1:
                shortcut = layers.Conv2D(width, 1, stride)(y)
            y = active(layers.Conv2D(width // 4, 1, use_bias=False)(y))
            y = active(layers.Conv2D(width // 4, 3, stride, padding="same", use_bias=False)(y))
            x = layers.Add()([shortcut, layers.Conv2D(width, 1)(y)])
    x = layers.GlobalAveragePooling2D()(active(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def densenet():
    """DenseNet-BC with growth 8: bottlenecks, concatenation, compression by half (Huang et al. 2016)."""

    def conv(x, width, size):
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        return layers.Conv2D(width, size, padding="same", use_bias=False)(x)

    growth = 8
    inputs = layers.Input((SIZE, SIZE, 1))
    x = layers.Conv2D(2 * growth, 3, padding="same", use_bias=False)(inputs)
    for block in range(2):
        if block > 0:
            x = layers.AveragePooling2D(2)(conv(x, x.shape[-1] // 2, 1))
        for _ in range(3):
            x = layers.Concatenate()([x, conv(conv(x, 4 * growth, 1), growth, 3)])
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


NETWORKS = {f.__name__: f for f in (lenet5, vgg, resnet_v1, resnet_v2, densenet)}


def train(build, digits, labels):
    rng = np.random.default_rng(5)
    model = build()
    steps = EPOCHS * -(-len(digits) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(RATE, steps)
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=0.01), "sparse_categorical_crossentropy")
    for _ in range(EPOCHS):
        n = len(digits)
        x = enlarge(digits, rng.uniform(-2, 2, (2, n)), rng.uniform(0.85, 1.15, (2, n)))
        model.fit(x[..., None], labels, BATCH, verbose=0)
    keras.backend.clear_session()  # names of layers are numbered from the start
    plain = build()  # without the optimiser, whose state would be saved too
    plain.set_weights(model.get_weights())
    return plain


def main():
    data = load_digits()
    digits, labels = data.images / 16, data.target
    test = np.arange(len(digits)) % 5 == 4

    # The held-out digits as people and tests see them: 8-bit, row by row on one sheet.
    held_out = np.round(enlarge(digits[test]) * 255).astype(np.uint8)
    answers = labels[test]
    rows = -(-len(held_out) // SHEET)
    sheet = np.zeros((rows * SHEET, SIZE, SIZE), np.uint8)
    sheet[: len(held_out)] = held_out
    sheet = sheet.reshape(rows, SHEET, SIZE, SIZE).transpose(0, 2, 1, 3).reshape(rows * SIZE, SHEET * SIZE)
    Image.fromarray(sheet).save(HERE / "heldout.png", optimize=True)
    held_out = held_out[..., None].astype(np.float32) / 255

    about = HERE / "heldout.json"
    facts = json.loads(about.read_text()) if about.exists() else {"right": {}}
    facts["labels"] = "".join(map(str, answers))
    for name in sys.argv[1:] or NETWORKS:
        keras.backend.clear_session()
        keras.utils.set_random_seed(5)
        model = train(NETWORKS[name], digits[~test], labels[~test])
        right = int((model.predict(held_out, verbose=0).argmax(1) == answers).sum())
        facts["right"][name] = right
        print(f"{name}: {model.count_params()} parameters, {right} of {len(answers)} held-out digits right: {100 * right / len(answers):.1f} %", flush=True)

        folder = HERE / name
        folder.mkdir(exist_ok=True)
        model.save(folder / "model.keras")
        model.save(folder / "model.h5")
        model.export(folder / "model.onnx", format="onnx", verbose=False)
        np.save(folder / "input_0.npy", held_out[:12])
        np.save(folder / "output_0.npy", model.predict(held_out[:12], verbose=0))
    about.write_text(json.dumps(facts, indent=1) + "\n")


main()
