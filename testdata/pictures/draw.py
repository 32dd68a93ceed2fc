"""Draws the pictures that the networks of this folder learn from: no photograph is needed.

A picture is an array [height, width, 3] of float32 from 0 to 1. Things of all sizes lie over each
other, the small ones many and the large ones few, as in the "dead leaves" model of photographs:
their edges, flat parts and textures are distributed much as those of the world are. Everything is
drawn at twice its size and averaged down, so that edges are smooth.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SCALE = 2  # of the canvas that is averaged down


def fractal(rng, height, width, power):
    """[height, width] noise of mean 0 and deviation 1 whose amplitude falls as frequency^-power."""
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    amplitude = np.maximum(np.hypot(fy, fx), 1 / max(height, width)) ** -power
    amplitude[0, 0] = 0
    noise = np.fft.irfft2(amplitude * np.fft.rfft2(rng.standard_normal((height, width))), (height, width))
    return (noise / (noise.std() + 1e-9)).astype(np.float32)


def colour(rng):
    """A random colour; most are dull, some are bright."""
    strength = 0.3 if rng.random() < 0.25 else 0.08
    return np.clip(rng.uniform(0.03, 0.97) + strength * rng.standard_normal(3), 0, 1).astype(np.float32)


def paint(rng, height, width):
    """[height, width, 3] of one colour, of a slope between two, of stripes or of a texture."""
    base = np.broadcast_to(colour(rng), (height, width, 3)).copy()
    kind = rng.random()
    if kind < 0.3:
        return base
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y
    if kind < 0.55:  # slope
        part = (along - along.min()) / (np.ptp(along) + 1)
    elif kind < 0.7:  # stripes
        part = 0.5 + 0.5 * np.tanh(rng.uniform(1, 6) * np.sin(along * 2 * np.pi / rng.uniform(5, 40)))
        part *= rng.uniform(0.2, 1)
    else:
        part = np.clip(0.5 + 0.35 * fractal(rng, height, width, rng.uniform(0.4, 1.8)), 0, 1) * rng.uniform(0.1, 1)
    return base + part[..., None] * (colour(rng) - base)


def turned(points, angle, centre, radius):
    """Points of a unit outline as Pillow takes them: turned, enlarged and moved."""
    c, s = np.cos(angle), np.sin(angle)
    return [tuple(p) for p in (np.asarray(points) @ np.array([[c, s], [-s, c]])) * radius + centre]


def blob(rng, corners=24):
    """A smooth closed outline around the origin, about 1 away from it."""
    t = np.arange(corners) * 2 * np.pi / corners
    r = 1 + sum(0.3 / k * np.cos(k * t + rng.uniform(0, 6)) for k in (2, 3, 4, 5))
    return np.stack([r * np.cos(t), r * np.sin(t)], 1)


def shard(rng):
    """An irregular polygon."""
    t = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 9)))
    r = rng.uniform(0.5, 1, (len(t), 1))
    return r * np.stack([np.cos(t), np.sin(t)], 1)


def writing(rng, pen, centre, radius):
    """Strokes in a row, like letters."""
    letters, width = rng.integers(3, 9), max(1, int(radius * rng.uniform(0.08, 0.2)))
    angle = rng.normal(0, 0.3)
    for i in range(letters):
        for _ in range(rng.integers(2, 4)):
            ends = rng.uniform(-0.5, 0.5, (rng.integers(2, 4), 2)) * (0.8, 1.6) + (i - letters / 2, 0)
            pen.line(turned(ends * 0.5, angle, centre, radius), 255, width, joint="curve")


def lay(canvas, mask, fill):
    """Covers the canvas with fill where the mask (a Pillow image of mode L) is white."""
    box = mask.getbbox()
    if box is None:
        return
    x0, y0, x1, y1 = box
    opacity = np.asarray(mask.crop(box), np.float32)[..., None] / 255
    part = canvas[y0:y1, x0:x1]
    part += opacity * (fill(y1 - y0, x1 - x0) - part)


def ground(rng, size):
    """A canvas of SCALE * size with a slope and a texture."""
    n = size * SCALE
    return np.clip(paint(rng, n, n) + rng.uniform(0, 0.12) * fractal(rng, n, n, rng.uniform(0.8, 1.6))[..., None], 0, 1)


def radius_of(rng, low, high):
    """From low to high with a density that falls as radius^-2."""
    return 1 / (1 / low + rng.random() * (1 / high - 1 / low))


def clutter(rng, canvas, things, irregular=False):
    """Lays things over the canvas; only irregular ones where the regular mean something."""
    n = len(canvas)
    kinds = ["blob", "shard", "writing", "curve"] + ([] if irregular else ["ellipse", "box"])
    for _ in range(things):
        radius, centre = radius_of(rng, 8, n * 0.4), rng.uniform(0, n, 2)
        mask = Image.new("L", (n, n))
        pen = ImageDraw.Draw(mask)
        angle = rng.uniform(0, 2 * np.pi)
        match kinds[rng.integers(len(kinds))]:
            case "blob":
                pen.polygon(turned(blob(rng), angle, centre, radius), 255)
            case "shard":
                pen.polygon(turned(shard(rng), angle, centre, radius), 255)
            case "writing":
                writing(rng, pen, centre, radius)
            case "curve":
                line = np.cumsum(rng.normal(0, 0.5, (8, 2)), 0)
                pen.line(turned(line, angle, centre, radius), 255, int(rng.uniform(2, 10)), joint="curve")
            case "ellipse":
                t = np.arange(48) * 2 * np.pi / 48
                ring = np.stack([np.cos(t), rng.uniform(0.4, 1) * np.sin(t)], 1)
                pen.polygon(turned(ring, angle, centre, radius), 255)
            case "box":
                w, h = rng.uniform(0.3, 1, 2)
                pen.polygon(turned([(-w, -h), (w, -h), (w, h), (-w, h)], angle, centre, radius), 255)
        lay(canvas, mask, lambda h, w: paint(rng, h, w))


def shrink(canvas):
    """Averages SCALE x SCALE pixels."""
    n = len(canvas) // SCALE
    return canvas.reshape(n, SCALE, n, SCALE, 3).mean((1, 3))


def leaves(rng, size):
    """A picture [size, size, 3] full of things."""
    canvas = ground(rng, size)
    clutter(rng, canvas, int(rng.uniform(0.3, 0.8) * size))
    return shrink(canvas)


def to_8bit(picture):
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def save(picture, path):
    """As an 8-bit PNG."""
    Image.fromarray(to_8bit(picture)).save(path, optimize=True)


def psnr(a, b):
    """How near two pictures with levels from 0 to 1 are, in dB."""
    return float(-10 * np.log10(np.mean((np.asarray(a, np.float64) - b) ** 2)))


CLASSES = ("circle", "ring", "triangle", "square", "star", "cross")


def outline(name, rng):
    """The outline of a class around the origin, and of its hole, which may be empty."""
    t = np.arange(48) * 2 * np.pi / 48
    circle = np.stack([np.cos(t), np.sin(t)], 1)

    def corners(n, inner=None):
        t = np.arange(n if inner is None else 2 * n) * np.pi * (2 if inner is None else 1) / n
        r = 1 if inner is None else np.where(np.arange(2 * n) % 2, inner, 1)[:, None]
        return r * np.stack([np.sin(t), -np.cos(t)], 1)

    a = rng.uniform(0.25, 0.36)
    cross = [(-a, -1), (a, -1), (a, -a), (1, -a), (1, a), (a, a), (a, 1), (-a, 1), (-a, a), (-1, a), (-1, -a), (-a, -a)]
    return {
        "circle": (circle, None),
        "ring": (circle, circle * rng.uniform(0.45, 0.7)),
        "triangle": (corners(3), None),
        "square": (corners(4), None),
        "star": (corners(5, rng.uniform(0.38, 0.5)), None),
        "cross": (np.array(cross), None),
    }[name]


def scene(rng, size):
    """A picture [size, size, 3] of signs before clutter, and its boxes [n, 5]: class, x0, y0, x1, y1 in pixels.

    The signs are of the classes above, of any colour and turn, a little squeezed, without overlap; then the
    picture is blurred and gets noise. The clutter has no regular shapes.
    """
    canvas = ground(rng, size)
    clutter(rng, canvas, int(rng.uniform(5, 35)), irregular=True)
    n = len(canvas)
    boxes = []
    for _ in range(rng.integers(2, 11)):
        kind = rng.integers(len(CLASSES))
        radius = radius_of(rng, 10 * SCALE, n * 0.24)
        shape = np.diag(rng.uniform(0.8, 1.1, 2))
        points, hole = (p if p is None else p @ shape for p in outline(CLASSES[kind], rng))
        angle, centre = rng.uniform(0, 2 * np.pi), rng.uniform(radius * 0.8, n - radius * 0.8, 2)
        edge = np.array(turned(points, angle, centre, radius))
        x0, y0, x1, y1 = box = np.clip([*edge.min(0), *edge.max(0)], 0, n)
        if any(x0 < b[3] and b[1] < x1 and y0 < b[4] and b[2] < y1 for b in boxes):
            continue
        mask = Image.new("L", (n, n))
        pen = ImageDraw.Draw(mask)
        pen.polygon(turned(points, angle, centre, radius), 255)
        if hole is not None:
            pen.polygon(turned(hole, angle, centre, radius), 0)
        under = canvas[int(y0) : int(y1), int(x0) : int(x1)].mean((0, 1))
        fill = colour(rng)
        while np.abs(fill - under).max() < 0.3:
            fill = colour(rng)
        strength = rng.uniform(0, 0.25)
        lay(canvas, mask, lambda h, w: fill + strength * (paint(rng, h, w) - fill))
        if hole is None and rng.random() < 0.3:  # a sign with a rim
            mask = Image.new("L", (n, n))
            ImageDraw.Draw(mask).polygon(turned(points, angle, centre, radius * rng.uniform(0.7, 0.85)), 255)
            lay(canvas, mask, lambda h, w: paint(rng, h, w))
        boxes.append((kind, *box))
    picture = Image.fromarray(to_8bit(shrink(canvas))).filter(ImageFilter.GaussianBlur(rng.uniform(0, 1)))
    picture = np.asarray(picture, np.float32) / 255
    picture = picture + rng.uniform(0, 0.04) * rng.standard_normal(picture.shape)
    boxes = np.array(boxes, np.float32).reshape(-1, 5)
    boxes[:, 1:] /= SCALE
    return to_8bit(picture).astype(np.float32) / 255, boxes
