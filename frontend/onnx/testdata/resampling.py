"""Write random models that resize or sample images, with ONNX Runtime's results.

resampling.py DIR SEED COUNT
"""
import numpy as np
import case

coords = ['half_pixel', 'half_pixel_symmetric', 'pytorch_half_pixel', 'align_corners', 'asymmetric', 'tf_half_pixel_for_nn', 'tf_crop_and_resize']


def image(c, most=9):
    x = c.input(c.r.normal(size=(1, int(c.r.integers(1, 4)), *c.r.integers(2, most, 2))).astype(np.float32))
    return x.shape


def resize(mode, coord):
    def make(c):
        r = c.r
        opset = int(r.choice([11, 13, 18, 19]))
        if coord == 'half_pixel_symmetric':
            opset = 19
        crop = coord == 'tf_crop_and_resize'
        attrs = dict(mode=mode, coordinate_transformation_mode=coord)
        x = image(c)
        n = np.array(x[2:])
        axes = opset >= 18 and r.random() < 0.5
        if axes:
            attrs['axes'] = [2, 3]
        fill = lambda v, outer: np.array(v if axes else [outer, outer, *v])
        if crop:
            start, end = r.uniform(-0.6, 0.6, 2), r.uniform(0.3, 1.6, 2)
            span = np.maximum(end - start, 0.1)
            c.constant(np.concatenate([fill(start, 0), fill(start + span, 1)]).astype(np.float32))
            attrs['extrapolation_value'] = float(r.choice([0, 10, -2.5]))
        else:
            c.constant(np.zeros(0, np.float32))
        if mode == 'nearest':
            attrs['nearest_mode'] = str(r.choice(['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil']))
        if mode == 'cubic':
            attrs['cubic_coeff_a'] = float(r.choice([-0.75, -0.5]))
            attrs['exclude_outside'] = int(r.integers(0, 2))
        if opset >= 18 and mode != 'nearest' and not crop and r.random() < 0.3:
            attrs['antialias'] = 1
        if r.random() < 0.5:
            # Scales that float32 holds exactly, so that no coordinate is a tie in one arithmetic only.
            scales = r.choice([0.5, 0.75, 1.25, 1.5, 2, 2.5, 3] + [1] * (not crop), 2)
            if coord == 'align_corners': # the tests of ONNX contradict its runtime
                scales = np.maximum(scales, 1)
            kept = (np.floor(n * scales) == n) & (scales != 1)
            scales[kept] = 2 # ONNX Runtime would copy along the axis
            c.constant(fill(scales, 1).astype(np.float32))
        else:
            c.constant(np.zeros(0, np.float32))
            sizes = r.integers(1, 14, 2)
            if mode == 'nearest': # no ties in one arithmetic only
                sizes = n * r.choice([1, 2, 4], 2)
            if crop: # ONNX Runtime ignores the region of an axis that keeps its extent
                sizes += sizes == n
            c.constant(np.array(sizes if axes else [*x[:2], *sizes]).astype(np.int64))
            if opset >= 18 and axes and r.random() < 0.4 and not crop:
                attrs['keep_aspect_ratio_policy'] = str(r.choice(['not_larger', 'not_smaller']))
        return c.model('Resize', [np.float32], version=opset, **attrs)

    make.__name__ = f'Resize-{mode}-{coord}'
    return make


def resize10(c):
    image(c)
    c.constant(np.array([1, 1, *c.r.choice([0.5, 0.75, 1, 1.5, 2, 3], 2)], np.float32))
    return c.model('Resize', [np.float32], version=10, mode=str(c.r.choice(['nearest', 'linear'])))


def upsample(c):
    image(c)
    c.constant(np.array([1, 1, *c.r.choice([1, 1.5, 2, 3], 2)], np.float32))
    return c.model('Upsample', [np.float32], version=9, mode=str(c.r.choice(['nearest', 'linear'])))


def sample(mode, border):
    def make(c):
        r = c.r
        rank = 3 if mode != 'cubic' and r.random() < 0.3 else 2
        spatial = r.integers(1, 6, rank)
        n, opset = int(r.integers(1, 3)), 20
        c.input(r.normal(size=(n, int(r.integers(1, 3)), *spatial)).astype(np.float32))
        grid = r.uniform(-1, 1, (n, *r.integers(1, 6, rank), rank)) * r.choice([1, 1.3, 2, 4])
        if mode == 'nearest':
            grid = np.round(grid * 1000) / 1000 + 0.00037 # not on a tie
        c.input(grid.astype(np.float32))
        name = mode
        if rank == 2 and r.random() < 0.5:
            opset, name = 16, {'linear': 'bilinear', 'cubic': 'bicubic'}.get(mode, mode)
        return c.model('GridSample', [np.float32], version=opset, mode=name, padding_mode=border, align_corners=int(r.integers(0, 2)))

    make.__name__ = f'GridSample-{mode}-{border}'
    return make


case.write([resize(m, k) for m in ['nearest', 'linear', 'cubic'] for k in coords] + [resize10, upsample] +
           [sample(m, b) for m in ['nearest', 'linear', 'cubic'] for b in ['zeros', 'border', 'reflection']])
