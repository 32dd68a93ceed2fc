"""Write random models of one recurrent or scattering operator each, with ONNX Runtime's results.

recurrent.py DIR SEED COUNT

Each folder DIR/OPERATOR-N gets model.onnx, input_I.npy and output_I.npy.
"""
import os, sys
import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper as h, numpy_helper as nh

out, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
GATES = {'RNN': 1, 'GRU': 3, 'LSTM': 4}
FUNCTIONS = {'RNN': 1, 'GRU': 2, 'LSTM': 3}
# ONNX Runtime requires the parameters of these functions.
PARAMETERS = {'LeakyRelu': 1, 'ThresholdedRelu': 1, 'Elu': 1, 'HardSigmoid': 2, 'ScaledTanh': 2, 'Affine': 2}
NAMES = ['Relu', 'Tanh', 'Sigmoid', 'Softsign', 'Softplus'] + list(PARAMETERS)


def save(name, node, inputs, constants, opset):
    graph = h.make_graph([node], 'g', [h.make_tensor_value_info(n, h.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in inputs.items()],
                         [h.make_tensor_value_info(o, onnx.TensorProto.FLOAT, None) for o in node.output if o],
                         [nh.from_array(v, n) for n, v in constants.items()])
    model = h.make_model(graph, opset_imports=[h.make_opsetid('', opset)], ir_version=8)
    folder = os.path.join(out, name)
    os.makedirs(folder)
    onnx.save(model, os.path.join(folder, 'model.onnx'))
    results = ort.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider']).run(None, inputs)
    for i, v in enumerate(inputs.values()):
        np.save(os.path.join(folder, f'input_{i}.npy'), v)
    for i, v in enumerate(results):
        np.save(os.path.join(folder, f'output_{i}.npy'), v)


def recurrent(r, op):
    d, t, n, i, hidden = r.integers(1, 3), r.integers(1, 6), r.integers(1, 5), r.integers(1, 20), r.integers(1, 20)
    f = lambda *s: (r.standard_normal(s) / np.sqrt(s[-1])).astype('float32')
    values = {'X': f(t, n, i), 'W': f(d, GATES[op] * hidden, i), 'R': f(d, GATES[op] * hidden, hidden)}
    maybe = lambda name, v: values.update({name: v}) if r.integers(2) else None
    maybe('B', f(d, 2 * GATES[op] * hidden))
    maybe('sequence_lens', r.integers(0, t + 1, n).astype('int32'))
    maybe('initial_h', f(d, n, hidden))
    order = ['X', 'W', 'R', 'B', 'sequence_lens', 'initial_h']
    attrs = {'hidden_size': int(hidden), 'direction': 'bidirectional' if d == 2 else str(r.choice(['forward', 'reverse']))}
    if op == 'LSTM':
        maybe('initial_c', f(d, n, hidden))
        maybe('P', f(d, 3 * hidden))
        order += ['initial_c', 'P']
        attrs['input_forget'] = int(r.integers(2))
    if op == 'GRU':
        attrs['linear_before_reset'] = int(r.integers(2))
    if r.integers(2):
        names = [str(r.choice(NAMES)) for _ in range(d * FUNCTIONS[op])]
        attrs['activations'] = names
        alpha = [float(r.uniform(0.1, 0.9)) for n in names if n in PARAMETERS]
        beta = [float(r.uniform(0.1, 0.9)) for n in names if PARAMETERS.get(n) == 2]
        if alpha:
            attrs['activation_alpha'] = alpha
        if beta:
            attrs['activation_beta'] = beta
    if r.integers(3) == 0:
        attrs['clip'] = float(r.uniform(0.1, 1))
    names = [n if n in values else '' for n in order]
    while names[-1] == '':
        names.pop()
    outputs = ['Y', 'Y_h', 'Y_c'][:2 + (op == 'LSTM')]
    inputs = {k: v for k, v in values.items() if k in ('X', 'initial_h', 'initial_c')}
    constants = {k: v for k, v in values.items() if k not in inputs}
    return h.make_node(op, names, outputs, **attrs), inputs, constants, 14


def scatter(r, op):
    shape = [int(x) for x in r.integers(1, 5, r.integers(1, 4))]
    f = lambda s: r.standard_normal(s).astype('float32')
    reduction = str(r.choice(['none', 'add', 'mul', 'max', 'min']))
    attrs = {'reduction': reduction}
    if op == 'ScatterElements':
        axis = int(r.integers(-len(shape), len(shape)))
        attrs['axis'] = axis
        size = [int(r.integers(1, s + 1)) for s in shape]
        bound = shape[axis]
        # Without a reduction, the result for equal indices depends on the engine.
        grid = np.empty(size, 'int64')
        lines = np.moveaxis(grid, axis, -1)
        for at in np.ndindex(lines.shape[:-1]):
            lines[at] = r.permutation(bound)[:lines.shape[-1]] if reduction == 'none' else r.integers(0, bound, lines.shape[-1])
        indices, updates, bounds = grid, f(size), bound
    else:
        k = int(r.integers(1, len(shape) + 1))
        slots = int(r.integers(1, 5))
        flat = int(np.prod(shape[:k]))
        chosen = r.permutation(flat)[:slots] if reduction == 'none' else r.integers(0, flat, slots)
        indices = np.stack(np.unravel_index(chosen, shape[:k]), -1).astype('int64')
        updates = f([len(chosen)] + shape[k:])
        bounds = np.array(shape[:k])
    indices = np.where(r.integers(0, 2, indices.shape) == 1, indices, indices - bounds)  # count from the end
    inputs, constants = {'X': f(shape), 'U': updates}, {'I': indices}
    if r.integers(2):
        inputs, constants = inputs | constants, {}
    return h.make_node(op, ['X', 'I', 'U'], ['Y'], **attrs), inputs, constants, 18


for n in range(count):
    for op in list(GATES) + ['ScatterElements', 'ScatterND']:
        r = np.random.default_rng([seed, n, len(op), ord(op[0])])
        save(f'{op}-{n}', *(recurrent if op in GATES else scatter)(r, op))
print('ONNX Runtime', ort.__version__)
