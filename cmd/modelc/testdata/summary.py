#!/usr/bin/env python3
"""Saves models with what Keras' summary() says of them.

    python summary.py
    python summary.py DIR NAME|FILE ...

Without arguments, prints the names of all networks of keras.applications. Each
NAME is one of them, or one of the functions below. It gets DIR/NAME.keras, with
fresh weights, and DIR/NAME.json: the name, class, output shape, number of
parameters and window of each layer, and the totals. A FILE gets its path with
.json added below DIR, or nothing if Keras cannot read it. Needs tensorflow-cpu
with Keras 3, or Keras 2 for a FILE.
"""
import json
import math
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
from keras import layers


def nested():
    """A model in a model, twice, with a frozen part."""
    inner = keras.Sequential([layers.Input((16, 16, 4)), layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()], name="block")
    x = keras.Input((16, 16, 3))
    first = layers.Conv2D(4, 1, trainable=False, name="frozen")
    y = first(x)
    y = layers.Add()([inner(y), y])
    y = inner(y)
    y = layers.GlobalAveragePooling2D()(y)
    shared = layers.Dense(4, name="shared")
    y = layers.Concatenate()([shared(y), shared(layers.ReLU()(y))])
    return keras.Model(x, layers.Dense(3, activation="softmax")(y))


def options():
    """Layers with weights that training does not change, and options of windows."""
    return keras.Sequential([
        layers.Input((20, 20, 3)),
        layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 2.0, 4.0]),
        layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
        layers.Conv2D(8, (3, 5), dilation_rate=2, groups=2),
        layers.BatchNormalization(scale=False),
        layers.SeparableConv2D(6, 3, strides=2),
        layers.PReLU(shared_axes=[1, 2]),
        layers.MaxPooling2D(2),
        layers.LayerNormalization(),
        layers.Conv2DTranspose(4, 2, strides=2),
        layers.Dropout(0.5),
        layers.Flatten(),
        layers.Dense(5, use_bias=False),
    ])


def build(name, **options):
    keras.backend.clear_session()
    return getattr(keras.applications, name)(weights=None, **options)


def shapes(layer):
    """The shapes of a layer's results, or None for several calls in Keras 2."""
    try:
        out = layer.output
    except AttributeError:
        return None
    return [list(o.shape) for o in (out if isinstance(out, (list, tuple)) else [out])]


def window(layer):
    """The options of a convolution or pool."""
    size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if not isinstance(size, (tuple, list)):
        return {}
    each = lambda x: list(x) if isinstance(x, (tuple, list)) else [x] * len(size)
    return {"kernel": each(size), "strides": each(layer.strides), "dilations": each(getattr(layer, "dilation_rate", 1)),
            "padding": layer.padding, "groups": getattr(layer, "groups", 1)}


def rows(model):
    """What summary() shows: layers, and operations that are no layers."""
    return model.layers if isinstance(model, keras.Sequential) else getattr(model, "operations", model.layers)


def describe(model, sized, path):
    """Writes what summary() says of a model to path, with the shapes of sized."""
    text = {"layers": [
        {"name": l.name, "class": type(l).__name__, "shapes": shapes(s), "parameters": l.count_params() if hasattr(l, "count_params") else 0, "window": window(l)}
        for l, s in zip(rows(model), rows(sized), strict=True)]}
    count = lambda ws: sum(math.prod(w.shape) for w in ws)
    text |= {"open": None in model.inputs[0].shape[1:], "trainable": count(model.trainable_weights), "others": count(model.non_trainable_weights)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(text))


def make(name, folder):
    if "." in name:
        keras.backend.clear_session()
        try:
            model = keras.models.load_model(name, compile=False)
        except Exception as e:
            print(name, "cannot be read:", type(e).__name__)
            return
        describe(model, model, folder / (name.strip("/") + ".json"))
        return
    if name in globals():
        keras.backend.clear_session()
        model = sized = globals()[name]()
    else:
        model = sized = build(name)
    if None in model.inputs[0].shape[1:]:
        # The shapes are those for images of 224 by 224.
        sized = build(name, input_shape=(224, 224, 3))
    describe(model, sized, folder / f"{name}.json")
    model.save(folder / f"{name}.keras")


def main():
    if len(sys.argv) == 1:
        print(*sorted(n for n in dir(keras.applications) if n[0].isupper()))
        return
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    for name in sys.argv[2:]:
        make(name, pathlib.Path(sys.argv[1]))


if __name__ == "__main__":
    main()
