"""Write random models of one quantised operator each, with ONNX Runtime's results.

quantised.py DIR SEED COUNT
"""
import numpy as np
import onnx
from onnx import helper as h
import case
from case import MS


class Case(case.Case):
    """A model of one quantised operator."""

    def type(self):
        return self.r.choice([np.uint8, np.int8])

    def zero(self, d, n=None):
        i = np.iinfo(d)
        return self.constant(self.r.integers(i.min, i.max + 1, n).astype(d) if n else np.array(self.r.integers(i.min, i.max + 1), d))

    def scale(self, low=0.001, high=0.1, n=None):
        s = np.exp(self.r.uniform(np.log(low), np.log(high), n)).astype(np.float32)
        return self.constant(s)

    def integers(self, d, shape, constant=False):
        i = np.iinfo(d)
        return self.either(self.r.integers(i.min, i.max + 1, shape).astype(d), constant)


def window(c, rank, kernel):
    r = c.r
    return dict(strides=[int(r.integers(1, 3)) for _ in range(rank)], pads=[int(r.integers(0, 2)) for _ in range(2 * rank)],
                dilations=[int(r.integers(1, 3)) for _ in range(rank)], kernel_shape=list(kernel))


def conv_shapes(c):
    r = c.r
    rank, group = int(r.integers(1, 4)), int(r.integers(1, 3))
    kernel = [int(r.integers(1, 4)) for _ in range(rank)]
    ch, m = group * int(r.integers(1, 5)), group * int(r.integers(1, 5))
    return group, kernel, (int(r.integers(1, 3)), ch, *[int(r.integers(7, 10)) for _ in kernel]), (m, ch // group, *kernel), window(c, rank, kernel)


def QLinearConv(c):
    group, kernel, xs, ws, attrs = conv_shapes(c)
    a, w = c.type(), c.type()
    if a is np.int8:
        w = np.int8
    per, constant = c.r.random() < 0.5, c.r.random() < 0.7
    c.integers(a, xs), c.scale(), c.zero(a)
    c.integers(w, ws, constant), c.scale(n=ws[0] if per else None)
    c.zero(w, ws[0] if per and c.r.random() < 0.7 else None)
    c.scale(0.01, 1), c.zero(a)
    if c.r.random() < 0.5:
        c.constant(c.r.integers(-5000, 5000, ws[0]).astype(np.int32))
    return c.model('QLinearConv', [a], group=group, **attrs)


def ConvInteger(c):
    group, kernel, xs, ws, attrs = conv_shapes(c)
    c.integers(np.uint8, xs), c.integers(np.uint8, ws, c.r.random() < 0.7)
    if c.r.random() < 0.7:
        c.either(np.array(c.r.integers(0, 256), np.uint8), c.r.random() < 0.5)
        if c.r.random() < 0.7:
            c.zero(np.uint8)
    return c.model('ConvInteger', [np.int32], group=group, **attrs)


def matrices(c):
    r = c.r
    m, k, n = [int(r.integers(1, 9)) for _ in range(3)]
    lead = [int(r.integers(1, 3)) for _ in range(int(r.integers(0, 3)))]
    batched = r.random() < 0.3
    return (*lead, m, k), (*(lead if batched else []), k, n)


def QLinearMatMul(c):
    sa, sb = matrices(c)
    a, b = c.type(), c.type()
    if a is np.int8:
        b = np.int8
    per = c.r.random() < 0.5 and len(sb) == 2
    c.integers(a, sa), c.scale(), c.zero(a)
    c.integers(b, sb, c.r.random() < 0.6), c.scale(n=sb[-1] if per else None), c.zero(b, sb[-1] if per else None)
    c.scale(0.01, 1), c.zero(a)
    return c.model('QLinearMatMul', [a])


def MatMulInteger(c):
    sa, sb = matrices(c)
    a, b = c.type(), c.type()
    c.integers(a, sa), c.integers(b, sb, c.r.random() < 0.6)
    if c.r.random() < 0.7:
        c.either(np.array(c.r.integers(0, 100), a), c.r.random() < 0.5)
        if c.r.random() < 0.7:
            c.zero(b, sb[-1] if len(sb) == 2 and c.r.random() < 0.5 else None)
    return c.model('MatMulInteger', [np.int32])


def QGemm(c):
    r = c.r
    m, k, n = [int(r.integers(1, 9)) for _ in range(3)]
    ta, tb = int(r.integers(0, 2)), int(r.integers(0, 2))
    a, b = c.type(), c.type()
    if a is np.int8:
        b = np.int8
    per = r.random() < 0.5
    c.integers(a, (k, m) if ta else (m, k)), c.scale(), c.zero(a)
    c.integers(b, (n, k) if tb else (k, n), r.random() < 0.7), c.scale(n=n if per else None), c.zero(b, n if per else None)
    if r.random() < 0.7:
        shape = [(n,), (1, n), (m, n), (m, 1), (1,)][r.integers(0, 5)]
        c.either(r.integers(-5000, 5000, shape).astype(np.int32), r.random() < 0.7)
    else:
        c.absent()
    quantised = r.random() < 0.7
    if quantised:
        c.scale(0.01, 1), c.zero(a)
    return c.model('QGemm', [a if quantised else np.float32], MS, transA=ta, transB=tb, alpha=float(np.float32(r.choice([1, 0.7]))))


def DynamicQuantizeMatMul(c):
    sa, sb = matrices(c)
    sb = sb[-2:]
    b = c.type()
    c.input(c.r.normal(size=sa).astype(np.float32))
    per = c.r.random() < 0.5
    c.integers(b, sb, c.r.random() < 0.7), c.scale(n=sb[-1] if per else None)
    c.zero(b, sb[-1] if per else None) if c.r.random() < 0.7 else c.absent()
    if c.r.random() < 0.5:
        c.constant(c.r.normal(size=sb[-1]).astype(np.float32))
    return c.model('DynamicQuantizeMatMul', [np.float32], MS)


def MatMulIntegerToFloat(c):
    sa, sb = matrices(c)
    sb = sb[-2:]
    a, b = c.type(), c.type()
    per = c.r.random() < 0.5
    c.integers(a, sa), c.integers(b, sb, c.r.random() < 0.7), c.scale(), c.scale(n=sb[-1] if per else None)
    c.zero(a) if c.r.random() < 0.7 else c.absent()
    c.zero(b, sb[-1] if per else None) if c.r.random() < 0.7 else c.absent()
    if c.r.random() < 0.5:
        c.constant(c.r.normal(size=sb[-1]).astype(np.float32))
    return c.model('MatMulIntegerToFloat', [np.float32], MS)


def granularity(c, shape, d=None):
    """Operands scale and zero point, and the attributes that belong to them."""
    axis = int(c.r.integers(0, len(shape)))
    i = np.iinfo(d)
    kind = c.r.integers(0, 3)
    block = 2
    sizes = [(), (shape[axis],), tuple((n + block - 1) // block if k == axis else n for k, n in enumerate(shape))][kind]
    scale = np.exp(c.r.uniform(np.log(0.001), np.log(0.1), sizes)).astype(np.float32)
    zero = c.r.integers(i.min, i.max + 1, sizes).astype(d)
    attrs = dict(axis=axis) if kind else {}
    if kind == 2:
        attrs['block_size'] = block
    return scale, zero, attrs


def QuantizeLinear(c, half=False):
    shape = tuple(int(n) for n in c.r.integers(1, 6, int(c.r.integers(1, 5))))
    d = c.r.choice([np.uint8, np.int8, np.uint16, np.int16])
    f = np.float16 if half else np.float32
    scale, zero, attrs = granularity(c, shape, d)
    x = c.r.normal(size=shape) * (np.iinfo(d).max * 0.05)
    if half:
        scale = np.maximum(scale, 0.01)
        x = np.clip(x, -1000, 1000)
    c.input(x.astype(f)), c.constant(scale.astype(f))
    if c.r.random() < 0.8:
        c.constant(zero)
    else:
        attrs['output_dtype'] = h.np_dtype_to_tensor_dtype(np.dtype(d))
    return c.model('QuantizeLinear', [d], **attrs)


def QuantizeLinearHalf(c):
    return QuantizeLinear(c, True)


def DequantizeLinear(c):
    shape = tuple(int(n) for n in c.r.integers(1, 6, int(c.r.integers(1, 5))))
    d = c.r.choice([np.uint8, np.int8, np.uint16, np.int16, np.int32])
    scale, zero, attrs = granularity(c, shape, d)
    c.integers(d, shape), c.constant(scale)
    if c.r.random() < 0.8 and d is not np.int32:
        c.constant(zero)
    return c.model('DequantizeLinear', [np.float32], **attrs)


def DequantizeLinear4(c):
    r = c.r
    shape = [int(d) for d in r.integers(1, 7, 3)]
    axis, block = int(r.integers(0, 3)), int(r.integers(1, 5))
    blocks = list(shape)
    blocks[axis] = -(-shape[axis] // block)
    kind, low = [(onnx.TensorProto.INT4, -8), (onnx.TensorProto.UINT4, 0)][r.integers(2)]
    for s, zero in [(shape, False), (blocks, True)]:
        c.constants.append(h.make_tensor(f'x{len(c.names)}', kind, s, r.integers(low, low + 16, s).flatten()))
        c.names.append(f'x{len(c.names)}')
        if not zero:
            c.constant(r.uniform(0.01, 1, blocks).astype(np.float32))
    return c.model('DequantizeLinear', [np.float32], axis=axis, block_size=block)


def MsQuantizeLinear(c):
    shape = tuple(int(n) for n in c.r.integers(1, 6, int(c.r.integers(1, 5))))
    d = c.r.choice([np.uint8, np.int8, np.uint16, np.int16])
    c.input(c.r.normal(size=shape).astype(np.float32)), c.scale(), c.zero(d)
    return c.model('QuantizeLinear', [d], MS)


def MsDequantizeLinear(c):
    shape = tuple(int(n) for n in c.r.integers(1, 6, int(c.r.integers(1, 5))))
    d = c.r.choice([np.uint8, np.int8, np.uint16, np.int16])
    c.integers(d, shape), c.scale(), c.zero(d)
    return c.model('DequantizeLinear', [np.float32], MS)


def DynamicQuantizeLinear(c):
    shape = tuple(int(n) for n in c.r.integers(1, 6, int(c.r.integers(1, 5))))
    c.input((c.r.normal(size=shape) + c.r.normal()).astype(np.float32))
    return c.model('DynamicQuantizeLinear', [np.uint8, np.float32, np.uint8])


def binary(op, low, high):
    def make(c):
        d = c.type()
        shape = [int(n) for n in c.r.integers(1, 6, 3)]
        other = [n if c.r.random() < 0.7 else 1 for n in shape][int(c.r.integers(0, 3)):]
        for s in (shape, other):
            c.integers(d, tuple(s), s is other and c.r.random() < 0.3), c.scale(0.01, 0.1), c.zero(d)
        c.scale(low, high), c.zero(d)
        return c.model(op, [d], MS)
    make.__name__ = op
    return make


def QLinearAveragePool(c):
    d = c.type()
    rank = int(c.r.integers(1, 4))
    kernel = [int(c.r.integers(2, 4)) for _ in range(rank)]
    last = int(c.r.integers(0, 2))
    space = [int(n) for n in c.r.integers(5, 9, rank)]
    c.integers(d, (1, *space, 3) if last else (1, 3, *space)), c.scale(), c.zero(d), c.scale(), c.zero(d)
    attrs = window(c, rank, kernel)
    del attrs['dilations']
    return c.model('QLinearAveragePool', [d], MS, channels_last=last, ceil_mode=int(c.r.integers(0, 2)), count_include_pad=int(c.r.integers(0, 2)), **attrs)


def QLinearGlobalAveragePool(c):
    d = c.type()
    last = int(c.r.integers(0, 2))
    space = [int(n) for n in c.r.integers(1, 9, 2)]
    c.integers(d, (2, *space, 5) if last else (2, 5, *space)), c.scale(0.01, 0.1), c.zero(d), c.scale(0.01, 0.1), c.zero(d)
    return c.model('QLinearGlobalAveragePool', [d], MS, channels_last=last)


def QLinearSoftmax(c):
    d = c.type()
    shape = tuple(int(n) for n in c.r.integers(2, 6, 3))
    lo = np.iinfo(d).min
    c.integers(d, shape), c.scale(0.01, 0.1), c.zero(d), c.constant(np.float32(1 / 256)), c.constant(np.array(lo, d))
    return c.model('QLinearSoftmax', [d], MS, axis=int(c.r.integers(-1, 3)), opset=int(c.r.choice([11, 13])))


def function(op, **attrs):
    def make(c):
        d = c.type()
        c.integers(d, (3, 50)), c.scale(0.01, 0.1), c.zero(d), c.scale(0.01, 0.1), c.zero(d)
        return c.model(op, [d], MS, **attrs)
    make.__name__ = op
    return make


def QLinearConcat(c):
    d = c.type()
    axis = int(c.r.integers(0, 3))
    scale, zero = c.scale(0.01, 0.1), c.zero(d)
    for i in range(int(c.r.integers(1, 4))):
        shape = [2, 3, 4]
        shape[axis] = int(c.r.integers(1, 5))
        c.integers(d, tuple(shape))
        if c.r.random() < 0.3:
            c.constant(scale), c.constant(zero)
        else:
            c.scale(0.01, 0.1), c.zero(d)
    return c.model('QLinearConcat', [d], MS, axis=axis)


def QLinearWhere(c):
    d = c.type()
    c.input(c.r.random((3, 1, 4)) < 0.5)
    c.integers(d, (3, 5, 4)), c.scale(0.01, 0.1), c.zero(d)
    c.integers(d, (5, 1)), c.scale(0.01, 0.1), c.zero(d)
    c.scale(0.01, 0.1), c.zero(d)
    return c.model('QLinearWhere', [d], MS)


makers = [QLinearConv, ConvInteger, QLinearMatMul, MatMulInteger, QGemm, DynamicQuantizeMatMul, MatMulIntegerToFloat,
          QuantizeLinear, QuantizeLinearHalf, DequantizeLinear, DequantizeLinear4, MsQuantizeLinear, MsDequantizeLinear, DynamicQuantizeLinear,
          binary('QLinearAdd', 0.01, 0.2), binary('QLinearMul', 0.01, 1), QLinearAveragePool, QLinearGlobalAveragePool,
          QLinearSoftmax, function('QLinearSigmoid'), function('QLinearLeakyRelu', alpha=0.1), QLinearConcat, QLinearWhere]

case.write(makers, Case)
