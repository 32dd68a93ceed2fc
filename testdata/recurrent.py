"""Run model.onnx of a folder with ONNX Runtime on x_0.npy, x_1.npy, …, one after another.

The outputs after the first are states, zero at first. The next call reads them as the inputs
after the first. Output I of call K is written to y_K_I.npy.
"""
import pathlib
import sys

import numpy as np
import onnxruntime as ort

folder = pathlib.Path(sys.argv[1])
s = ort.InferenceSession(folder / 'model.onnx', providers=['CPUExecutionProvider'])
names = [i.name for i in s.get_inputs()]
states = [np.zeros(i.shape, 'float32') for i in s.get_inputs()[1:]]
for k in range(len(list(folder.glob('x_*.npy')))):
    out = s.run(None, dict(zip(names, [np.load(folder / f'x_{k}.npy')] + states)))
    for i, y in enumerate(out):
        np.save(folder / f'y_{k}_{i}.npy', y)
    states = out[1:]
