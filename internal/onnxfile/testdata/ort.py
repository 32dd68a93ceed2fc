"""Run model.onnx of each folder in a folder on its input_N.npy with ONNX Runtime, and write
output_N.npy, or error.txt."""
import pathlib
import sys

import numpy as np
import onnxruntime as ort

for model in sorted(pathlib.Path(sys.argv[1]).glob("*/model.onnx")):
    try:
        s = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
        feed = {x.name: np.load(model.parent / f"input_{i}.npy") for i, x in enumerate(s.get_inputs())}
        for i, y in enumerate(s.run(None, feed)):
            np.save(model.parent / f"output_{i}.npy", y)
    except Exception as e:
        (model.parent / "error.txt").write_text(str(e))
print("ONNX Runtime", ort.__version__)
