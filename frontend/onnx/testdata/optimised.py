"""Write random networks as ONNX Runtime saves them after its own optimisation.

optimised.py DIR SEED COUNT

The results are those of ONNX Runtime without optimisation. The last line of the output lists
the operators of other domains.
"""
import os, sys
import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper as h, numpy_helper as nh

out, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
ort.set_default_logger_severity(4)


class Net:
    """A network that grows by one layer after the other."""

    def __init__(self, r):
        self.r, self.nodes, self.weights = r, [], []

    def weight(self, *shape, scale=1.0):
        name = f'w{len(self.weights)}'
        self.weights.append(nh.from_array(np.asarray(self.r.normal(size=shape) * scale, np.float32), name))
        return name

    def number(self, x):
        name = f'w{len(self.weights)}'
        self.weights.append(nh.from_array(np.array(x, np.float32), name))
        return name

    def add(self, op, *names, **attrs):
        y = f'v{len(self.nodes)}'
        self.nodes.append(h.make_node(op, names, [y], name=f'n{len(self.nodes)}', **attrs))
        return y

    def activation(self, x):
        op, attrs = [('Relu', {}), ('Sigmoid', {}), ('Tanh', {}), ('LeakyRelu', dict(alpha=0.2)), ('HardSigmoid', dict(alpha=0.3, beta=0.4)),
                     ('Clip', None), ('Elu', dict(alpha=0.7)), ('ThresholdedRelu', dict(alpha=0.3)), ('Softplus', {}), ('Selu', {})][self.r.integers(10)]
        if attrs is None:
            return self.add('Clip', x, self.number(-0.5), self.number(1.5))
        return self.add(op, x, **attrs)

    def gelu(self, x):
        half = lambda v: self.add('Mul', v, self.number(0.5))
        kind = self.r.integers(3)
        if kind == 0:
            return half(self.add('Mul', x, self.add('Add', self.add('Erf', self.add('Div', x, self.number(np.sqrt(2)))), self.number(1.0))))
        if kind == 1:
            return self.add('Mul', x, self.add('Sigmoid', self.add('Mul', x, self.number(1.702))))
        cube = self.add('Pow', x, self.number(3.0))
        inner = self.add('Mul', self.add('Add', x, self.add('Mul', cube, self.number(0.044715))), self.number(np.sqrt(2 / np.pi)))
        return half(self.add('Mul', x, self.add('Add', self.add('Tanh', inner), self.number(1.0))))

    def layer_norm(self, x, n, rms):
        if rms:
            v = self.add('ReduceMean', self.add('Pow', x, self.number(2.0)), axes=[-1])
            y = self.add('Mul', x, self.add('Div', self.number(1.0), self.add('Sqrt', self.add('Add', v, self.number(1e-5)))))
            return self.add('Mul', self.weight(n), y)
        d = self.add('Sub', x, self.add('ReduceMean', x, axes=[-1]))
        v = self.add('ReduceMean', self.add('Pow', d, self.number(2.0)), axes=[-1])
        y = self.add('Div', d, self.add('Sqrt', self.add('Add', v, self.number(1e-5))))
        return self.add('Add', self.add('Mul', y, self.weight(n)), self.weight(n))


def pictures(n):
    r = n.r
    c, x = 4, 'x'
    shape = [int(r.integers(1, 3)), c, int(r.integers(6, 10)), int(r.integers(6, 10))]
    for _ in range(r.integers(2, 6)):
        k = int(r.choice([1, 3]))
        group = int(r.choice([1, 1, 2 if c % 2 == 0 else 1, c]))
        m = group * int(r.integers(1, 4)) if r.random() < 0.5 else c
        y = n.add('Conv', x, n.weight(m, c // group, k, k, scale=0.3), n.weight(m), pads=[k // 2] * 4, group=group)
        kind = r.integers(4)
        if kind == 0 and m == c and x != 'x':
            y = n.add('Add', y, x)
        if kind == 1:
            y = n.add('BatchNormalization', y, n.weight(m), n.weight(m), n.weight(m), n.number(r.uniform(0.5, 2, m)))
        if r.random() < 0.8:
            y = n.activation(y)
        if r.random() < 0.2:
            y = n.add('MaxPool', y, kernel_shape=[2, 2], strides=[1, 1])
        x, c = y, m
    if r.random() < 0.5:
        x = n.add('Flatten', n.add('GlobalAveragePool', x))
        x = n.activation(n.add('Gemm', x, n.weight(7, c), n.weight(7), transB=1, alpha=0.5))
    return shape, x


def tokens(n):
    r = n.r
    d = int(r.choice([8, 12]))
    shape = [int(r.integers(1, 3)), int(r.integers(2, 5)), d]
    x = 'x'
    for _ in range(r.integers(1, 4)):
        y = n.layer_norm(x, d, r.random() < 0.3)
        kind = r.integers(3)
        if kind == 0: # attention
            q, k, v = [n.add('Add', n.add('MatMul', y, n.weight(d, d, scale=0.3)), n.weight(d)) for _ in range(3)]
            p = n.add('Mul', n.add('MatMul', q, n.add('Transpose', k, perm=[0, 2, 1])), n.number(0.3))
            y = n.add('MatMul', n.add('Softmax', p, axis=-1), v)
        else:
            y = n.add('MatMul', y, n.weight(d, 2 * d, scale=0.3))
            if r.random() < 0.7:
                y = n.add('Add', y, n.weight(2 * d))
            y = n.add('MatMul', n.gelu(y), n.weight(2 * d, d, scale=0.3))
        if r.random() < 0.7:
            y = n.add('Add', y, n.weight(d))
        x = n.add('Add', x, y)
    return shape, n.layer_norm(x, d, False) if r.random() < 0.5 else x


def session(model, level, path=''):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = level
    if path:
        options.optimized_model_filepath = path
    return ort.InferenceSession(model.SerializeToString(), options, providers=['CPUExecutionProvider'])


L = ort.GraphOptimizationLevel
found = set()
for name, make in [('pictures', pictures), ('tokens', tokens)]:
    for i in range(count):
        n = Net(np.random.default_rng([seed, len(name), i]))
        shape, y = make(n)
        f = 1
        graph = h.make_graph(n.nodes, 'g', [h.make_tensor_value_info('x', f, shape)], [h.make_tensor_value_info(y, f, None)], n.weights)
        model = h.make_model(graph, opset_imports=[h.make_opsetid('', int(n.r.choice([13, 17])))], ir_version=8)
        x = n.r.normal(size=shape).astype(np.float32)
        want = session(model, L.ORT_DISABLE_ALL).run(None, {'x': x})
        for level in [L.ORT_ENABLE_BASIC, L.ORT_ENABLE_EXTENDED, L.ORT_ENABLE_LAYOUT, L.ORT_ENABLE_ALL]:
            folder = os.path.join(out, f'{name}-{str(level).split("_")[-1]}-{i}')
            os.makedirs(folder)
            path = os.path.join(folder, 'model.onnx')
            session(model, level, path)
            found.update(f'{p.domain}.{p.op_type}' for p in onnx.load(path).graph.node if p.domain)
            np.save(os.path.join(folder, 'input_0.npy'), x)
            np.save(os.path.join(folder, 'output_0.npy'), want[0])
print(*sorted(found))
