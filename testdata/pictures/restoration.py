"""Trains a U-Net that removes noise and an ESPCN that enlarges, and writes the folders unet and espcn.

    python -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python restoration.py [unet] [espcn]

Both learn from pictures that draw.py makes. Each folder gets model.onnx, a held-out picture before
and after as PNG, and what ONNX Runtime makes of it. A network takes some ten minutes. Results
repeat on one machine; another may round otherwise and end at other weights.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from draw import leaves, psnr, save, to_8bit

HERE = Path(__file__).parent
SIZE, PICTURES, SEED = 256, 80, 5
TILE = 192  # side of the pictures in the folders


class UNet(nn.Module):
    """Ronneberger et al. 2015 with three scales and padded convolutions: [N,3,H,W] with noise to [N,3,H,W]
    without, levels from 0 to 1, height and width multiples of 4. It computes the noise and subtracts it."""

    def __init__(self, widths=(16, 32, 64)):
        super().__init__()
        a, b, c = widths

        def double(i, o):
            return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.ReLU(), nn.Conv2d(o, o, 3, padding=1), nn.ReLU())

        self.down1, self.down2, self.bottom = double(3, a), double(a, b), double(b, c)
        self.up2, self.join2 = nn.ConvTranspose2d(c, b, 2, stride=2), double(2 * b, b)
        self.up1, self.join1 = nn.ConvTranspose2d(b, a, 2, stride=2), double(2 * a, a)
        self.noise = nn.Conv2d(a, 3, 1)

    def forward(self, picture):
        x1 = self.down1(picture)
        x2 = self.down2(F.max_pool2d(x1, 2))
        x = self.bottom(F.max_pool2d(x2, 2))
        x = self.join2(torch.cat([x2, self.up2(x)], 1))
        x = self.join1(torch.cat([x1, self.up1(x)], 1))
        return picture - self.noise(x)


class ESPCN(nn.Module):
    """Shi et al. 2016: [N,1,H,W] to [N,1,FACTOR*H,FACTOR*W], levels of brightness from 0 to 1. All work is done
    at the small size; channels become pixels at the end. They start from the pixel that they enlarge."""

    FACTOR = 3

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 64, 5, padding=2), nn.ReLU(), nn.Conv2d(64, 32, 3, padding=1), nn.ReLU(),
            nn.Conv2d(32, self.FACTOR**2, 3, padding=1),
        )

    def forward(self, luma):
        return F.pixel_shuffle(self.features(luma) + luma, self.FACTOR)


def luma(pictures):
    """Brightness as JPEG defines it: [..., 3] to [...]."""
    return pictures @ np.array([0.299, 0.587, 0.114], np.float32)


def shrunk(picture):
    """A picture [h, w] with levels from 0 to 1, FACTOR times smaller, with 8-bit levels."""
    h, w = picture.shape
    image = Image.fromarray(to_8bit(picture)).resize((w // ESPCN.FACTOR, h // ESPCN.FACTOR), Image.BICUBIC)
    return np.asarray(image, np.float32) / 255


def noisy(rng, pictures, deviation):
    """8-bit levels with noise; the deviation is in levels of 255."""
    return to_8bit(pictures + deviation / 255 * rng.standard_normal(pictures.shape)).astype(np.float32) / 255


def turned(rng, *pictures):
    """The same random one of eight orientations of each array [..., h, w]."""
    turns, flip = rng.integers(4), rng.integers(2)
    return [np.rot90(p[..., ::-1] if flip else p, turns, (-2, -1)) for p in pictures]


def denoising(rng, pictures, patch=64):
    """Returns a function that makes a batch: noisy [n,3,patch,patch], and clean."""
    pictures = pictures.transpose(0, 3, 1, 2)

    def batch(n):
        clean = []
        for _ in range(n):
            y, x = rng.integers(0, SIZE - patch, 2)
            p = pictures[rng.integers(len(pictures)), rng.permutation(3), y : y + patch, x : x + patch]
            clean += turned(rng, p)
        clean = np.stack(clean)
        return noisy(rng, clean, rng.uniform(5, 40, (n, 1, 1, 1))), clean

    return batch


def enlarging(rng, pictures, patch=24):
    """Returns a function that makes a batch: small [n,1,patch,patch], and large."""
    f = ESPCN.FACTOR
    large = luma(pictures)[:, : SIZE // f * f, : SIZE // f * f]
    small = np.stack([shrunk(p) for p in large])

    def batch(n):
        pairs = []
        for _ in range(n):
            i, (y, x) = rng.integers(len(small)), rng.integers(0, SIZE // f - patch, 2)
            s, l = small[i, y : y + patch, x : x + patch], large[i, f * y : f * (y + patch), f * x : f * (x + patch)]
            pairs.append(turned(rng, s[None], l[None]))
        s, l = zip(*pairs)
        return np.stack(s), np.stack(l)

    return batch


def train(net, batch, size, steps, rate):
    optimiser = torch.optim.Adam(net.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.1)
    total = 0
    for step in range(1, steps + 1):
        x, want = (torch.from_numpy(np.ascontiguousarray(a)) for a in batch(size))
        loss = F.l1_loss(net(x), want)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        total += loss.item()
        if step % 100 == 0:
            print(f"  step {step}: {total / 100:.5f}", flush=True)
            total = 0
    return net.eval()


def export(net, x, path):
    """Writes the network for any height and width; returns a function that runs it in ONNX Runtime."""
    path.parent.mkdir(exist_ok=True)
    name = "luma" if isinstance(net, ESPCN) else "picture"
    if isinstance(net, ESPCN):
        sides = {2: torch.export.Dim("height", max=8192), 3: torch.export.Dim("width", max=8192)}
    else:
        sides = {2: 4 * torch.export.Dim("rows", max=2048), 3: 4 * torch.export.Dim("columns", max=2048)}
    torch.onnx.export(
        net, (torch.from_numpy(x),), path, dynamo=True, dynamic_shapes=(sides,), opset_version=18,
        input_names=[name], output_names=["restored"], external_data=False, verbose=False,
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {name: x})[0]


def report(name, gains):
    """gains are pairs of PSNR: before and after, or without and with the network."""
    before, after = np.mean(gains, 0)
    print(f"{name}: {before:.2f} dB became {after:.2f} dB over {len(gains)} pictures; the first {gains[0][0]:.2f} dB, {gains[0][1]:.2f} dB")


def unet(pictures, held_out):
    net, batch = UNet(), denoising(np.random.default_rng(SEED), pictures)
    for steps in (1600, 2400):  # the rate rises and falls twice
        train(net, batch, 4, steps, 2e-3)
    folder = HERE / "unet"
    clean = to_8bit(held_out[:, :TILE, :TILE]).astype(np.float32) / 255
    before = noisy(np.random.default_rng(SEED), clean, 25)
    x = np.ascontiguousarray(before.transpose(0, 3, 1, 2))
    run = export(net, x[:1], folder / "model.onnx")
    after = np.concatenate([run(x[i : i + 1]) for i in range(len(x))])
    report("unet", [(psnr(b, c), psnr(a, c)) for b, a, c in zip(before, after.transpose(0, 2, 3, 1), clean)])
    save(clean[0], folder / "clean.png")
    save(before[0], folder / "noisy.png")
    np.save(folder / "output_0.npy", after[:1])


def espcn(pictures, held_out):
    net = train(ESPCN(), enlarging(np.random.default_rng(SEED), pictures), 16, 1600, 2e-3)
    folder = HERE / "espcn"
    large = [Image.fromarray(to_8bit(p[:TILE, :TILE])) for p in held_out]
    small = [p.resize((TILE // ESPCN.FACTOR,) * 2, Image.BICUBIC) for p in large]
    bicubic = [p.resize((TILE, TILE), Image.BICUBIC) for p in small]
    grey = lambda images: [np.asarray(p.convert("L"), np.float32)[None, None] / 255 for p in images]
    x = grey(small)
    run = export(net, x[0], folder / "model.onnx")
    after = [run(p) for p in x]
    report("espcn, after bicubic", [(psnr(b, l), psnr(a, l)) for b, a, l in zip(grey(bicubic), after, grey(large))])
    large[0].save(folder / "large.png", optimize=True)
    small[0].save(folder / "small.png", optimize=True)
    np.save(folder / "output_0.npy", after[0])


def main():
    torch.set_num_threads(1)  # results repeat
    rng = np.random.default_rng(SEED)
    held_out = np.stack([leaves(rng, SIZE) for _ in range(20)])
    pictures = np.stack([leaves(rng, SIZE) for _ in range(PICTURES)])
    for name in sys.argv[1:] or ("unet", "espcn"):
        torch.manual_seed(SEED)
        {"unet": unet, "espcn": espcn}[name](pictures, held_out)


if __name__ == "__main__":
    main()
