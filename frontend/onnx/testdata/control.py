"""Write random models of loops with constant conditions, with ONNX Runtime's results.

control.py DIR SEED COUNT
"""
import numpy as np
from onnx import TensorProto, helper as h, numpy_helper as nh
import case

F, I, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def info(name, kind, shape=None):
    return h.make_tensor_value_info(name, kind, shape)


def layer(r, x, y, outer):
    """A node that computes y from x and perhaps a value around the body."""
    op = str(r.choice(['Relu', 'Sigmoid', 'Add', 'Mul']))
    return h.make_node(op, [x, outer] if op in ('Add', 'Mul') else [x], [y])


def Loop(c):
    r = c.r
    x = c.input(r.normal(size=(2, 3)).astype(np.float32))
    trips, stop = int(r.integers(1, 7)), int(r.integers(1, 7))
    nodes = [layer(r, 'v', 'next', 'w'), h.make_node('Add', ['i', 'one'], ['count']), h.make_node('Less', ['count', 'stop'], ['go'])]
    rows = int(r.integers(0, 3))
    for k in range(rows):
        nodes.append(layer(r, 'next' if k else 'v', f'row{k}', 'w'))
    weights = [nh.from_array(np.array(1, np.int64), 'one'), nh.from_array(np.array(stop, np.int64), 'stop'), nh.from_array(r.normal(size=(2, 3)).astype(np.float32), 'w')]
    if r.random() < 0.3: # a branch that depends on the number of the iteration
        branch = lambda op: h.make_graph([h.make_node(op, ['u'], ['b'])], 'branch', [], [info('b', F)])
        nodes[0].output[0] = 'u'
        nodes[1:1] = [h.make_node('Equal', ['i', 'one'], ['second']), h.make_node('If', ['second'], ['next'], then_branch=branch('Neg'), else_branch=branch('Exp'))]
    body = h.make_graph(nodes, 'body', [info('i', I, []), info('c', B, []), info('v', F)], [info('go', B, []), info('next', F)] + [info(f'row{k}', F) for k in range(rows)], weights)
    c.names = []
    kind = r.integers(3)
    if kind == 0:
        c.absent()
    else:
        c.constants.append(nh.from_array(np.array(trips, np.int64), 'm'))
        c.names.append('m')
    if kind == 1:
        c.absent()
    else:
        c.constants.append(nh.from_array(np.array(True), 'go0'))
        c.names.append('go0')
    c.names.append('x0')
    return c.model('Loop', [np.float32] * (1 + rows), body=body)


def Scan(c):
    r = c.r
    states, ins, rows, steps = int(r.integers(0, 3)), int(r.integers(1, 3)), int(r.integers(1, 3)), int(r.integers(1, 6))
    for k in range(states):
        c.input(r.normal(size=(2, 3)).astype(np.float32))
    axes, directions = [int(a) for a in r.integers(-3, 3, ins)], [int(d) for d in r.integers(0, 2, ins)]
    for a in axes:
        shape = [2, 3]
        shape.insert(a % 3, steps)
        c.input(r.normal(size=shape).astype(np.float32))
    names = [f's{k}' for k in range(states)] + [f'p{k}' for k in range(ins)]
    nodes, outs = [], []
    for k in range(states + rows):
        nodes.append(h.make_node(str(r.choice(['Add', 'Sub', 'Max'])), [str(r.choice(names)), str(r.choice(names))], [f'q{k}']))
        outs.append(info(f'q{k}', F))
    body = h.make_graph(nodes, 'body', [info(n, F) for n in names], outs)
    return c.model('Scan', [np.float32] * (states + rows), body=body, num_scan_inputs=ins, scan_input_axes=axes, scan_input_directions=directions,
                   scan_output_axes=[int(a) for a in r.integers(-3, 3, rows)], scan_output_directions=[int(d) for d in r.integers(0, 2, rows)])


case.write([Loop, Scan])
