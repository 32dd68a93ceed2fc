"""Quantise a float ONNX model with ONNX Runtime's tool, and record its integers.

    python quantise.py MODEL.onnx OUT

writes a folder OUT/FORM-TYPES-SCALES for each form (qdq, qop), types of activations and
weights (u8s8, u8u8, s8s8) and scales of weights (tensor, channel):

    model.onnx      the quantised model
    input.npy       an input
    integers.tsv    for each integer tensor between the nodes that ONNX Runtime's optimiser
                    leaves: its file, the operator that computes it, and its name
    0.npy, …        the tensors

It needs onnx and onnxruntime.
"""

import collections
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Pictures(CalibrationDataReader):
    """Pictures yields inputs with the standard normal distribution."""

    def __init__(self, name, shape, n):
        r = np.random.default_rng(7)
        self.list = [{name: r.standard_normal(shape).astype(np.float32)} for _ in range(n)]
        self.left = iter(self.list)

    def get_next(self):
        return next(self.left, None)


def options(level, signed=False, optimized=None):
    """signed tells whether activations are s8."""
    o = ort.SessionOptions()
    o.graph_optimization_level = level
    o.intra_op_num_threads = 1
    if signed:
        # Otherwise the optimiser makes activations u8, under other names.
        o.add_session_config_entry("session.qdqisint8allowed", "1")
    else:
        # Otherwise products of u8 and s8 saturate on processors without VNNI.
        o.add_session_config_entry("session.x64quantprecision", "1")
    if optimized:
        o.optimized_model_filepath = str(optimized)
    o.log_severity_level = 3
    return o


def integers(path, feed, folder, signed):
    """Write the integers between the nodes of the optimised model."""
    optimized = folder / "optimized.onnx"
    ort.InferenceSession(path, options(ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED, signed, optimized), providers=["CPUExecutionProvider"])
    m = onnx.load(optimized)
    by = {o: n.op_type for n in m.graph.node for o in n.output if o}
    given = {o.name for o in m.graph.output}
    for name in by:
        if name not in given:
            m.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    s = ort.InferenceSession(m.SerializeToString(), options(ort.GraphOptimizationLevel.ORT_DISABLE_ALL, signed), providers=["CPUExecutionProvider"])
    names = [o.name for o in s.get_outputs()]
    rows = []
    for name, value in zip(names, s.run(names, feed)):
        if value.dtype in (np.uint8, np.int8):
            file = f"{len(rows)}.npy"
            np.save(folder / file, value)
            rows.append(f"{file}\t{by[name]}\t{name}\n")
    (folder / "integers.tsv").write_text("".join(rows))
    optimized.unlink()
    return len(rows), collections.Counter(by.values())


def main(model, out):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    prepared = out / "prepared.onnx"
    quant_pre_process(model, str(prepared), skip_symbolic_shape=True)
    s = ort.InferenceSession(str(prepared), options(ort.GraphOptimizationLevel.ORT_DISABLE_ALL), providers=["CPUExecutionProvider"])
    i = s.get_inputs()[0]
    x = Pictures(i.name, i.shape, 3)
    types = {"s": QuantType.QInt8, "u": QuantType.QUInt8}
    for form in ("qdq", "qop"):
        for pair in ("u8s8", "u8u8", "s8s8"):
            for scales in ("tensor", "channel"):
                folder = out / f"{form}-{pair}-{scales}"
                folder.mkdir(exist_ok=True)
                path = str(folder / "model.onnx")
                quantize_static(str(prepared), path, Pictures(i.name, i.shape, 3),
                                quant_format=QuantFormat.QDQ if form == "qdq" else QuantFormat.QOperator,
                                per_channel=scales == "channel", activation_type=types[pair[0]], weight_type=types[pair[2]])
                np.save(folder / "input.npy", x.list[0][i.name])
                n, ops = integers(path, x.list[0], folder, pair[0] == "s")
                print(folder.name, n, "integer tensors,", dict(ops))


main(*sys.argv[1:])
