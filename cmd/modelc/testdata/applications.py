#!/usr/bin/env python3
"""Saves networks of keras.applications at full size, with what Keras computes.

    python applications.py DIR NAME ...

Each NAME (VGG16, ResNet50, ...) gets a folder DIR/NAME with model.keras,
model.h5, input_0.npy, output_0.npy and about.json. TestApplications runs it
for each network; VGG19, the largest, takes 1.2 GB of disk. Needs
tensorflow-cpu and keras.

The weights are seeded, not trained: the kernels as Keras initialises them,
every vector different from channel to channel, and the statistics of batch
normalisations measured on the inputs, so that values keep their scale through
the depth.
"""
import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np


def fill(model, rng):
    """Vectors that a fresh model has constant get a value per channel."""
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.Model):
            continue
        for v in layer.weights:
            if v.name == "gamma" and type(layer).__name__ == "LayerScale":
                v.assign(rng.uniform(0.1, 0.4, v.shape))
            elif v.name == "gamma":
                # Residual branches change little, as in trained networks: a
                # hundred of them would amplify rounding a thousandfold.
                ends = any(isinstance(n.operation, keras.layers.Add) for n in layer._outbound_nodes)
                v.assign(rng.uniform(0.02, 0.1, v.shape) if ends else rng.uniform(0.6, 1.4, v.shape))
            elif v.name in ("beta", "bias"):
                v.assign(rng.normal(0, 0.1, v.shape))


def calibrate(model, x):
    """Measures batch statistics on x, and spreads the logits over a few units."""
    norms = [l for l in model.layers if isinstance(l, keras.layers.BatchNormalization)]
    if norms:
        momentum = [l.momentum for l in norms]
        for l in norms:
            l.momentum = 0.0
        model(x, training=True)
        for l, m in zip(norms, momentum):
            l.momentum = m
            v = l.moving_variance.numpy()
            # A channel that the pictures hardly move would amplify all noise.
            l.moving_variance.assign(np.maximum(v, 0.1 * v.mean() + 1e-3))
    head = [l for l in model.layers if hasattr(l, "kernel")][-1]
    last, activation = model.layers[-1], getattr(model.layers[-1], "activation", None)
    if activation is keras.activations.softmax:
        last.activation = keras.activations.linear
        std = float(np.asarray(model(x)).std())
        last.activation = activation
        head.kernel.assign(head.kernel * (2 / max(std, 1e-9)))


def make(name, folder):
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    h = w = 299 if name in ("InceptionV3", "InceptionResNetV2", "Xception") else 224
    c = 3
    model = getattr(keras.applications, name)(weights=None, input_shape=(h, w, c))
    # Smooth pictures: noise of 1/16 the size, enlarged. Networks without
    # scaling layers of their own get them as preprocess_input would scale.
    coarse = rng.uniform(0, 255, (9, h // 16 + 2, w // 16 + 2, c)).astype("float32")
    x = np.asarray(keras.ops.image.resize(coarse, (h, w), interpolation="bicubic"))
    x = np.clip(x, 0, 255)
    if not any(type(l).__name__ in ("Rescaling", "Normalization") for l in model.layers):
        x = x / 127.5 - 1
    fill(model, rng)
    calibrate(model, x[1:])
    x = np.ascontiguousarray(x[:1], "float32")
    folder.mkdir(parents=True, exist_ok=True)
    y = np.asarray(model(x, training=False))
    np.save(folder / "input_0.npy", x)
    np.save(folder / "output_0.npy", y)
    model.save(folder / "model.keras")
    model.save(folder / "model.h5")
    about = {"parameters": model.count_params(), "keras": keras.__version__}
    (folder / "about.json").write_text(json.dumps(about) + "\n")
    print(f"{name}: {model.count_params():,} parameters, output {y.shape} in {y.min():.3g} .. {y.max():.3g}", flush=True)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    for name in sys.argv[2:]:
        make(name, pathlib.Path(sys.argv[1]) / name)


if __name__ == "__main__":
    main()
