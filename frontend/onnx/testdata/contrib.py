"""Write random models of operators that ONNX Runtime has beyond those of ONNX, with its results.

contrib.py DIR SEED COUNT
"""
import numpy as np
import case
from case import MS


def floats(c, *shape):
    return c.input(c.r.normal(size=shape).astype(np.float32))


def weights(c, *shape):
    return c.constant(c.r.normal(size=shape).astype(np.float32))


def extents(c, rank):
    return [int(d) for d in c.r.integers(1, 6, rank)]


def number(c):
    return float(np.float32(c.r.normal()))


def legacy(op, *names):
    def make(c):
        floats(c, *extents(c, 4))
        return c.model(op, [np.float32], version=int(c.r.choice([6, 9])), **{name: number(c) for name in names})

    make.__name__ = op
    return make


def ImageScaler(c):
    s = extents(c, 4)
    floats(c, *s)
    return c.model('ImageScaler', [np.float32], version=9, scale=number(c), bias=[number(c) for _ in range(s[1])])


def Crop(c):
    s = extents(c, 4)
    b = [int(x) for x in c.r.integers(0, 3, 4)]
    room = [s[2] + b[1] + b[3], s[3] + b[0] + b[2]]
    floats(c, s[0], s[1], *room)
    attrs = dict(border=b)
    if c.r.random() < 0.5:
        attrs['scale'] = [int(c.r.integers(1, s[2] + 1)), int(c.r.integers(1, s[3] + 1))]
    return c.model('Crop', [np.float32], version=9, **attrs)


def DynamicSlice(c):
    s = extents(c, 3)
    floats(c, *s)
    axes = list(c.r.permutation(3)[:int(c.r.integers(1, 4))])
    c.constant(np.array([c.r.integers(-1, s[a]) for a in axes], np.int64)), c.constant(np.array([c.r.integers(1, 9) for _ in axes], np.int64)), c.constant(np.array(axes, np.int64))
    return c.model('DynamicSlice', [np.float32], version=9)


def MeanVarianceNormalization(c):
    floats(c, *[d + 2 for d in extents(c, 4)])
    return c.model('MeanVarianceNormalization', [np.float32], version=8, across_channels=int(c.r.integers(0, 2)), normalize_variance=int(c.r.integers(0, 2)))


def gelu(op):
    def make(c):
        s = extents(c, int(c.r.integers(1, 4)))
        floats(c, *s)
        if op == 'BiasGelu' or op == 'FastGelu' and c.r.random() < 0.5:
            weights(c, s[-1])
        return c.model(op, [np.float32], MS, **(dict(alpha=abs(number(c)) + 0.5) if op == 'QuickGelu' else {}))

    make.__name__ = op
    return make


def FusedMatMul(c):
    r, rank = c.r, int(c.r.integers(2, 5))
    batch, (m, k, n) = extents(c, rank - 2), extents(c, 3)
    attrs = {}
    for name, rows in [('A', [m, k]), ('B', [k, n])]:
        trans, moved = int(r.integers(0, 2)), int(r.integers(0, 2)) if rank > 2 else 0
        if trans:
            rows = rows[::-1]
        attrs.update({'trans' + name: trans, 'transBatch' + name: moved})
        floats(c, *([rows[0], *batch, rows[1]] if moved else [*batch, *rows]))
    return c.model('FusedMatMul', [np.float32], MS, alpha=number(c), **attrs)


def FusedConv(c):
    r, group = c.r, int(c.r.integers(1, 3))
    m, ch, k = group * int(r.integers(1, 4)), int(r.integers(1, 4)), int(r.choice([1, 3]))
    s = [int(r.integers(1, 3)), ch * group, 6, 7]
    floats(c, *s), weights(c, m, ch, k, k), weights(c, m)
    if r.random() < 0.3:
        floats(c, s[0], m, *s[2:])
    op, attrs = [('Relu', {}), ('Tanh', {}), ('Sigmoid', {}), ('LeakyRelu', [0.2]), ('Clip', [-0.4, 2.0]), ('HardSigmoid', [0.3, 0.4])][r.integers(6)]
    return c.model('FusedConv', [np.float32], MS, activation=op, pads=[k // 2] * 4, group=group, **(dict(activation_params=attrs) if attrs else {}))


def FusedGemm(c):
    r, (m, k, n) = c.r, extents(c, 3)
    ta, tb = int(r.integers(0, 2)), int(r.integers(0, 2))
    floats(c, *([k, m] if ta else [m, k])), (weights if r.random() < 0.5 else floats)(c, *([n, k] if tb else [k, n])), weights(c, n)
    op, attrs = [('Relu', {}), ('Tanh', {}), ('LeakyRelu', dict(alpha=0.2)), ('Elu', dict(alpha=0.6)), ('HardSigmoid', dict(alpha=0.3, beta=0.4)), ('Selu', dict(alpha=1.5, gamma=1.1))][r.integers(6)]
    return c.model('FusedGemm', [np.float32], MS, transA=ta, transB=tb, alpha=number(c), beta=number(c), activation=op, **{'activation_' + k: v for k, v in attrs.items()})


def skip(op):
    def make(c):
        s = extents(c, 2) + [int(c.r.integers(2, 9))]
        simple = 'Simplified' in op
        floats(c, *s)
        floats(c, *([1] + s[1:] if not simple and c.r.random() < 0.3 else s))
        weights(c, s[-1])
        if not simple:
            weights(c, s[-1])
        if c.r.random() < 0.5:
            weights(c, s[-1])
        return c.model(op, [np.float32], MS, epsilon=1e-5)

    make.__name__ = op
    return make


def SimplifiedLayerNormalization(c):
    s = extents(c, 2) + [int(c.r.integers(2, 9))]
    floats(c, *s), weights(c, s[-1])
    return c.model('SimplifiedLayerNormalization', [np.float32], axis=-1, epsilon=1e-5)


case.write([legacy('Affine', 'alpha', 'beta'), legacy('ParametricSoftplus', 'alpha', 'beta'), legacy('ScaledTanh', 'alpha', 'beta'), legacy('Scale', 'scale'),
            ImageScaler, Crop, DynamicSlice, MeanVarianceNormalization, gelu('Gelu'), gelu('BiasGelu'), gelu('FastGelu'), gelu('QuickGelu'),
            FusedMatMul, FusedConv, FusedGemm, skip('SkipLayerNormalization'), skip('SkipSimplifiedLayerNormalization'), SimplifiedLayerNormalization])
