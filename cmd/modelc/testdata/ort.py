"""Run a model on each row of an array with ONNX Runtime and write its outputs:
ort.py MODEL.onnx INPUTS.npy OUTPUTS.npy. Integer products are exact on every CPU."""
import sys

import numpy as np
import onnxruntime as ort

options = ort.SessionOptions()
options.add_session_config_entry("session.x64quantprecision", "1")
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
inputs = np.load(sys.argv[2])
np.save(sys.argv[3], np.concatenate([session.run(None, {name: x})[0] for x in inputs]))
