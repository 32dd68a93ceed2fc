"""Trains a YOLO-like detector of signs and writes the folder yolo.

    python -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python detection.py

It learns from pictures that draw.py makes. The folder gets model.onnx with the whole head, down to
the list of boxes, a held-out picture as PNG, and what ONNX Runtime makes of it. Results repeat on
one machine; another may round otherwise and end at other weights.
"""

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn
from torch.nn import functional as F

from draw import CLASSES, save, scene

HERE = Path(__file__).parent
SIZE = 256  # of the exported network's picture
TRAIN_SIZE, SEED, BATCH, RATE = 192, 5, 8, 3e-3
CYCLES = ((700, 1500), (300, 1300))  # scenes to learn from, and steps; the rate rises and falls in each
STRIDES, ANCHORS = (8, 16), (32, 80)  # pixels a cell; the side of the box that a zero means
MOST = 50  # boxes of a class
IOU, SCORE = 0.45, 0.3  # boxes that overlap more are one; worse ones are none


class Conv(nn.Sequential):
    """Convolution, normalisation, SiLU: YOLOv5's block."""

    def __init__(self, i, o, size=3, stride=1):
        super().__init__(
            nn.Conv2d(i, o, size, stride, size // 2, bias=False), nn.BatchNorm2d(o, eps=1e-3, momentum=0.03), nn.SiLU()
        )


class Yolo(nn.Module):
    """A YOLOv5 of small widths with two scales and one anchor each: [N,3,H,W] with levels from 0 to 1, sides
    multiples of 16, to one row per cell and scale, [N,rows,5+classes]: centre, width and height in pixels,
    the certainty that it is an object, and that of each class if it is."""

    def __init__(self):
        super().__init__()
        row = 5 + len(CLASSES)
        self.fine = nn.Sequential(Conv(3, 16, 3, 2), Conv(16, 24, 3, 2), Conv(24, 24), Conv(24, 40, 3, 2), Conv(40, 40))
        self.coarse = nn.Sequential(Conv(40, 64, 3, 2), Conv(64, 64))
        self.lateral = Conv(64, 32, 1)
        self.join = Conv(72, 40)
        self.heads = nn.ModuleList(
            [nn.Sequential(Conv(40, 40), nn.Conv2d(40, row, 1)), nn.Sequential(Conv(64, 48), nn.Conv2d(48, row, 1))]
        )
        for head in self.heads:
            nn.init.constant_(head[-1].bias[4:5], -4.6)  # few cells hold an object

    def raw(self, picture):
        """What the heads say, [N,H/stride,W/stride,5+classes] of each scale."""
        fine = self.fine(picture)
        coarse = self.coarse(fine)
        up = F.interpolate(self.lateral(coarse), scale_factor=2, mode="nearest")
        fine = self.join(torch.cat([fine, up], 1))
        return [head(x).permute(0, 2, 3, 1) for head, x in zip(self.heads, (fine, coarse))]

    def forward(self, picture):
        rows = []
        for y, stride, anchor in zip(self.raw(picture), STRIDES, ANCHORS):
            n, height, width, channels = y.shape
            centre, size, rest = y.sigmoid().split([2, 2, channels - 4], 3)
            centre = (centre * 2 - 0.5 + grid(height, width)) * stride
            size = (size * 2) ** 2 * anchor
            rows.append(torch.cat([centre, size, rest], 3).reshape(n, height * width, channels))
        return torch.cat(rows, 1)


def grid(height, width):
    """[height,width,2]: column and row of each cell."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([columns, rows], 2).float()


class NonMaxSuppression(torch.autograd.Function):
    """ONNX' operator, which PyTorch has no word for: rows of image, class and box."""

    @staticmethod
    def forward(ctx, boxes, scores):
        return torch.zeros((MOST, 3), dtype=torch.int64)

    @staticmethod
    def symbolic(g, boxes, scores):
        def constant(value):
            return g.op("Constant", value_t=torch.tensor([value]))

        return g.op("NonMaxSuppression", boxes, scores, constant(MOST), constant(IOU), constant(SCORE), center_point_box_i=1)


class EndToEnd(nn.Module):
    """The network and what follows it: [1,3,H,W] to [boxes,6]: left, top, right, bottom in pixels, score and
    class, by class and score."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, picture):
        rows = self.net(picture)
        boxes, scores = rows[..., :4], rows[..., 4:5] * rows[..., 5:]
        picked = NonMaxSuppression.apply(boxes, scores.transpose(1, 2))
        kind, box = picked[:, 1], picked[:, 2]
        middle, half = boxes[0, box, :2], boxes[0, box, 2:] / 2
        score = scores[0, box, kind]
        return torch.cat([middle - half, middle + half, score[:, None], kind[:, None].float()], 1)


def targets(boxes, size):
    """Which cell shall say what, for boxes [n,6]: image, class, x0, y0, x1, y1. Returns for each scale the
    positions (image, row, column) and the boxes that belong there.

    A box belongs to the cell of its centre and to the two nearest beside it, at the scale of its size or,
    in between, at both."""
    result = []
    centre, side = (boxes[:, 2:4] + boxes[:, 4:6]) / 2, (boxes[:, 4:6] - boxes[:, 2:4]).amax(1)
    for stride, fits in zip(STRIDES, (side < 64, side > 44)):
        cells, b, at = size // stride, boxes[fits], centre[fits] / stride
        beside = torch.where(at % 1 < 0.5, -1, 1)
        positions, owners = [], []
        for dx, dy in ((0, 0), (1, 0), (0, 1)):
            cell = at.floor().long() + beside * torch.tensor([dx, dy])
            inside = ((cell >= 0) & (cell < cells)).all(1)
            positions.append(torch.stack([b[:, 0].long(), cell[:, 1], cell[:, 0]], 1)[inside])
            owners.append(b[inside])
        result.append((torch.cat(positions), torch.cat(owners)))
    return result


def ciou(a, b):
    """The complete intersection over union of boxes [n,4], a by centre and size, b by corners (Zheng et al. 2019)."""
    a = torch.cat([a[:, :2] - a[:, 2:] / 2, a[:, :2] + a[:, 2:] / 2], 1)
    inner = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(0).prod(1)
    wh_a, wh_b = a[:, 2:] - a[:, :2], b[:, 2:] - b[:, :2]
    iou = inner / (wh_a.prod(1) + wh_b.prod(1) - inner + 1e-7)
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    apart = ((a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) ** 2).sum(1) / 4 / ((hull**2).sum(1) + 1e-7)
    bend = 4 / np.pi**2 * (torch.atan(wh_a[:, 0] / (wh_a[:, 1] + 1e-7)) - torch.atan(wh_b[:, 0] / wh_b[:, 1])) ** 2
    with torch.no_grad():
        weight = bend / (1 - iou + bend + 1e-7)
    return iou, iou - apart - weight * bend


def loss(net, pictures, boxes):
    total = 0
    for y, stride, anchor, (at, owner) in zip(net.raw(pictures), STRIDES, ANCHORS, targets(boxes, pictures.shape[3])):
        certainty = torch.zeros(y.shape[:3])
        if len(at):
            found = y[at[:, 0], at[:, 1], at[:, 2]]
            part = found[:, :4].sigmoid()
            centre = (part[:, :2] * 2 - 0.5 + at[:, [2, 1]]) * stride
            iou, quality = ciou(torch.cat([centre, (part[:, 2:] * 2) ** 2 * anchor], 1), owner[:, 2:])
            certainty[at[:, 0], at[:, 1], at[:, 2]] = iou.detach().clamp(0)
            kinds = F.one_hot(owner[:, 1].long(), len(CLASSES)).float()
            total += 2 * (1 - quality).mean() + F.binary_cross_entropy_with_logits(found[:, 5:], kinds) * len(CLASSES) / 2
        total += 40 * F.binary_cross_entropy_with_logits(y[..., 4], certainty)
    return total


def batch(rng, scenes):
    """BATCH scenes turned, with colours exchanged: pictures [n,3,h,w] and boxes [m,6] with the number of the picture."""
    pictures, boxes = [], []
    for i in range(BATCH):
        picture, b = scenes[rng.integers(len(scenes))]
        size, b = len(picture), b.copy()
        if rng.random() < 0.5:
            picture, b[:, [1, 3]] = picture[:, ::-1], size - b[:, [3, 1]]
        if rng.random() < 0.5:
            picture, b[:, [2, 4]] = picture[::-1], size - b[:, [4, 2]]
        if rng.random() < 0.5:
            picture, b = picture.transpose(1, 0, 2), b[:, [0, 2, 1, 4, 3]]
        picture = picture[..., rng.permutation(3)]
        picture = 1 - picture if rng.random() < 0.3 else picture
        pictures.append(picture.transpose(2, 0, 1))
        boxes.append(np.insert(b, 0, i, 1))
    return torch.from_numpy(np.stack(pictures)), torch.from_numpy(np.concatenate(boxes))


def train(net, scenes, steps):
    rng = np.random.default_rng(SEED)
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps, pct_start=0.1)
    net.train()
    total = 0
    for step in range(1, steps + 1):
        l = loss(net, *batch(rng, scenes))
        optimiser.zero_grad()
        l.backward()
        optimiser.step()
        schedule.step()
        total += l.item()
        if step % 100 == 0:
            print(f"  step {step}: {total / 100:.4f}", flush=True)
            total = 0


def overlap(a, b):
    """Intersection over union of every box of a [n,4] with every one of b [m,4]."""
    inner = np.clip(np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2]), 0, None).prod(2)
    area = lambda x: (x[:, 2:] - x[:, :2]).prod(1)
    return inner / (area(a)[:, None] + area(b)[None] - inner + 1e-9)


def score(found, wanted):
    """How many of the boxes found, [n,6] as the network gives them, are right: a wanted box [m,5] of the class
    overlaps by half and has no better match."""
    free, right = np.ones(len(wanted), bool), 0
    for box in found[np.argsort(-found[:, 4])]:
        match = overlap(box[None, :4], wanted[:, 1:])[0] * free * (wanted[:, 0] == box[5]) if len(wanted) else np.zeros(1)
        if match.max() >= 0.5:
            free[match.argmax()], right = False, right + 1
    return right


def main():
    torch.set_num_threads(1)  # results repeat
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    held_out = [scene(rng, SIZE) for _ in range(60)]
    net = Yolo()
    for cycle, (scenes, steps) in enumerate(CYCLES):
        if cycle > 0:
            rng = np.random.default_rng(SEED + cycle)
        train(net, [scene(rng, TRAIN_SIZE) for _ in range(scenes)], steps)

    folder = HERE / "yolo"
    folder.mkdir(exist_ok=True)
    path = folder / "model.onnx"
    torch.onnx.export(
        EndToEnd(net).eval(), (torch.zeros(1, 3, SIZE, SIZE),), path, dynamo=False, opset_version=17,
        input_names=["picture"], output_names=["detections"], dynamic_axes={"detections": {0: "boxes"}},
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    run = lambda picture: session.run(None, {"picture": picture.transpose(2, 0, 1)[None]})[0]
    found = [run(picture) for picture, _ in held_out]
    right = sum(score(f, boxes) for f, (_, boxes) in zip(found, held_out))
    total, wanted = sum(map(len, found)), sum(len(boxes) for _, boxes in held_out)
    print(f"yolo: {sum(p.numel() for p in net.parameters())} parameters; {len(held_out)} pictures with {wanted} signs:")
    print(f"  {total} boxes found, {right} of them right: precision {right / max(total, 1):.3f}, recall {right / wanted:.3f}")

    save(held_out[0][0], folder / "signs.png")
    np.save(folder / "output_0.npy", found[0])
    np.save(folder / "boxes.npy", held_out[0][1])


if __name__ == "__main__":
    main()
