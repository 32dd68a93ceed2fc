"""Quantise a model with ONNX Runtime's tool: QDQ, u8 activations, i8 weights per channel.

    python quantise.py MODEL.onnx OUT.onnx

The calibration uses random inputs: the speed does not depend on the scales.
"""
import sys
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

source, out = sys.argv[1], sys.argv[2]
value = onnx.load(source, load_external_data=False).graph.input[0]
shape = [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]


class Noise(CalibrationDataReader):
    left = 2

    def get_next(self):
        if not self.left:
            return None
        self.left -= 1
        return {value.name: np.random.default_rng(self.left).standard_normal(shape).astype(np.float32)}


folded = str(Path(out).with_suffix(".folded.onnx"))  # batch normalisations are folded first, as the tool recommends
quant_pre_process(source, folded, skip_symbolic_shape=True)
quantize_static(folded, out, Noise(), quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, per_channel=True)
