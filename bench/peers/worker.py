"""One engine on one network, run on demand.

    python worker.py ENGINE NETWORK MODEL.onnx THREADS DIR PRECISION

DIR holds input.f32 and gets converted models and the result, output.f32. Prints one line of JSON when
the first result is there, then for each line "N" on standard input the milliseconds of N runs. Exit
status 3: the engine does not have this network. PRECISION is f32, or bf16 for an engine that has it.
"""
import json
import os
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

ENGINE, NETWORK, MODEL, THREADS, DIR, PRECISION = sys.argv[1], sys.argv[2], os.path.abspath(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]).absolute(), sys.argv[6]
os.environ["OMP_NUM_THREADS"] = str(THREADS)

import numpy as np  # noqa: E402  (it reads the environment)


def run_tool(*command, cwd=None):
    """Run a converter quietly; its output is shown where it fails."""
    r = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True)
    if r.returncode:
        sys.exit(f"{command[0]}: {r.stdout[-2000:]}{r.stderr[-2000:]}")


# Each engine: prepare() converts the model where it must, load() returns a function from input to output.

class openvino:
    package = "openvino"

    def load(self):
        import openvino as ov
        # Where the processor has bfloat16 the default would be that.
        net = ov.Core().compile_model(MODEL, "CPU", {
            "INFERENCE_PRECISION_HINT": PRECISION, "INFERENCE_NUM_THREADS": THREADS, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"})
        request = net.create_infer_request()
        return lambda x: request.infer({0: x})[net.output(0)]


class ncnn:
    package = "ncnn"

    def prepare(self, x):
        pnnx = shutil.which("pnnx") or sys.exit("pnnx is not on the path: pip install pnnx")
        shutil.copy(MODEL, DIR / "ncnn.onnx")
        run_tool(pnnx, "ncnn.onnx", f"inputshape={list(x.shape)}".replace(" ", ""), "fp16=0", cwd=DIR)
        (DIR / "ncnn.onnx").unlink()

    def load(self):
        import ncnn
        self.net = net = ncnn.Net()
        net.opt.num_threads = THREADS
        net.opt.use_vulkan_compute = False
        for half in "use_bf16_storage", "use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic":
            setattr(net.opt, half, False)
        net.load_param(str(DIR / "ncnn.ncnn.param"))
        net.load_model(str(DIR / "ncnn.ncnn.bin"))

        def run(x):
            with net.create_extractor() as e:
                e.input("in0", ncnn.Mat(x[0]))
                return np.array(e.extract("out0")[1])
        return run


class mnn:
    package = "MNN"

    def prepare(self, x):
        import _tools  # the library beneath mnnconvert, which would report its use over the network
        os.chdir(DIR)  # it leaves a file in the working directory
        _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", MODEL, "--MNNModel", str(DIR / "model.mnn"), "--bizCode", "bench"])

    def load(self):
        import MNN
        self.net = net = MNN.Interpreter(str(DIR / "model.mnn"))
        session = net.createSession({"backend": "CPU", "numThread": THREADS, "precision": "high"})
        source, result = net.getSessionInput(session), net.getSessionOutput(session)
        shape = result.getShape()

        def run(x):
            source.copyFrom(MNN.Tensor(x.shape, MNN.Halide_Type_Float, x, MNN.Tensor_DimensionType_Caffe))
            net.runSession(session)
            host = MNN.Tensor(shape, MNN.Halide_Type_Float, np.zeros(shape, np.float32), MNN.Tensor_DimensionType_Caffe)
            result.copyToHostTensor(host)
            return np.array(host.getNumpyData())
        return run


class tflite:
    """Keras' network of the same name, with weights of its own: TFLite does not read ONNX."""
    package = "ai-edge-litert"
    networks = {"vgg16": "VGG16", "vgg19": "VGG19", "resnet50": "ResNet50", "resnet50v2": "ResNet50V2",
                "densenet121": "DenseNet121", "mobilenetv2": "MobileNetV2"}

    def prepare(self, x):
        if NETWORK not in self.networks:
            sys.exit(3)
        python = os.environ.get("TENSORFLOW_PYTHON") or sys.exit(3)
        run_tool(python, "-c", f"""
import keras, tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2 as freeze
net = keras.applications.{self.networks[NETWORK]}(weights=None)
f = tf.function(lambda x: net(x, training=False)).get_concrete_function(tf.TensorSpec([1, 224, 224, 3]))
open({str(DIR / "model.tflite")!r}, "wb").write(tf.lite.TFLiteConverter.from_concrete_functions([freeze(f)]).convert())
""")

    def load(self):
        from ai_edge_litert.interpreter import Interpreter
        net = Interpreter(str(DIR / "model.tflite"), num_threads=THREADS)
        net.allocate_tensors()
        source, result = net.get_input_details()[0]["index"], net.get_output_details()[0]["index"]

        def run(x):
            net.set_tensor(source, x)
            net.invoke()
            return net.get_tensor(result)
        return run


def main():
    engine = globals()[ENGINE]()
    shape = json.loads((DIR / "shape.json").read_text())
    x = np.fromfile(DIR / "input.f32", np.float32).reshape(shape)
    if hasattr(engine, "prepare"):
        marker = DIR / (ENGINE + ".done")
        if not marker.exists():
            engine.prepare(x)
            marker.touch()
    if ENGINE == "tflite":
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    start = time.perf_counter()
    run = engine.load()
    loaded = time.perf_counter()
    np.asarray(run(x), np.float32).tofile(DIR / "output.f32")
    print(json.dumps({"version": version(engine.package), "load_ms": (loaded - start) * 1e3, "same_weights": ENGINE != "tflite"}),
          file=PIPE, flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            run(x)
            times.append((time.perf_counter() - start) * 1e3)
        print(json.dumps(times), file=PIPE, flush=True)
    PIPE.flush()
    os._exit(0)  # some engines hang in their destructors


if __name__ == "__main__":
    # Engines print what they like: the answers have a pipe of their own.
    PIPE = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    main()
