"""Times modelc, PyTorch and ONNX Runtime on a GPU, in turns, for bench/cuda/run.

Each engine is timed in rounds. A round of modelc is a process of "modelc bench --engine
cuda", which replays its CUDA graph. PyTorch computes channels_last with cuDNN's autotuner,
and replays a CUDA graph. ONNX Runtime uses its CUDA provider with I/O on the device. All
times are without copies between host and device. The peaks of the GPU are those of a large
matrix product and of a large copy, measured in the same run.

With --engine cuda-emulated, PyTorch and ONNX Runtime run on the CPU, in one short round:
this tests the script, and the times mean nothing.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

ROUNDS = 3
SECONDS = 1.0  # of a round of PyTorch or ONNX Runtime


def optional(name):
    try:
        return __import__(name)
    except ImportError:
        return None


def spread(times):
    times = sorted(times)
    return {"median_us": statistics.median(times), "best_us": times[0], "p90_us": times[len(times) * 9 // 10]}


def modelc(args, precision):
    out = subprocess.run([args.modelc, "bench", args.model, "--engine", args.engine, "--precision", precision, "--runs", "100" if args.engine == "cuda" else "2", "--json"], check=True, stdout=subprocess.PIPE).stdout
    return json.loads(out)


def rounds(step, seconds):
    """Returns the times of calls of step in microseconds, by the clock of the host."""
    times, end = [], time.time() + seconds
    while not times or time.time() < end:
        start = time.perf_counter()
        step()
        times.append(1e6 * (time.perf_counter() - start))
    return times


class Graph:
    """A function of PyTorch as a CUDA graph, or without a graph on the CPU."""

    def __init__(self, torch, device, f):
        self.torch, self.step = torch, None
        if device == "cpu":
            self.step = f
            return
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(5):
                f()
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            f()

    def round(self):
        if self.step is not None:
            return rounds(self.step, 0)
        times, end = [], time.time() + SECONDS
        while time.time() < end:
            start, stop = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            self.graph.replay()
            stop.record()
            stop.synchronize()
            times.append(1e3 * start.elapsed_time(stop))
        return times


def pytorch(torch, device, network, batch, precision):
    models = optional("torchvision")
    name = {"squeezenet1.1": "squeezenet1_1", "mobilenetv2": "mobilenet_v2"}.get(network, network)
    if models is None or not hasattr(models.models, name):
        return None
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    dtype = torch.float16 if precision == "f16" else torch.float32
    net = getattr(models.models, name)(weights=None).eval().to(device).to(dtype=dtype, memory_format=torch.channels_last)
    x = torch.randn(batch, 3, 224, 224, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        return Graph(torch, device, torch.inference_mode()(lambda: net(x)))


class ONNXRuntime:
    def __init__(self, ort, device, path, batch):
        import numpy

        provider = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}[device]
        self.seconds = SECONDS if device == "cuda" else 0
        self.session = ort.InferenceSession(path, providers=[provider])
        if provider not in self.session.get_providers():
            raise RuntimeError(f"ONNX Runtime has no {provider}")
        self.binding = self.session.io_binding()
        for i in self.session.get_inputs():
            shape = [d if isinstance(d, int) else batch for d in i.shape]  # an open dimension is the batch
            x = numpy.random.default_rng(1).standard_normal(shape).astype(numpy.float32)
            self.binding.bind_ortvalue_input(i.name, ort.OrtValue.ortvalue_from_numpy(x, device, 0))
        for o in self.session.get_outputs():
            self.binding.bind_output(o.name, device)
        for _ in range(10):
            self.step()

    def step(self):
        self.session.run_with_iobinding(self.binding)
        self.binding.synchronize_outputs()

    def round(self):
        return rounds(self.step, self.seconds)


def peaks(torch, device):
    """Returns TFLOP/s of products in each precision, and GB/s of a copy."""
    result, n, size = {}, 4096, 1 << 28
    if device == "cpu":
        n, size = 256, 1 << 20
    for name, dtype, tf32 in (("f32", torch.float32, False), ("tf32", torch.float32, True), ("f16", torch.float16, False)):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        a = torch.randn(n, n, device=device, dtype=dtype)
        result[name] = 2 * n**3 / min(Graph(torch, device, lambda: a @ a).round()) / 1e6
    x, y = (torch.empty(size, device=device, dtype=torch.uint8) for _ in range(2))
    result["GB/s"] = 2 * x.numel() / min(Graph(torch, device, lambda: y.copy_(x)).round()) / 1e3
    return result


def compare(args):
    torch, ort = optional("torch"), optional("onnxruntime")
    device = "cuda" if args.engine == "cuda" else "cpu"
    if torch is not None and device == "cuda" and not torch.cuda.is_available():
        torch = None
    row = {"network": args.network, "batch": args.batch, "engines": {}}
    engines, times = {}, {}
    if torch is not None:
        row["peaks"] = peaks(torch, device)
        for precision in ("f32", "tf32", "f16"):
            engine = pytorch(torch, device, args.network, args.batch, precision)
            if engine is not None:
                engines["PyTorch " + precision] = engine.round
    if ort is not None:
        try:
            engines["ONNX Runtime"] = ONNXRuntime(ort, device, args.model, args.batch).round
        except Exception as e:  # it raises its own types
            print("ONNX Runtime is skipped:", e, file=sys.stderr)

    def ours(precision):
        r = modelc(args, precision)
        row["flops"] = r["flops"]
        return r["runs_us"]

    for precision in ("f32", "tf32", "f16"):
        engines["modelc " + precision] = lambda precision=precision: ours(precision)
    for _ in range(ROUNDS if args.engine == "cuda" else 1):
        for name, measure in engines.items():
            times.setdefault(name, []).extend(measure())
    row["engines"] = {name: spread(t) for name, t in times.items()}
    with open(args.out, "a") as f:
        f.write(json.dumps(row) + "\n")


def table(path):
    print("| network | batch | engine | median µs | best | 90 % below | TFLOP/s | of peak | modelc at this precision is |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for line in open(path):
        row = json.loads(line)
        for name, t in row["engines"].items():
            precision = name.split()[-1] if name.split()[-1] in ("tf32", "f16") else "f32"
            ours = row["engines"]["modelc " + precision]["median_us"]
            rate = row["flops"] / t["median_us"] / 1e6
            peak = row.get("peaks", {}).get(precision)
            part = f"{100 * rate / peak:.0f} %" if peak else ""
            print(f"| {row['network']} | {row['batch']} | {name} | {t['median_us']:.1f} | {t['best_us']:.1f} | {t['p90_us']:.1f} | {rate:.2f} | {part} | {t['median_us'] / ours:.2f} × |")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--modelc")
    p.add_argument("--engine", default="cuda")
    p.add_argument("--model")
    p.add_argument("--network")
    p.add_argument("--batch", type=int)
    p.add_argument("--out")
    p.add_argument("--table")
    args = p.parse_args()
    if args.table:
        table(args.table)
    else:
        compare(args)


main()
