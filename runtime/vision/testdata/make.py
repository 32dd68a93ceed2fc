"""Writes what Pillow, TensorFlow and Keras make of two synthetic pictures, for the tests beside it.

    python -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python make.py

source.png holds gradients, edges and noise, so that every tap of a filter matters; alpha.png is the
same with transparency. Results of Pillow are 8-bit PNGs, of TensorFlow and Keras .npy files.
"""

import json
from pathlib import Path

import keras
import numpy as np
from keras.applications import imagenet_utils
from PIL import Image

HERE = Path(__file__).parent
WIDTH, HEIGHT = 61, 47


def source():
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    red = 255 * x / (WIDTH - 1)
    green = 255 * ((x // 5 + y // 7) % 2)
    blue = rng.integers(0, 256, (HEIGHT, WIDTH))
    return Image.fromarray(np.stack([red, green, blue], -1).astype(np.uint8))


def short_side(img, size, crop):
    """torchvision's Resize(size) and CenterCrop(crop) for PIL images."""
    w, h = img.size
    w, h = (size, int(size * h / w)) if w <= h else (int(size * w / h), size)
    img = img.resize((w, h), Image.BILINEAR)
    left, top = int(round((w - crop[0]) / 2.0)), int(round((h - crop[1]) / 2.0))
    return img.crop((left, top, left + crop[0], top + crop[1]))


img = source()
img.save(HERE / "source.png")
alpha = img.copy()
alpha.putalpha(Image.fromarray(np.tile(np.arange(WIDTH, dtype=np.uint8) * 4 + 1, (HEIGHT, 1))))
alpha.save(HERE / "alpha.png")

for name, size in {"shrink": (24, 20), "enlarge": (100, 90), "mixed": (30, 80), "same": (61, 47), "dot": (1, 1)}.items():
    for filter in ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"):
        img.resize(size, Image.Resampling[filter.upper()]).save(HERE / f"{filter}_{name}.png")
short_side(img, 32, (28, 28)).save(HERE / "crop_wide.png")
short_side(img.transpose(Image.Transpose.TRANSPOSE), 32, (28, 25)).save(HERE / "crop_tall.png")
img.convert("L").resize((24, 20), Image.BILINEAR).save(HERE / "grey.png")

for name, (w, h) in {"shrink": (24, 20), "enlarge": (66, 50)}.items():
    resized = keras.layers.Resizing(h, w)(np.asarray(img, np.float32)[None])
    np.save(HERE / f"sampled_{name}.npy", np.asarray(resized)[0])

levels = np.array([[10, 20, 30], [0, 128, 255]], np.float32)
modes = {m: imagenet_utils.preprocess_input(levels.copy()[None, None], mode=m)[0, 0].tolist() for m in ("caffe", "tf", "torch")}
(HERE / "presets.json").write_text(json.dumps({"levels": levels.tolist()} | modes, indent=1) + "\n")
