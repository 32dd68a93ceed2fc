#!/usr/bin/env python3
"""Saves models of Keras 2, with what it computes: the TensorFlow operators that
become layers (TFOpLambda, SlicingOpLambda), as in object detectors, and layers
that differ from those of Keras 3.

    python sweep2.py DIR

A group of cases is one model, whose branches are the cases: DIR/GROUP holds
model.keras, model.h5, input_0.npy, output_N.npy and cases.json, which names each
output's case. TestKeras2Sweep runs this; it needs tensorflow-cpu 2.12 to 2.15.
"""
import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import tensorflow as tf

keras = tf.keras
L = keras.layers
K = keras.backend
IMAGE = (8, 10, 6)


def boxes(x):
    """The head of a YOLO: centres and sizes of boxes from an image of features."""
    n = tf.shape(x)
    y = tf.reshape(x, (n[0], n[1], n[2], 2, 3))
    xy, wh = tf.split(y, (2, 1), axis=-1)
    grid = tf.stack(tf.meshgrid(tf.range(IMAGE[1]), tf.range(IMAGE[0])), axis=-1)
    grid = tf.tile(grid[tf.newaxis, :, :, tf.newaxis, :], [n[0], 1, 1, 2, 1])
    xy = (tf.sigmoid(xy) * 1.2 - 0.1 + tf.cast(grid, tf.float32)) * 8
    wh = tf.exp(wh) * tf.constant([[3.0], [5.0]])
    y = tf.concat([xy - wh / 2, xy + wh / 2], -1)
    return tf.reshape(y, (tf.shape(y)[0], -1, 4))


GROUPS = {
    "arithmetic": {
        "operators": lambda x: [x + 1, 1 - x, x / 2, -x, x * x, abs(x), x ** 2, x % 2.0, x // 2.0],
        "comparisons": lambda x: [tf.cast(x > 0, tf.float32), tf.cast(x <= 0.5, tf.int32), tf.cast(tf.logical_and(x > 0, x < 1), tf.float32)],
        "squared_difference": lambda x: tf.math.squared_difference(x, 1.0),
        "divide_no_nan": lambda x: tf.math.divide_no_nan(x, tf.nn.relu(x)),
        "multiply_no_nan": lambda x: tf.math.multiply_no_nan(x, tf.nn.relu(x)),
        "add_n": lambda x: tf.add_n([x, x * 2, tf.nn.relu(x)]),
        "cumsum": lambda x: [tf.cumsum(x, axis=1), tf.cumsum(x, axis=-1)],
        "where": lambda x: tf.where(x > 0, x, 0.1 * x),
        "clip": lambda x: [tf.clip_by_value(x, -0.5, 0.5), K.clip(x, 0, 1), tf.maximum(x, 0.1), tf.minimum(x, 0.1)],
        "bias_add": lambda x: tf.nn.bias_add(x, np.arange(6, dtype="float32")),
        "matmul": lambda x: [tf.matmul(x, x, transpose_b=True), tf.matmul(x, np.ones((6, 2), "float32")), tf.linalg.matmul(x, x, transpose_a=True)],
        "tensordot": lambda x: tf.tensordot(x, np.ones((6, 2), "float32"), 1),
    },
    "functions": {
        "activations": lambda x: [tf.nn.relu(x), tf.nn.relu6(x), tf.nn.leaky_relu(x), tf.nn.leaky_relu(x, 0.1), tf.nn.elu(x), tf.nn.selu(x), tf.nn.silu(x),
                                  tf.nn.gelu(x), tf.nn.softplus(x), tf.nn.softsign(x), tf.nn.softmax(x), tf.nn.softmax(x, 1), tf.nn.log_softmax(x), tf.sigmoid(x), tf.tanh(x)],
        "swish": lambda x: tf.nn.swish(x),
        "crelu": lambda x: tf.nn.crelu(x),
        "mish": lambda x: x * tf.math.tanh(tf.math.softplus(x)),
        "backend": lambda x: [K.sigmoid(x), K.hard_sigmoid(x), K.relu(x, max_value=1.0), K.softplus(x), K.tanh(x), K.softmax(x), K.exp(x), K.square(x), K.abs(x), K.elu(x)],
        "logarithms": lambda x: [tf.math.log(tf.abs(x) + 1), tf.math.log1p(tf.abs(x)), tf.math.log_sigmoid(x), tf.math.exp(x), tf.math.expm1(x)],
        "roots": lambda x: [tf.sqrt(tf.abs(x)), tf.math.rsqrt(tf.abs(x) + 1), tf.square(x), tf.math.pow(x, 2), tf.math.reciprocal(x + 10)],
        "rounding": lambda x: [tf.floor(x * 3), tf.math.ceil(x * 3), tf.round(x * 3), tf.sign(x)],
        "trigonometry": lambda x: [tf.sin(x), tf.cos(x), tf.tan(x), tf.atan(x), tf.sinh(x), tf.cosh(x)],
        "likes": lambda x: [tf.zeros_like(x) + x, tf.ones_like(x) * x, tf.zeros_like(x), tf.ones_like(x)],
        "l2_normalize": lambda x: [tf.nn.l2_normalize(x, -1), tf.math.l2_normalize(x, [1, 2]), K.l2_normalize(x, -1)],
        "norm": lambda x: [tf.norm(x, axis=-1), tf.linalg.norm(x, axis=1, keepdims=True)],
        "local_response_normalization": lambda x: [tf.nn.local_response_normalization(x), tf.nn.lrn(x, 2, 1.5, 0.3, 0.75)],
        "batch_normalization": lambda x: tf.nn.batch_normalization(x, np.arange(6.0, dtype="float32"), np.arange(1.0, 7.0, dtype="float32"), np.ones(6, "float32"), np.full(6, 2, "float32"), 1e-3),
    },
    "reductions": {
        "reduce": lambda x: [tf.reduce_sum(x, -1), tf.reduce_mean(x, [1, 2]), tf.reduce_max(x, 1, keepdims=True), tf.reduce_min(x, [1, 2, 3]), tf.reduce_prod(x, 1)],
        "backend": lambda x: [K.mean(x, axis=1), K.sum(x, axis=-1, keepdims=True), K.max(x, axis=2), K.min(x, axis=1), K.mean(x, axis=[1, 2])],
        "std": lambda x: [tf.math.reduce_std(x, -1), tf.math.reduce_variance(x, 1), K.std(x, axis=1), K.var(x, axis=1)],
        "logsumexp": lambda x: tf.reduce_logsumexp(x, -1),
        "euclidean": lambda x: tf.math.reduce_euclidean_norm(x, -1),
        "any": lambda x: [tf.cast(tf.reduce_any(x > 1, -1), tf.float32), tf.cast(tf.reduce_all(x > -1, 1), tf.float32)],
        "argmax": lambda x: [tf.argmax(x, -1), tf.argmin(x, 1), K.argmax(x, axis=-1), tf.argmax(x, -1, output_type=tf.int32)],
        "moments": lambda x: list(tf.nn.moments(x, [1, 2])) + list(tf.nn.moments(x, -1, keepdims=True)),
        "top_k": lambda x: list(tf.math.top_k(x, 3)) + list(tf.nn.top_k(tf.reshape(x, (-1, 480)), k=5)),
        "count_nonzero": lambda x: tf.math.count_nonzero(tf.nn.relu(x), axis=-1),
    },
    "shapes": {
        "reshape": lambda x: [tf.reshape(x, (-1, 480)), tf.reshape(x, (tf.shape(x)[0], 80, 6)), tf.reshape(x, [-1, x.shape[1], 60]), K.reshape(x, (-1, 3)), K.batch_flatten(x)],
        "transpose": lambda x: [tf.transpose(x, (0, 3, 1, 2)), K.permute_dimensions(x, (0, 2, 1, 3)), tf.transpose(x)],
        "slices": lambda x: [x[..., 0], x[:, 1:3], x[:, ::2, :, 1], x[:, ::-1], x[..., tf.newaxis], x[:, -1], x[:, 2:, 3:-1, ...], x[:, None, ..., 2:4]],
        "strided_slice": lambda x: [tf.strided_slice(x, [0, 1, 2, 0], [2, 7, 9, 5], [1, 2, 1, 3]), tf.slice(x, [0, 1, 2, 0], [-1, 3, 4, 6]), tf.strided_slice(x, [0, 1], [1, 5], begin_mask=1, end_mask=1)],
        "concat": lambda x: [tf.concat([x, x * 2], -1), tf.concat([x, x], 1), K.concatenate([x, x]), tf.concat(values=[x, x], axis=2)],
        "stack": lambda x: [tf.stack([x, x * 2], axis=-1), tf.stack([x, x], axis=1), K.stack([x, x], axis=2)],
        "unstack": lambda x: tf.unstack(x, axis=-1)[:2] + tf.unstack(x, num=8, axis=1)[6:],
        "split": lambda x: tf.split(x, 3, axis=-1) + tf.split(x, (1, 2, 3), -1) + tf.split(x, [1, -1], axis=-1),
        "expand": lambda x: [tf.expand_dims(x, 1), tf.expand_dims(x, -1), K.expand_dims(x, 2), tf.squeeze(x[:, :1], [1]), K.squeeze(x[:, :, :1], 2)],
        "tile": lambda x: [tf.tile(x, [1, 2, 1, 1]), K.tile(x, [1, 1, 2, 1]), tf.repeat(x, 2, axis=1), K.repeat_elements(x, 2, axis=2), tf.tile(x, [tf.shape(x)[0], 1, 1, 2])],
        "pad": lambda x: [tf.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]]), tf.pad(x, [[0, 0], [1, 2], [2, 1], [0, 0]], "REFLECT"), tf.pad(x, [[0, 0], [1, 0], [0, 0], [0, 0]], constant_values=2.0), tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")],
        "gather": lambda x: [tf.gather(x, [0, 2], axis=-1), tf.gather(x, [3, 1, 1], axis=1), tf.gather(x, 2, axis=2)],
        "reverse": lambda x: [tf.reverse(x, [-1]), tf.reverse(x, [1, 2]), K.reverse(x, 1)],
        "roll": lambda x: tf.roll(x, 2, axis=1),
        "broadcast": lambda x: tf.broadcast_to(x[:, :1], tf.shape(x)),
        "one_hot": lambda x: tf.one_hot(tf.argmax(x, -1), 6),
        "depth": lambda x: [tf.nn.depth_to_space(x[..., :4], 2), tf.nn.space_to_depth(x, 2)],
        "shape": lambda x: tf.cast(tf.shape(x)[1:3], tf.float32) * x[:, 0, 0, :2],
        "size": lambda x: x / tf.cast(tf.size(x), tf.float32),
        "int_shape": lambda x: K.reshape(x, (-1, K.int_shape(x)[1] * K.int_shape(x)[2], 6)),
    },
    "images": {
        "resize": lambda x: [tf.image.resize(x, (16, 20)), tf.image.resize(x, (5, 7), "nearest"), tf.image.resize(x, (12, 9), "bicubic"), tf.image.resize(x, (4, 4), antialias=True)],
        "resize to a shape": lambda x: tf.image.resize(x[:, :4, :5], tf.shape(x)[1:3]),
        "resize twice": lambda x: tf.image.resize(x, (x.shape[1] * 2, x.shape[2] * 2), method=tf.image.ResizeMethod.NEAREST_NEIGHBOR),
        "resize keeping": lambda x: [tf.image.resize(x, (16, 16), preserve_aspect_ratio=True), tf.image.resize(x, (4, 9), preserve_aspect_ratio=True)],
        "resize area": lambda x: tf.image.resize(x, (4, 5), "area"),
        "resize of version 1": lambda x: [tf.compat.v1.image.resize_bilinear(x, (16, 20)), tf.compat.v1.image.resize_bilinear(x, (15, 13), align_corners=True), tf.compat.v1.image.resize_nearest_neighbor(x, (16, 20)),
                                          tf.compat.v1.image.resize_nearest_neighbor(x, (15, 13), align_corners=True), tf.compat.v1.image.resize_bilinear(x, (15, 13), half_pixel_centers=True), tf.compat.v1.image.resize_images(x, (16, 20))],
        "resize_images": lambda x: [K.resize_images(x, 2, 3, "channels_last"), K.resize_images(x, 2, 2, "channels_last", interpolation="bilinear")],
        "resize_with_pad": lambda x: [tf.image.resize_with_pad(x, 16, 16), tf.image.resize_with_pad(x, 5, 16)],
        "resize_with_crop_or_pad": lambda x: [tf.image.resize_with_crop_or_pad(x, 6, 13), tf.image.resize_with_crop_or_pad(x, 9, 7)],
        "flip": lambda x: [tf.image.flip_left_right(x), tf.image.flip_up_down(x)],
        "crop": lambda x: [tf.image.central_crop(x, 0.5), tf.image.crop_to_bounding_box(x, 1, 2, 3, 4), tf.image.pad_to_bounding_box(x, 1, 2, 12, 13)],
        "rgb_to_grayscale": lambda x: tf.image.rgb_to_grayscale(x[..., :3]),
        "grayscale_to_rgb": lambda x: tf.image.grayscale_to_rgb(x[..., :1]),
        "per_image_standardization": lambda x: tf.image.per_image_standardization(x),
        "adjust": lambda x: [tf.image.adjust_brightness(x, 0.2), tf.image.adjust_contrast(x, 1.5)],
        "rot90": lambda x: tf.image.rot90(x),
        "transpose": lambda x: tf.image.transpose(x),
    },
    "windows": {
        "max_pool": lambda x: [tf.nn.max_pool2d(x, 2, 2, "SAME"), tf.nn.max_pool2d(x, 3, 2, "VALID"), tf.nn.max_pool(x, [1, 3, 2, 1], [1, 1, 2, 1], "SAME"), tf.nn.max_pool(x, 5, 1, "SAME")],
        "avg_pool": lambda x: [tf.nn.avg_pool2d(x, 3, 2, "SAME"), tf.nn.avg_pool(x, 2, 2, "VALID")],
        "backend pool": lambda x: [K.pool2d(x, (2, 2), (2, 2), "same"), K.pool2d(x, (3, 3), (1, 1), "valid", pool_mode="avg")],
        "conv2d": lambda x: tf.nn.conv2d(x, np.linspace(-1, 1, 9 * 6 * 4).reshape(3, 3, 6, 4).astype("float32"), 2, "SAME"),
        "depthwise_conv2d": lambda x: tf.nn.depthwise_conv2d(x, np.linspace(-1, 1, 9 * 6 * 2).reshape(3, 3, 6, 2).astype("float32"), [1, 1, 1, 1], "SAME"),
    },
    "detectors": {
        "boxes": boxes,
        "scores": lambda x: tf.sigmoid(x[..., 4:5]) * tf.sigmoid(x[..., 5:]),
        "best": lambda x: tf.reduce_max(tf.nn.softmax(tf.reshape(x, (-1, 80, 6))), axis=-1, keepdims=True),
        "peaks": lambda x: x * tf.cast(tf.equal(x, tf.nn.max_pool2d(x, 3, 1, "SAME")), tf.float32),
        "coordinates": lambda x: tf.concat([x[..., ::-1], tf.cast(tf.tile(tf.range(8)[None, :, None, None], [tf.shape(x)[0], 1, 10, 1]), tf.float32)], -1),
        "upsample and join": lambda x: tf.concat([x, tf.image.resize(tf.nn.max_pool2d(x, 2, 2, "SAME"), (tf.shape(x)[1], tf.shape(x)[2]), method="nearest")], axis=3),
        "focus": lambda x: tf.concat([x[:, ::2, ::2, :], x[:, 1::2, ::2, :], x[:, ::2, 1::2, :], x[:, 1::2, 1::2, :]], -1),
        "shuffle": lambda x: tf.reshape(tf.transpose(tf.reshape(x, (-1, 8, 10, 2, 3)), (0, 1, 2, 4, 3)), (-1, 8, 10, 6)),
    },
    "refused": {
        "xdivy": lambda x: tf.math.xdivy(x, 2.0),
        "atan2": lambda x: tf.math.atan2(x, 2.0),
        "norm": lambda x: tf.norm(x, ord=3, axis=-1),
        "gather": lambda x: tf.gather(x, tf.argmax(x[:, 0, 0], -1), axis=-1),
        "batch_dims": lambda x: tf.gather(x, tf.zeros_like(tf.argmax(x, -1)), axis=3, batch_dims=3),
        "band_part": lambda x: tf.linalg.band_part(x, 1, 1),
        "one_hot": lambda x: tf.one_hot(tf.argmax(x, -1), 6, axis=1),
        "area": lambda x: tf.image.resize(x, (5, 7), "area"),
        "lanczos3": lambda x: tf.image.resize(x, (5, 7), "lanczos3"),
        "resize_bicubic": lambda x: tf.compat.v1.image.resize_bicubic(x, (5, 7)),
        "suppression": lambda x: tf.image.combined_non_max_suppression(tf.reshape(x, (-1, 120, 1, 4)), tf.reshape(x, (-1, 120, 4)), 5, 5)[0],
    },
    "layers": {
        "renorm": lambda x: [L.BatchNormalization(renorm=True)(x), L.BatchNormalization(renorm=True, scale=False)(x)],
        "sync": lambda x: L.experimental.SyncBatchNormalization()(x) if hasattr(L.experimental, "SyncBatchNormalization") else x,
        "activation": lambda x: [L.Conv2D(3, 2, activation=L.LeakyReLU(0.05))(x), L.Dense(3, activation=L.PReLU(shared_axes=[1, 2]))(x), L.SeparableConv2D(2, 2, activation=L.PReLU())(x),
                                 L.Activation(L.ReLU(max_value=1))(x), L.DepthwiseConv2D(3, activation=L.ELU(0.3))(x), L.Activation(L.PReLU())(x)],
        "relu": lambda x: [L.ReLU(6, 0.1, 0.2)(x), L.LeakyReLU()(x), L.ThresholdedReLU(0.3)(x), L.Activation("hard_sigmoid")(x), L.Activation("leaky_relu")(x), L.Activation("gelu")(x)],
        "again": lambda x: [L.Conv2D(6, 3, padding="same")(L.Conv2D(6, 3, padding="same")(L.Conv2D(6, 3, padding="same")(x))), L.Dense(4)(L.Dense(4)(x))],
        "models": lambda x: keras.Sequential([L.Conv2D(4, 3), keras.Sequential([L.Conv2D(4, 1), L.BatchNormalization(), L.Conv2D(4, 1)]), L.Conv2D(4, 1)])(x),
        "steps": lambda x: [L.TimeDistributed(L.Dense(3))(x), L.TimeDistributed(keras.Sequential([L.Conv1D(3, 2), L.BatchNormalization(), L.Conv1D(2, 2)]))(x)],
    },
}


def fill(model):
    rng = np.random.default_rng(7)
    for v in model.weights:
        if "float" in v.dtype.name:
            v.assign(rng.uniform(0.3, 2, v.shape) if "variance" in v.name else rng.normal(0, 0.5, v.shape))


def flat(y):
    return list(y) if isinstance(y, (list, tuple)) else [y]


def first_line(e):
    return (str(e).strip().splitlines() or [type(e).__name__])[0][:150]


def make(group, cases, folder):
    keras.backend.clear_session()
    x = keras.Input(IMAGE, name="image")
    outputs, names = [], []
    for name, build in cases.items():
        try:
            made = flat(build(x))
            keras.Model(x, made)
        except Exception as e:
            print(f"{group} {name}: Keras cannot build it: {first_line(e)}", flush=True)
            continue
        outputs += made
        names += [f"{name} {i}" for i in range(len(made))]
    model = keras.Model(x, outputs)
    fill(model)
    a = np.random.default_rng(3).normal(0, 1, (1, *IMAGE)).astype("float32")
    y = model.predict(a, verbose=0)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "input_0.npy", a)
    for i, v in enumerate(flat(y)):
        np.save(folder / f"output_{i}.npy", v)
    (folder / "cases.json").write_text(json.dumps(names))
    for file in "model.keras", "model.h5":
        try:
            if file == "model.keras" and tf.__version__.startswith("2.12."):
                model.save(folder / file, save_format="keras_v3")
            else:
                model.save(folder / file)
        except Exception as e:
            (folder / file).unlink(missing_ok=True)
            print(f"{group}: Keras cannot write {file}: {first_line(e)}", flush=True)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for group, cases in GROUPS.items():
        make(group, cases, pathlib.Path(sys.argv[1]) / group)


if __name__ == "__main__":
    import absl.logging
    absl.logging.set_verbosity(absl.logging.ERROR)
    tf.get_logger().setLevel("ERROR")
    main()
