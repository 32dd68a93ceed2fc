#!/usr/bin/env python3
"""Saves models that hold every layer, activation and operation of Keras, in
the combinations of options that change the result, with what Keras computes.

    python sweep.py DIR [GROUP ...]

A group, all cases whose names begin alike, is one model, whose branches are
the cases: DIR/GROUP holds model.keras, model.h5, input_N.npy, output_N.npy and
cases.json, which names each output's case. What Keras itself cannot build or
run is printed with the reason. TestKerasSweep runs this; it needs
tensorflow-cpu and keras.
"""
import itertools
import json
import os
import pathlib
import sys
import zipfile
import zlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L
from keras import ops

CASES = {}
IMAGE = (7, 9, 6)  # odd, all different
FIRST = (6, 7, 9)  # the same with channels first
STEPS = (10, 6)


def case(name, build, *shapes, dtypes=None):
    """build maps the inputs to outputs; the shapes have no batch."""
    assert name not in CASES, name
    CASES[name] = (build, shapes or (IMAGE,), dtypes)


def grid(prefix, layer, shape=IMAGE, fixed=None, **options):
    """A case for each combination of options."""
    for values in itertools.product(*options.values()):
        kw = dict(zip(options, values))
        name = prefix + "".join("-" + str(v).replace(" ", "") for v in values)
        first = kw.get("data_format", (fixed or {}).get("data_format")) == "channels_first"
        s = (shape[-1], *shape[:-1]) if first else shape
        case(name, lambda x, kw=kw: layer(**(fixed or {}), **kw)(x), s)


FIRST_GROUP = "channels_first"
FORMATS = ["channels_last", "channels_first"]
PADDINGS = ["valid", "same"]

# --------------------------------------------------------------- convolution

grid("conv2d", L.Conv2D, fixed=dict(filters=5), kernel_size=[1, 3, (2, 5), 4], strides=[1, 2, (3, 1)], padding=PADDINGS)
grid("conv2d-dilated", L.Conv2D, fixed=dict(filters=5), kernel_size=[3, (2, 3)], dilation_rate=[2, (1, 3)], padding=PADDINGS)
grid("conv2d-groups", L.Conv2D, fixed=dict(filters=12, kernel_size=3, padding="same"), groups=[1, 2, 3, 6], use_bias=[True, False])
grid("conv2d-format", L.Conv2D, fixed=dict(filters=5), kernel_size=[2, 3], strides=[1, 2], padding=PADDINGS, data_format=FORMATS)
grid("conv2d-groups-format", L.Conv2D, fixed=dict(filters=4, kernel_size=3, groups=2), data_format=FORMATS)
grid("conv1d", L.Conv1D, STEPS, dict(filters=5), kernel_size=[1, 3, 4], strides=[1, 2], padding=["valid", "same", "causal"])
grid("conv1d-dilated", L.Conv1D, STEPS, dict(filters=5, kernel_size=3), dilation_rate=[2, 3], padding=["valid", "same", "causal"])
grid("conv1d-groups", L.Conv1D, STEPS, dict(filters=6, kernel_size=3), groups=[2, 3])
grid("conv1d-format", L.Conv1D, STEPS, dict(filters=4, kernel_size=3), strides=[1, 2], padding=PADDINGS, data_format=FORMATS)
grid("depthwise2d", L.DepthwiseConv2D, kernel_size=[1, 3, (2, 4)], strides=[1, 2], padding=PADDINGS, depth_multiplier=[1, 3])
grid("depthwise2d-dilated", L.DepthwiseConv2D, fixed=dict(kernel_size=3), dilation_rate=[2, (3, 2)], padding=PADDINGS)
grid("depthwise2d-strided", L.DepthwiseConv2D, fixed=dict(kernel_size=3, strides=2), dilation_rate=[2], padding=PADDINGS)
grid("separable2d-strided", L.SeparableConv2D, fixed=dict(filters=5, kernel_size=3, strides=2), dilation_rate=[2], padding=PADDINGS)
grid("depthwise2d-format", L.DepthwiseConv2D, fixed=dict(kernel_size=3, depth_multiplier=2), padding=PADDINGS, use_bias=[True, False], data_format=FORMATS)
grid("depthwise1d", L.DepthwiseConv1D, STEPS, kernel_size=[1, 3, 4], strides=[1, 2], padding=PADDINGS, depth_multiplier=[1, 2])
grid("depthwise1d-format", L.DepthwiseConv1D, STEPS, dict(kernel_size=3), data_format=FORMATS)
grid("separable2d", L.SeparableConv2D, fixed=dict(filters=5), kernel_size=[1, 3, (2, 4)], strides=[1, 2], padding=PADDINGS, depth_multiplier=[1, 2])
grid("separable2d-dilated", L.SeparableConv2D, fixed=dict(filters=5, kernel_size=3), dilation_rate=[2], padding=PADDINGS)
grid("separable2d-format", L.SeparableConv2D, fixed=dict(filters=5, kernel_size=3), use_bias=[True, False], data_format=FORMATS)
grid("separable1d", L.SeparableConv1D, STEPS, dict(filters=5), kernel_size=[1, 3], strides=[1, 2], padding=PADDINGS, depth_multiplier=[1, 2])
grid("separable1d-format", L.SeparableConv1D, STEPS, dict(filters=5, kernel_size=3), data_format=FORMATS)
grid("transpose2d", L.Conv2DTranspose, fixed=dict(filters=5), kernel_size=[1, 2, 3, (2, 5)], strides=[1, 2, 3, (1, 2)], padding=PADDINGS)
grid("transpose2d-output", L.Conv2DTranspose, fixed=dict(filters=5), kernel_size=[2, 3, 4], strides=[2, 3], padding=PADDINGS, output_padding=[0, 1, (1, 0)])
grid("transpose2d-dilated", L.Conv2DTranspose, fixed=dict(filters=5, kernel_size=3), dilation_rate=[2], padding=PADDINGS)
grid("transpose2d-format", L.Conv2DTranspose, fixed=dict(filters=5, kernel_size=3, strides=2), padding=PADDINGS, use_bias=[True, False], data_format=FORMATS)
grid("transpose1d", L.Conv1DTranspose, STEPS, dict(filters=5), kernel_size=[1, 3, 4], strides=[1, 2, 3], padding=PADDINGS)
grid("transpose1d-output", L.Conv1DTranspose, STEPS, dict(filters=5, kernel_size=3, strides=2), padding=PADDINGS, output_padding=[0, 1])
grid("transpose1d-format", L.Conv1DTranspose, STEPS, dict(filters=5, kernel_size=3, strides=2), data_format=FORMATS)
for name, layer, shape in [("conv2d", L.Conv2D, IMAGE), ("transpose2d", L.Conv2DTranspose, IMAGE), ("separable2d", L.SeparableConv2D, IMAGE), ("conv1d", L.Conv1D, STEPS)]:
    grid(name + "-act", layer, shape, dict(filters=5, kernel_size=3), activation=["relu", "gelu", "softmax", "hard_sigmoid"])
grid("depthwise2d-act", L.DepthwiseConv2D, fixed=dict(kernel_size=3), activation=["relu6", "silu"])
case("conv2d-one-pixel", lambda x: L.Conv2D(3, 1)(x), (1, 1, 6))
case("conv2d-larger-than-image-same", lambda x: L.Conv2D(3, 11, padding="same")(x))



def random_biases(n):
    """Convolutions with channels first whose results are often as wide as they have
    channels, where predict adds the bias of some layers along the width."""
    rng = np.random.default_rng(11)
    for i in range(n):
        kind, rank = rng.choice(["conv", "depthwise", "separable", "transpose"]), int(rng.integers(1, 3))
        width, channels = (int(v) for v in rng.integers(3, 6, 2))
        filters = width if rng.integers(2) else int(rng.integers(2, 6))
        if kind == "depthwise" and rng.integers(2):
            channels = width
        layer = {"conv": "Conv{}D", "depthwise": "DepthwiseConv{}D", "separable": "SeparableConv{}D", "transpose": "Conv{}DTranspose"}[kind].format(rank)
        kw = dict(kernel_size=int(rng.integers(1, 4)), padding="same", data_format="channels_first")
        if kind != "depthwise":
            kw["filters"] = filters
        case(f"{kind}-bias-channels_first-{i}", lambda x, layer=layer, kw=kw: getattr(L, layer)(**kw)(x), (channels, *[4] * (rank - 1), width))


random_biases(40)

# --------------------------------------------------------------------- dense

for rank, shape in enumerate([(6,), (5, 6), (3, 5, 6)]):
    grid(f"dense-{rank + 2}d", L.Dense, shape, dict(units=4), use_bias=[True, False], activation=[None, "relu", "softmax"])
case("dense-wide", lambda x: L.Dense(300, activation="tanh")(x), (257,))
case("einsum-dense", lambda x: L.EinsumDense("abc,cd->abd", output_shape=(None, 7), bias_axes="d")(x), (5, 6))

# ------------------------------------------------------------- normalization

grid("bn", L.BatchNormalization, scale=[True, False], center=[True, False], epsilon=[1e-3, 1e-5])
grid("bn-axis", L.BatchNormalization, axis=[1, 2, 3, -1, -2])
for rank, shape in enumerate([(6,), (5, 6), (3, 5, 4, 6)]):
    case(f"bn-{len(shape) + 1}d", lambda x: L.BatchNormalization()(x), shape)
case("bn-conv", lambda x: L.BatchNormalization()(L.Conv2D(8, 3)(x)))
case("bn-conv-channels_first", lambda x: L.BatchNormalization(axis=1)(L.Conv2D(8, 3, data_format="channels_first")(x)), FIRST)
case("bn-before-conv-same", lambda x: L.Conv2D(8, 3, padding="same")(L.BatchNormalization()(x)))
case("bn-before-conv-valid", lambda x: L.Conv2D(8, 3)(L.BatchNormalization()(x)))
case("bn-transpose", lambda x: L.BatchNormalization()(L.Conv2DTranspose(8, 3, strides=2)(x)))
case("bn-depthwise", lambda x: L.BatchNormalization()(L.DepthwiseConv2D(3, depth_multiplier=2)(x)))
case("bn-dense", lambda x: L.BatchNormalization()(L.Dense(7)(x)), (6,))
grid("ln", L.LayerNormalization, axis=[-1, 1, 2, (1, 2), (2, 3), (1, 2, 3), (-1, -2)])
grid("ln-params", L.LayerNormalization, scale=[True, False], center=[True, False])
case("ln-2d", lambda x: L.LayerNormalization(epsilon=1e-6)(x), (6,))
grid("gn", L.GroupNormalization, groups=[1, 2, 3, 6, -1], axis=[-1])
grid("gn-params", L.GroupNormalization, fixed=dict(groups=2), scale=[True, False], center=[True, False])
case("gn-first", lambda x: L.GroupNormalization(groups=2, axis=1)(x), FIRST)
case("gn-steps", lambda x: L.GroupNormalization(groups=2)(x), STEPS)
grid("un", L.UnitNormalization, axis=[-1, 1, (1, 2), (1, 2, 3)])
if hasattr(L, "RMSNormalization"):
    grid("rms", L.RMSNormalization, axis=[-1, 1, (2, 3)])

# ------------------------------------------------------------------- pooling

for name, layer in [("max2d", L.MaxPooling2D), ("avg2d", L.AveragePooling2D)]:
    grid(name, layer, pool_size=[2, 3, (2, 3)], strides=[None, 1, 2, (3, 2)], padding=PADDINGS)
    grid(name + "-format", layer, fixed=dict(pool_size=3, strides=2), padding=PADDINGS, data_format=FORMATS)
for name, layer in [("max1d", L.MaxPooling1D), ("avg1d", L.AveragePooling1D)]:
    grid(name, layer, STEPS, pool_size=[2, 3], strides=[None, 1, 2], padding=PADDINGS)
    grid(name + "-format", layer, STEPS, dict(pool_size=3), data_format=FORMATS)
for name, layer, shape in [("gmax2d", L.GlobalMaxPooling2D, IMAGE), ("gavg2d", L.GlobalAveragePooling2D, IMAGE), ("gmax1d", L.GlobalMaxPooling1D, STEPS), ("gavg1d", L.GlobalAveragePooling1D, STEPS)]:
    grid(name, layer, shape, keepdims=[True, False], data_format=FORMATS)
for name in ["AdaptiveAveragePooling2D", "AdaptiveMaxPooling2D"]:
    if hasattr(L, name):
        grid(name.lower(), getattr(L, name), output_size=[1, 3, (7, 3)])

# --------------------------------------------------------------- activations

ACTIVATIONS = """elu exponential gelu hard_sigmoid hard_silu hard_swish hard_tanh hard_shrink leaky_relu linear log_sigmoid
log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid sparsemax
squareplus swish tanh tanh_shrink threshold celu glu""".split()
for a in ACTIVATIONS:
    case("act-" + a, lambda x, a=a: L.Activation(a)(x))
    case("act-call-" + a, lambda x, a=a: getattr(keras.activations, a)(x))
case("act-dense-function", lambda x: L.Dense(5, activation=keras.activations.gelu)(x), (6,))
case("act-dense-layer", lambda x: L.Dense(5, activation=L.LeakyReLU(negative_slope=0.1))(x), (6,))
case("act-conv-layer", lambda x: L.Conv2D(5, 3, activation=L.ReLU(max_value=1.0))(x))
grid("relu", L.ReLU, max_value=[None, 1.0, 6.0], negative_slope=[0.0, 0.2], threshold=[0.0, 0.5])
grid("leakyrelu", L.LeakyReLU, negative_slope=[0.3, 0.01])
grid("elu", L.ELU, alpha=[1.0, 0.5])
for axes in [None, [1, 2], [1], [3], [1, 2, 3]]:
    case(f"prelu-{axes}".replace(" ", ""), lambda x, axes=axes: L.PReLU(shared_axes=axes)(x))
case("prelu-2d", lambda x: L.PReLU()(x), (6,))
grid("softmax", L.Softmax, axis=[-1, 1, 2, (1, 2), (-1, -2)])
for a, kw in [("relu", dict(negative_slope=0.1, max_value=2.0, threshold=0.2)), ("leaky_relu", dict(negative_slope=0.4)), ("elu", dict(alpha=0.7)), ("celu", dict(alpha=0.7)),
              ("gelu", dict(approximate=True)), ("softmax", dict(axis=1)), ("log_softmax", dict(axis=1)), ("hard_shrink", dict(threshold=0.3)), ("soft_shrink", dict(threshold=0.3)),
              ("glu", dict(axis=3)), ("squareplus", dict(b=2)), ("threshold", dict(threshold=0.1, default_value=-1.0))]:
    case(f"act-call-{a}-options", lambda x, a=a, kw=kw: getattr(keras.activations, a)(x, **kw))

# --------------------------------------------------------------------- shape

grid("flatten", L.Flatten, data_format=FORMATS)
case("flatten-2d", lambda x: L.Flatten()(x), (6,))
case("flatten-3d", lambda x: L.Flatten(data_format="channels_first")(x), (5, 6))
for target in [(63, 6), (-1,), (-1, 6), (9, 7, 6), (3, -1, 2), (1, 1, 378)]:
    case(f"reshape-{target}".replace(" ", ""), lambda x, t=target: L.Reshape(t)(x))
for dims in itertools.permutations((1, 2, 3)):
    case(f"permute-{dims}".replace(" ", ""), lambda x, d=dims: L.Permute(d)(x))
case("permute-2", lambda x: L.Permute((2, 1))(x), STEPS)
grid("pad2d", L.ZeroPadding2D, padding=[1, (2, 1), ((1, 2), (0, 3)), ((0, 1), (0, 1)), 0], data_format=FORMATS)
grid("pad1d", L.ZeroPadding1D, STEPS, padding=[1, (2, 1), 0])
grid("pad1d-format", L.ZeroPadding1D, STEPS, dict(padding=(1, 2)), data_format=FORMATS)
grid("crop2d", L.Cropping2D, cropping=[1, (2, 1), ((1, 2), (0, 3)), 0], data_format=FORMATS)
grid("crop1d", L.Cropping1D, STEPS, cropping=[1, (2, 1), 0])
grid("repeat", L.RepeatVector, (6,), n=[1, 5])
case("pad-conv", lambda x: L.Conv2D(5, 3)(L.ZeroPadding2D(1)(x)))
case("pad-conv-stride", lambda x: L.Conv2D(5, 3, strides=2)(L.ZeroPadding2D(((0, 1), (0, 1)))(x)))
case("pad-max", lambda x: L.MaxPooling2D(3, 2)(L.ZeroPadding2D(1)(x)))

# ------------------------------------------------------------------ resizing

grid("up2d", L.UpSampling2D, size=[2, (3, 1), (2, 3)], interpolation=["nearest", "bilinear"], data_format=FORMATS)
grid("up2d-cubic", L.UpSampling2D, interpolation=["bicubic", "lanczos3", "lanczos5"])
grid("up1d", L.UpSampling1D, STEPS, size=[1, 2, 3])
grid("resize", L.Resizing, height=[4, 7, 13], width=[5, 18], interpolation=["nearest", "bilinear", "bicubic"])
grid("resize-antialias", L.Resizing, fixed=dict(antialias=True, width=4), height=[3, 12], interpolation=["bilinear", "bicubic", "nearest"])
grid("resize-lanczos", L.Resizing, fixed=dict(height=4, width=12), interpolation=["lanczos3", "lanczos5", "area"])
grid("resize-crop", L.Resizing, fixed=dict(crop_to_aspect_ratio=True), height=[4, 13], width=[5, 6], data_format=FORMATS)
grid("resize-pad", L.Resizing, fixed=dict(pad_to_aspect_ratio=True), height=[4, 13], width=[5, 6], fill_value=[0.0, 1.5])
grid("resize-format", L.Resizing, fixed=dict(height=5, width=5), interpolation=["nearest", "bilinear"], data_format=FORMATS)
grid("centercrop", L.CenterCrop, height=[3, 4, 7], width=[2, 5, 9], data_format=FORMATS)
grid("centercrop-larger", L.CenterCrop, height=[8, 14], width=[5, 12])

# ------------------------------------------------------------------- scaling

case("rescaling", lambda x: L.Rescaling(1 / 127.5, offset=-1)(x))
case("rescaling-channels", lambda x: L.Rescaling([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], offset=[1, 2, 3, 4, 5, 6])(x))
for axis in [-1, None, 3, 1, (1, 3), (2, 3)]:
    def adapted(x, axis=axis):
        layer = L.Normalization(axis=axis)
        layer.adapt(np.random.default_rng(3).normal(2, 3, (11, *IMAGE)).astype("float32"))
        return layer(x)
    case(f"normalization-adapted-{axis}".replace(" ", ""), adapted)
case("normalization-given", lambda x: L.Normalization(mean=[1, 2, 3, 4, 5, 6], variance=[1, 4, 9, 1, 4, 9])(x))
case("normalization-scalar", lambda x: L.Normalization(axis=None, mean=1.5, variance=4)(x))
case("normalization-invert", lambda x: L.Normalization(mean=1.5, variance=4, invert=True)(x))
case("normalization-2d", lambda x: L.Normalization(mean=[1, 2, 3, 4, 5, 6], variance=[1, 4, 9, 1, 4, 9])(x), (6,))

# --------------------------------------------------- identities at inference

for name, layer in {
    "Dropout": lambda: L.Dropout(0.5), "SpatialDropout2D": lambda: L.SpatialDropout2D(0.5), "AlphaDropout": lambda: L.AlphaDropout(0.5),
    "GaussianDropout": lambda: L.GaussianDropout(0.5), "GaussianNoise": lambda: L.GaussianNoise(0.5), "ActivityRegularization": lambda: L.ActivityRegularization(0.1),
    "Identity": lambda: L.Identity(), "RandomFlip": lambda: L.RandomFlip(), "RandomRotation": lambda: L.RandomRotation(0.2), "RandomZoom": lambda: L.RandomZoom(0.2),
    "RandomTranslation": lambda: L.RandomTranslation(0.2, 0.2), "RandomContrast": lambda: L.RandomContrast(0.2), "RandomBrightness": lambda: L.RandomBrightness(0.2),
    "RandomShear": lambda: L.RandomShear(0.2, 0.2), "RandomHue": lambda: L.RandomHue(0.2, (0, 1)), "RandomSaturation": lambda: L.RandomSaturation(0.2),
    "RandomSharpness": lambda: L.RandomSharpness(0.2), "RandomColorJitter": lambda: L.RandomColorJitter((0, 1), 0.2), "RandomColorDegeneration": lambda: L.RandomColorDegeneration(0.2),
    "RandomGrayscale": lambda: L.RandomGrayscale(0.5), "RandomGaussianBlur": lambda: L.RandomGaussianBlur(), "RandomInvert": lambda: L.RandomInvert(0.5, value_range=(0, 1)),
    "RandomPosterization": lambda: L.RandomPosterization(4, value_range=(0, 1)), "RandomPerspective": lambda: L.RandomPerspective(), "RandomElasticTransform": lambda: L.RandomElasticTransform(),
    "RandomErasing": lambda: L.RandomErasing(), "AutoContrast": lambda: L.AutoContrast(value_range=(0, 1)), "Solarization": lambda: L.Solarization(value_range=(0, 1)),
    "Equalization": lambda: L.Equalization(value_range=(0, 1)), "RandomCrop": lambda: L.RandomCrop(5, 5),
    "AugMix": lambda: L.AugMix(value_range=(0, 1)), "RandAugment": lambda: L.RandAugment(value_range=(0, 1)), "CutMix": lambda: L.CutMix(), "MixUp": lambda: L.MixUp(),
}.items():
    case("identity-" + name, lambda x, layer=layer: L.Conv2D(2, 3)(layer()(x)), (8, 8, 3))
case("identity-SpatialDropout1D", lambda x: L.SpatialDropout1D(0.5)(x), STEPS)
case("identity-training-false", lambda x: L.Dropout(0.5)(x, training=False))

# ------------------------------------------------------------------- merging

for name in ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]:
    layer = getattr(L, name)
    case("merge-" + name, lambda x, y, layer=layer: layer()([x, y]), IMAGE, IMAGE)
    case("merge-broadcast-" + name, lambda x, y, layer=layer: layer()([x, y]), IMAGE, (1, 1, 6))
    case("merge-row-" + name, lambda x, y, layer=layer: layer()([x, y]), IMAGE, (7, 1, 1))
    if name != "Subtract":
        case("merge3-" + name, lambda x, y, z, layer=layer: layer()([x, y, z]), IMAGE, IMAGE, IMAGE)
    case("merge-rank-" + name, lambda x, y, layer=layer: layer()([x, y]), STEPS, (6,))
    low = getattr(L, name.lower())
    case("merge-function-" + name, lambda x, y, low=low: low([x, y]), IMAGE, IMAGE)
for axis in [-1, 1, 2, 3]:
    case(f"concat-{axis}", lambda x, y, axis=axis: L.Concatenate(axis=axis)([x, y]), IMAGE, IMAGE)
case("concat-different", lambda x, y, z: L.Concatenate()([x, y, z]), IMAGE, (7, 9, 1), (7, 9, 17))
case("concat-same-twice", lambda x: L.Concatenate()([x, x]))
for axes, a, b in [(1, (6,), (6,)), (-1, (5, 6), (4, 6)), ((2, 1), (5, 6), (6, 4)), (1, (5, 6), (5, 4)), ((1, 2), (5, 6), (4, 5))]:
    for normalize in [False, True]:
        case(f"dot-{axes}-{normalize}-{len(a)}".replace(" ", ""), lambda x, y, axes=axes, normalize=normalize: L.Dot(axes=axes, normalize=normalize)([x, y]), a, b)

# ------------------------------------------------------------------- wrapper

FRAMES = (4, *IMAGE)
for name, layer in {
    "conv": lambda: L.Conv2D(5, 3, padding="same"), "dense": lambda: L.Dense(4), "flatten": lambda: L.Flatten(), "pool": lambda: L.MaxPooling2D(2),
    "gap": lambda: L.GlobalAveragePooling2D(), "bn": lambda: L.BatchNormalization(), "relu": lambda: L.ReLU(), "pad": lambda: L.ZeroPadding2D(1),
    "reshape": lambda: L.Reshape((63, 6)), "dropout": lambda: L.Dropout(0.5), "up": lambda: L.UpSampling2D(2), "act": lambda: L.Activation("tanh"),
    "transpose": lambda: L.Conv2DTranspose(3, 2, strides=2), "ln": lambda: L.LayerNormalization(), "permute": lambda: L.Permute((3, 1, 2)),
    "model": lambda: keras.Sequential([keras.Input(IMAGE), L.Conv2D(3, 3), L.BatchNormalization(), L.Flatten()]),
}.items():
    case("td-" + name, lambda x, layer=layer: L.TimeDistributed(layer())(x), FRAMES)
case("td-td", lambda x: L.TimeDistributed(L.TimeDistributed(L.Dense(3)))(x), (3, 4, 5, 6))

# ----------------------------------------------------------------- structure


def block(name, inputs=IMAGE):
    i = keras.Input(inputs)
    y = L.Conv2D(6, 3, padding="same")(i)
    y = L.BatchNormalization()(y)
    return keras.Model(i, L.Add()([i, L.ReLU()(y)]), name=name)


def shared(x, y):
    conv = L.Conv2D(4, 3, name="twice")
    return L.Add()([conv(x), conv(y)])


def siamese(x, y):
    tower = keras.Sequential([keras.Input(IMAGE), L.Conv2D(4, 3), L.BatchNormalization(), L.GlobalAveragePooling2D()], name="tower")
    return L.Dot(axes=1, normalize=True)([tower(x), tower(y)])


def two_outputs():
    i = keras.Input(IMAGE)
    y = L.Conv2D(4, 3)(i)
    return keras.Model(i, [L.GlobalAveragePooling2D()(y), L.ReLU()(y)])


def two_inputs():
    a, b = keras.Input(IMAGE, name="a"), keras.Input(IMAGE, name="b")
    return keras.Model([a, b], L.Concatenate()([L.Conv2D(2, 3)(a), L.Conv2D(3, 3)(b)]))


def named_inputs():
    a, b = keras.Input(IMAGE, name="a"), keras.Input(IMAGE, name="b")
    return keras.Model({"left": a, "right": b}, L.Subtract()([L.Conv2D(2, 3)(a), L.Conv2D(2, 3)(b)]))


case("structure-nested", lambda x: block("outer")(block("inner")(x)))
case("structure-nested-twice", lambda x: (lambda b: b(b(x)))(block("b")))
case("structure-nested-nested", lambda x: keras.Sequential([keras.Input(IMAGE), block("a"), keras.Sequential([keras.Input(IMAGE), block("b"), L.Conv2D(2, 1)])])(x))
case("structure-shared", shared, IMAGE, IMAGE)
case("structure-siamese", siamese, IMAGE, IMAGE)
case("structure-two-outputs", lambda x: two_outputs()(x))
case("structure-one-of-two-outputs", lambda x: two_outputs()(x)[1])
case("structure-two-inputs", lambda x, y: two_inputs()([x, y]), IMAGE, IMAGE)
case("structure-named-inputs", lambda x, y: named_inputs()({"left": x, "right": y}), IMAGE, IMAGE)
case("structure-input-is-output", lambda x: [x, L.ReLU()(x)])
case("structure-output-twice", lambda x: (lambda y: [y, y])(L.ReLU()(x)))
case("structure-dict-outputs", lambda x: {"b": L.ReLU()(x), "a": L.Conv2D(2, 3)(x)})
case("structure-frozen", lambda x: (lambda b: (setattr(b, "trainable", False), b(x))[1])(block("frozen")))
case("structure-dead-branch", lambda x: (L.Conv2D(4, 3)(x), L.Conv2D(5, 3)(x))[1])
case("structure-odd-names", lambda x: L.Conv2D(3, 3, name="naïve 名")(L.BatchNormalization(name="a b-c.d")(x)))
case("structure-prelu-unused-key", lambda x: L.PReLU(name="p")(L.ReLU(name="r")(L.ReLU(name="r2")(L.PReLU(name="p2")(x)))))

# -------------------------------------------------------------------- dtypes

for policy in ["float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16"]:
    # A group each: a note on half precision is the whole model's.
    case(policy + "-layers", lambda x, p=policy: L.Dense(3, dtype=p)(L.Flatten(dtype=p)(L.BatchNormalization(dtype=p)(L.Conv2D(4, 3, dtype=p)(x)))))
for d in ["uint8", "int32", "float64", "bool"]:
    case("dtype-input-" + d, lambda x: L.Conv2D(4, 3)(L.Rescaling(0.5)(x)), dtypes=(d,))
case("float16-input", lambda x: L.Conv2D(4, 3)(L.Rescaling(0.5)(x)), dtypes=("float16",))
case("dtype-cast", lambda x: L.Conv2D(2, 3)(ops.cast(x, "float32") / 255.0), dtypes=("uint8",))

# ---------------------------------------------------------------- operations

UNARY = """abs absolute arccos arccosh arcsin arcsinh arctan arctanh ceil cos cosh exp expm1 floor log log1p log2 log10 negative
reciprocal round rsqrt sigmoid sign silu sin sinh softplus softsign sqrt square tan tanh relu relu6 elu selu gelu celu hard_sigmoid
hard_silu hard_tanh leaky_relu log_sigmoid mish erf erfinv squareplus soft_shrink hard_shrink sparse_plus tanh_shrink sparsemax glu
isnan isfinite logical_not zeros_like ones_like copy trunc exp2 cbrt nan_to_num deg2rad signbit softmax log_softmax
ravel nonzero sort argsort cumsum cumprod mean sum max min prod amax amin std var median any all
argmax argmin logsumexp transpose squeeze stop_gradient normalize""".split()
for name in UNARY:
    f = getattr(ops, name, None)
    if f is None:
        continue
    positive = name in ("log", "log1p", "log2", "log10", "sqrt", "rsqrt", "reciprocal", "arccosh")
    small = name in ("arccos", "arcsin", "arctanh", "erfinv")
    def unary(x, f=f, positive=positive, small=small):
        return f(ops.abs(x) + 1.25 if positive else ops.tanh(x) * 0.9 if small else x)
    case("op-" + name, unary)
for name in ["add", "subtract", "multiply", "divide", "true_divide", "floor_divide", "maximum", "minimum", "power", "mod", "greater", "greater_equal", "less", "less_equal",
             "equal", "not_equal", "logical_and", "logical_or", "arctan2", "logaddexp", "squared_difference", "hypot", "fmod", "matmul", "dot", "tensordot", "outer", "cross", "inner", "vdot", "where"]:
    f = getattr(ops, name, None)
    if f is None:
        continue
    case("op2-" + name, lambda x, y, f=f: f(x, y), IMAGE, (7, 6, 9) if name in ("matmul", "dot") else IMAGE)
    case("op2-scalar-" + name, lambda x, f=f: f(ops.abs(x) + 0.5, 2.5))
    case("op2-left-" + name, lambda x, f=f: f(2.5, ops.abs(x) + 0.5))
for name in ["mean", "sum", "max", "min", "prod", "amax", "amin", "std", "var", "any", "all", "logsumexp", "argmax", "argmin", "norm", "median", "ptp"]:
    f = getattr(ops, name, None)
    if f is None:
        continue
    for axis in [1, -1, (1, 2), None]:
        for keepdims in [False, True]:
            case(f"reduce-{name}-{axis}-{keepdims}".replace(" ", ""), lambda x, f=f, a=axis, k=keepdims: f(x, axis=a, keepdims=k))
OPERATORS = {
    "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y, "div": lambda x, y: x / y, "neg": lambda x, y: -x + y,
    "add-number": lambda x, y: x + 1.5 + 2 * y, "number-sub": lambda x, y: 1 - x * y, "number-div": lambda x, y: 1 / (ops.abs(x) + 1) + y, "pow": lambda x, y: x ** 2 + y,
    "abs": lambda x, y: abs(x) + y, "floordiv": lambda x, y: x // 0.5 + y, "mod": lambda x, y: x % 0.5 + y, "compare": lambda x, y: ops.where(x > y, x, y),
    "compare-number": lambda x, y: ops.where(x >= 0.25, x, y * 2), "and": lambda x, y: ops.where((x > 0) & (y > 0), x, y), "or": lambda x, y: ops.where((x > 0) | (y > 0), x, y),
    "invert": lambda x, y: ops.where(~(x > 0), x, y), "array": lambda x, y: x * np.arange(6, dtype="float32") + y, "list": lambda x, y: x + [1.0, 2, 3, 4, 5, 6] + y,
    "matmul": lambda x, y: x @ ops.transpose(y, (0, 1, 3, 2)), "not-equal": lambda x, y: ops.where(x != y, x, y),
}
for name, f in OPERATORS.items():
    case("operator-" + name, f, IMAGE, IMAGE)
INDEX = {
    "int": lambda x: x[:, 0], "last": lambda x: x[..., -1], "slice": lambda x: x[:, 1:3], "step": lambda x: x[:, ::2, 1::3], "reverse": lambda x: x[:, :, ::-1],
    "ellipsis": lambda x: x[..., :3], "new": lambda x: x[:, None], "new-end": lambda x: x[..., None], "mixed": lambda x: x[:, -2:, 3, None, ::-2], "negative": lambda x: x[:, -3:-1],
    "bgr": lambda x: x[..., ::-1], "halves": lambda x: x[..., :3] * x[..., 3:], "empty-rest": lambda x: x[:],
}
for name, f in INDEX.items():
    case("index-" + name, f)
SHAPES = {
    "reshape": lambda x: ops.reshape(x, (-1, 63, 6)), "reshape-batch": lambda x: ops.reshape(x, (x.shape[0] or -1, 378)), "transpose": lambda x: ops.transpose(x, (0, 3, 1, 2)),
    "expand": lambda x: ops.expand_dims(x, 1), "expand-last": lambda x: ops.expand_dims(x, -1), "expand-two": lambda x: ops.expand_dims(x, (1, 3)), "squeeze": lambda x: ops.squeeze(ops.mean(x, axis=1, keepdims=True), axis=1),
    "concatenate": lambda x: ops.concatenate([x, x * 2], axis=-1), "concatenate-1": lambda x: ops.concatenate([x, x * 2], axis=1), "stack": lambda x: ops.stack([x, -x], axis=1), "stack-last": lambda x: ops.stack([x, -x], axis=-1),
    "split": lambda x: ops.split(x, 3, axis=-1)[1], "split-at": lambda x: ops.split(x, [2, 5], axis=-1), "pad": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0))),
    "pad-value": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), constant_values=1.5), "pad-reflect": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), mode="reflect"),
    "pad-symmetric": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), mode="symmetric"), "pad-number": lambda x: ops.pad(x, 1)[:, 1:-1], "pad-pair": lambda x: ops.pad(x, (1, 1)),
    "tile": lambda x: ops.tile(x, (1, 2, 1, 3)), "repeat": lambda x: ops.repeat(x, 2, axis=1), "flip": lambda x: ops.flip(x, axis=2), "flip-all": lambda x: ops.flip(x, axis=(1, 2)), "roll": lambda x: ops.roll(x, 2, axis=1),
    "swapaxes": lambda x: ops.swapaxes(x, 1, 3), "moveaxis": lambda x: ops.moveaxis(x, 3, 1), "broadcast": lambda x: ops.broadcast_to(ops.mean(x, axis=(1, 2), keepdims=True), (1, 7, 9, 6)),
    "take": lambda x: ops.take(x, [0, 2], axis=-1), "clip": lambda x: ops.clip(x, -0.5, 0.5), "where-number": lambda x: ops.where(x > 0, x, 0.0), "cast": lambda x: ops.cast(x > 0, "float32"),
    "image-resize-crop": lambda x: ops.image.resize(x, (5, 6), crop_to_aspect_ratio=True), "image-resize-pad": lambda x: ops.image.resize(x, (5, 6), pad_to_aspect_ratio=True, fill_value=0.5),
    "image-resize": lambda x: ops.image.resize(x, (4, 5)), "image-resize-nearest": lambda x: ops.image.resize(x, (14, 18), interpolation="nearest"), "image-resize-antialias": lambda x: ops.image.resize(x, (3, 4), antialias=True),
    "image-pad": lambda x: ops.image.pad_images(x, 1, 2, target_height=10, target_width=13), "image-crop": lambda x: ops.image.crop_images(x, 1, 2, target_height=4, target_width=5),
    "conv": lambda x: ops.conv(x, np.ones((3, 3, 6, 2), "float32")), "max_pool": lambda x: ops.max_pool(x, 2), "average_pool": lambda x: ops.average_pool(x, 2, padding="same"),
    "einsum": lambda x: ops.einsum("bhwc,bhwd->bcd", x, x), "one_hot": lambda x: ops.one_hot(ops.argmax(x, axis=-1), 6), "normalize": lambda x: ops.normalize(x, axis=-1), "softmax-1": lambda x: ops.softmax(x, axis=1),
    "rescale": lambda x: (x - ops.mean(x, axis=(1, 2), keepdims=True)) / (ops.std(x, axis=(1, 2), keepdims=True) + 1e-3), "depth_to_space": lambda x: ops.reshape(ops.transpose(ops.reshape(x[..., :4], (-1, 7, 9, 2, 2)), (0, 1, 3, 2, 4)), (-1, 14, 18, 1)),
    "rgb-gray": lambda x: ops.image.rgb_to_grayscale(x[..., :3]), "shape-of": lambda x: ops.reshape(x, (ops.shape(x)[0], -1)), "unstack": lambda x: ops.unstack(x, axis=-1)[2], "ravel": lambda x: ops.reshape(x, (-1,)),
    "batch-norm": lambda x: ops.batch_normalization(x, np.zeros(6, "float32"), np.ones(6, "float32"), axis=-1), "layer-norm": lambda x: ops.layer_normalization(x),
    "max-number": lambda x: ops.maximum(x, 0), "squeeze-excite": lambda x: x * L.Dense(6, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x)),
}
for name, f in SHAPES.items():
    case("shape-" + name, f)


# What modelc does not read, in a model of its own: others would be refused with
# it.


def random_constants(n):
    """Constants of all shapes that broadcast. keras.ops.add takes some for biases."""
    rng = np.random.default_rng(12)
    for i in range(n):
        shape = tuple(int(v) for v in rng.integers(3, 5, int(rng.integers(1, 4))))
        wide = [d if rng.integers(3) == 0 else 1 for d in (1, *shape)][int(rng.integers(len(shape) + 1)):] or [1]
        c = rng.normal(0, 1, wide).astype("float32")
        op = rng.choice(["add", "radd", "subtract", "multiply", "maximum"])
        case(f"constant-{op}-{i}", lambda x, op=op, c=c: ops.add(c, x) if op == "radd" else getattr(ops, op)(x, c), shape)


random_constants(60)

REFUSED = tuple("""op-erfinv op-argsort op-cbrt op-cumprod op-cumsum op-deg2rad op-exp2 op-isfinite op-median op-nan_to_num op-nonzero
op-ones_like op-ravel op-signbit op-sort op-trunc op-zeros_like op2-arctan2 op2-scalar-arctan2 op2-left-arctan2 op2-dot op2-scalar-dot
op2-left-dot op2-fmod op2-scalar-fmod op2-left-fmod op2-hypot op2-scalar-hypot op2-inner op2-logaddexp op2-scalar-logaddexp op2-left-logaddexp
op2-outer op2-scalar-outer op2-left-outer op2-vdot reduce-median reduce-ptp resize-lanczos up2d-cubic-lanczos shape-unstack shape-image-crop
shape-image-pad shape-rgb-gray shape-average_pool shape-max_pool shape-batch-norm shape-layer-norm shape-conv shape-one_hot shape-einsum
adaptive einsum rms identity-AutoContrast identity-RandomCrop""".split())


def fill(model, rng):
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.Model):
            continue
        for v in layer.weights:
            if v.dtype not in ("float32", "float16", "bfloat16", "float64") or isinstance(layer, L.Normalization):
                continue
            if "variance" in v.name:
                v.assign(rng.uniform(0.3, 2, v.shape))
            elif v.name == "gamma" or v.name == "scale":
                v.assign(rng.uniform(0.5, 1.5, v.shape))
            else:
                v.assign(rng.normal(0, 0.4, v.shape))


def example(shape, dtype, rng):
    if dtype == "bool":
        return rng.uniform(0, 1, (2, *shape)) < 0.5
    if "int" in dtype:
        return rng.integers(0, 200, (2, *shape)).astype(dtype)
    return rng.normal(0, 1, (2, *shape)).astype(dtype)


def flat(y):
    if isinstance(y, dict):
        y = list(y.values())
    return list(y) if isinstance(y, (list, tuple)) else [y]


def connect(cases):
    """Returns the inputs that the cases share, and the outputs of each that
    Keras can build."""
    inputs, outputs = {}, {}
    for name in cases:
        build, shapes, dtypes = CASES[name]
        dtypes = dtypes or ("float32",) * len(shapes)
        args = []
        for key in zip(shapes, dtypes):
            pick = (*key, sum(a.shape[1:] == key[0] for a in args))
            if pick not in inputs:
                inputs[pick] = keras.Input(key[0], dtype=key[1], name=f"input_{len(inputs)}")
            args.append(inputs[pick])
        try:
            outputs[name] = flat(build(*args))
        except Exception as e:
            print(f"{name}: Keras cannot build it: {first_line(e)}", flush=True)
    return inputs, outputs


def predict(inputs, outputs, x, first):
    """The outputs of model.predict. It differs from a call of the model for biases of
    convolutions with channels first."""
    model = keras.Model(list(inputs.values()), [v for list_ in outputs.values() for v in list_])
    fill(model, np.random.default_rng(7))
    if first:
        return model, flat(model.predict(x, verbose=0))
    return model, [v.numpy() for v in tf.nest.flatten(tf.function(lambda a: model(a, training=False))(x))]


def make(group, cases, folder):
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(zlib.crc32(group.encode()))
    inputs, outputs = connect(cases)
    x = [example(shape, dtype, rng) for shape, dtype, _ in inputs]
    first = group == FIRST_GROUP
    try:
        model, y = predict(inputs, outputs, x, first)
    except Exception:
        for name in list(outputs):
            try:
                predict(inputs, {name: outputs[name]}, x, first)
            except Exception as e:
                print(f"{name}: Keras cannot run it: {first_line(e)}", flush=True)
                del outputs[name]
        model, y = predict(inputs, outputs, x, first)
    folder.mkdir(parents=True, exist_ok=True)
    for kind, list_ in ("input", x), ("output", y):
        for i, a in enumerate(list_):
            np.save(folder / f"{kind}_{i}.npy", a.astype("float32") if a.dtype.name == "bfloat16" else a)
    (folder / "cases.json").write_text(json.dumps([name for name, list_ in outputs.items() for _ in list_]))
    model.save(folder / "model.keras")
    try:
        model.save(folder / "model.h5")
    except Exception as e:
        (folder / "model.h5").unlink(missing_ok=True)
        print(f"{group}: Keras cannot write the .h5: {first_line(e)}", flush=True)


def mutants(folder, n):
    """Models of one layer whose configurations were changed at random. Keras loads
    them, and stores what it computes, or refuses them: then error.txt has the reason."""
    rng = np.random.default_rng(13)
    bases = {"conv2d": (L.Conv2D(4, 2), (5, 6, 4)), "conv1d": (L.Conv1D(4, 2), (6, 4)), "depthwise": (L.DepthwiseConv2D(2), (5, 6, 4)), "separable": (L.SeparableConv2D(4, 2), (5, 6, 4)),
             "transpose": (L.Conv2DTranspose(4, 2), (5, 6, 4)), "dense": (L.Dense(4), (5, 4)), "bn": (L.BatchNormalization(), (5, 6, 4)), "relu": (L.ReLU(), (5, 4)),
             "max": (L.MaxPooling2D(2), (5, 6, 4)), "average": (L.AveragePooling2D(2), (5, 6, 4)), "norm": (L.LayerNormalization(), (5, 4)), "upsampling": (L.UpSampling2D(2), (5, 6, 4)),
             "steps": (L.TimeDistributed(L.Dense(4)), (5, 6, 4)), "group": (L.GroupNormalization(2), (5, 6, 4)), "prelu": (L.PReLU(), (5, 4)), "flatten": (L.Flatten(), (5, 4))}
    values = {"strides": [1, [1, 1], [2, 2], [1, 2], [2, 1], [3], 0], "dilation_rate": [1, [1, 1], [2, 2], [1, 2], [2], 0], "padding": ["valid", "same", "causal", "SAME", "full"],
              "data_format": ["channels_first", "channels_last", None, "NCHW"], "groups": [1, 2, 4, 3, 0], "use_bias": [True, False], "activation": ["relu", "tanh", None, "nothing"],
              "kernel_size": [[2, 2], [2], 2, [1, 2]], "pool_size": [[2, 2], [3, 2], 2], "axis": [-1, 1, 0], "epsilon": [1e-3, 0.1], "center": [True, False], "scale": [True, False],
              "max_value": [None, 1.0, -1.0], "negative_slope": [0.0, 0.1, -0.1], "threshold": [0.0, 0.2], "filters": [4, 2, 0], "units": [4, 3], "interpolation": ["nearest", "bilinear", "other"],
              "size": [[2, 2], [3, 1], 2], "output_padding": [None, 0, 1, [1, 0]], "shared_axes": [None, [1]], "depth_multiplier": [1, 2], "rms_scaling": [False, True], "synchronized": [False, True]}
    names = {"registered_name": ["ws>{}", "{}", "Other", None], "module": [None, "lab.layers", "keras.layers", "__main__"], "class_name": ["ws>{}", "{}"]}
    functions = [{"module": "builtins", "class_name": "function", "config": "ws>relu", "registered_name": "function"}, {"module": "lab", "class_name": "function", "config": "relu", "registered_name": "relu"},
                 {"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "function"}, {"module": None, "class_name": "ReLU", "config": {"name": "r"}, "registered_name": "ReLU"},
                 {"module": "keras.layers", "class_name": "ReLU", "config": {"name": "r"}, "registered_name": None}]
    for i in range(n):
        name = list(bases)[i % len(bases)]
        base, shape = bases[name]
        keras.utils.set_random_seed(i)
        d = folder / f"{i:03}-{name}"
        d.mkdir(parents=True, exist_ok=True)
        model = keras.Sequential([keras.Input(shape), type(base).from_config(base.get_config())])
        fill(model, np.random.default_rng(7))
        model.save(d / "model.keras")
        with zipfile.ZipFile(d / "model.keras") as z:
            entries = {e: z.read(e) for e in z.namelist()}
        config = json.loads(entries["config.json"])
        entry = config["config"]["layers"][1]
        if name == "steps" and rng.integers(2):
            entry = entry["config"]["layer"]
        for _ in range(int(rng.integers(1, 3))):
            keys = [k for k in entry["config"] if k in values]
            if not keys or rng.integers(4) == 0:
                key = rng.choice(list(names))
                v = names[key][rng.integers(len(names[key]))]
                entry[key] = v and v.format(entry["class_name"].split(">")[-1])
            else:
                key = rng.choice(keys)
                entry["config"][key] = values[key][rng.integers(len(values[key]))]
                if key == "activation" and rng.integers(2):
                    entry["config"][key] = functions[rng.integers(len(functions))]
        entries["config.json"] = json.dumps(config).encode()
        with zipfile.ZipFile(d / "model.keras", "w") as z:
            for e, b in entries.items():
                z.writestr(e, b)
        x = np.random.default_rng(i).normal(0, 1, (1, *shape)).astype("float32")
        np.save(d / "input_0.npy", x)
        try:
            y = keras.saving.load_model(d / "model.keras", compile=False).predict(x, verbose=0)
            np.save(d / "output_0.npy", y)
        except Exception as e:
            (d / "error.txt").write_text(first_line(e))


def first_line(e):
    lines = [l for l in str(e).strip().splitlines() if "Exception encountered" not in l and l]
    return (lines or [type(e).__name__])[0][:150]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    groups = {}
    for name in CASES:
        group = name.split("-")[0]
        if name.startswith(REFUSED):
            group = "refused"
        elif "channels_first" in name and group.startswith(("conv", "depthwise", "separable", "transpose", "max", "avg", "bn")):
            group = FIRST_GROUP
        groups.setdefault(group, []).append(name)
    for group, cases in groups.items():
        if group in (sys.argv[2:] or groups):
            make(group, cases, pathlib.Path(sys.argv[1]) / group)
    if "mutants" in (sys.argv[2:] or ["mutants"]):
        keras.backend.clear_session()
        mutants(pathlib.Path(sys.argv[1]) / "mutants", 192)


if __name__ == "__main__":
    import absl.logging
    absl.logging.set_verbosity(absl.logging.ERROR)  # each .h5 warns of its age
    tf.get_logger().setLevel("ERROR")
    main()
