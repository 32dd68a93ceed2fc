"""Random models of one operator each, with ONNX Runtime's results."""
import os, sys
import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper as h, numpy_helper as nh

MS = 'com.microsoft'


class Case:
    """A model of one node. Operands are inputs or constants."""

    def __init__(self, r):
        self.r, self.inputs, self.constants, self.names = r, [], [], []

    def input(self, x):
        name = f'x{len(self.names)}'
        self.inputs.append((name, x))
        self.names.append(name)
        return x

    def constant(self, x):
        name = f'x{len(self.names)}'
        self.constants.append(nh.from_array(np.asarray(x), name))
        self.names.append(name)
        return x

    def either(self, x, constant):
        return self.constant(x) if constant else self.input(x)

    def absent(self):
        self.names.append('')

    def model(self, op, outputs, domain='', version=21, **attrs):
        """Return the model. outputs are the types of its outputs."""
        names = [f'y{i}' for i in range(len(outputs))]
        while self.names and self.names[-1] == '':
            self.names.pop()
        node = h.make_node(op, self.names, names, domain=domain, **attrs)
        kind = lambda x: h.np_dtype_to_tensor_dtype(np.dtype(x))
        graph = h.make_graph([node], 'g', [h.make_tensor_value_info(n, kind(x.dtype), x.shape) for n, x in self.inputs],
                             [h.make_tensor_value_info(n, kind(d), None) for n, d in zip(names, outputs)], self.constants)
        return h.make_model(graph, opset_imports=[h.make_opsetid('', version), h.make_opsetid(MS, 1)], ir_version=10)


def write(makers, kind=Case):
    """Write models of makers. The command line is DIR SEED COUNT.

    Each folder DIR/OPERATOR-N gets model.onnx, input_I.npy and output_I.npy.
    """
    out, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    ort.set_default_logger_severity(4)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry('session.x64quantprecision', '1')
    for number, make in enumerate(makers):
        done, failure = 0, ''
        for n in range(4 * count):
            c = kind(np.random.default_rng([seed, number, n]))
            model = make(c)
            try:
                session = ort.InferenceSession(model.SerializeToString(), options, providers=['CPUExecutionProvider'])
                results = session.run(None, dict(c.inputs))
            except Exception as e:
                failure = str(e)[:300] # a form that ONNX Runtime does not compute
                continue
            folder = os.path.join(out, f'{make.__name__}-{n}')
            os.makedirs(folder)
            onnx.save(model, os.path.join(folder, 'model.onnx'))
            for i, (_, x) in enumerate(c.inputs):
                np.save(os.path.join(folder, f'input_{i}.npy'), x)
            for i, y in enumerate(results):
                np.save(os.path.join(folder, f'output_{i}.npy'), y)
            done += 1
            if done == count:
                break
        print(f'{make.__name__}: {done} cases {failure}')
