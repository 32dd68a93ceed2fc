package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"modelc/backend/cuda/roofline"
	"modelc/backend/cuda/shim"
)

const lenet = "../../testdata/digits/lenet5.onnx"

// The kernels for a GPU give the values of the reference interpreter on the emulator, and
// bench times them, also those for tensor cores.
func TestEmulatedGPU(t *testing.T) {
	if err := shim.Available(); err != nil {
		t.Skip(err)
	}
	code, out, errs := invoke(t, "verify", lenet, "--engine", "cuda-emulated")
	if code != 0 || !strings.Contains(out, "ok") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	code, out, errs = invoke(t, "bench", lenet, "--engine", "cuda-emulated", "--runs", "2", "--precision", "tf32", "--json")
	var r roofline.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	if r.GPU != "emulated device 0" || len(r.Runs) != 2 || r.Runs[0] <= 0 || r.FLOPs == 0 || r.Rows[0].Measured <= 0 {
		t.Errorf("%s", out)
	}
}

// inspect shows the kernels, and without ptxas the reason why it shows no registers.
func TestInspectCUDA(t *testing.T) {
	code, out, errs := invoke(t, "inspect", lenet, "--target", "cuda")
	if code != 0 || !strings.Contains(out, "conv2") || !strings.Contains(out, "H100 SXM5") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	code, out, errs = invoke(t, "inspect", lenet, "--target", "cuda", "--steps")
	if code != 0 || !strings.Contains(out, "0 conv1: Conv 5×5") || !strings.Contains(out, "arena") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

// The report shows the kernels.
func TestReportCUDA(t *testing.T) {
	page := filepath.Join(t.TempDir(), "report.html")
	code, _, errs := invoke(t, "report", lenet, "-o", page, "--target", "cuda", "--precision", "tf32", "--verify=false")
	b, err := os.ReadFile(page)
	if code != 0 || err != nil || !strings.Contains(string(b), "<code>k001_conv1</code>") || !strings.Contains(string(b), "implicit GEMM in tf32") {
		t.Errorf("exit %d, %v\n%s", code, err, errs)
	}
}

// The script that times modelc, PyTorch and ONNX Runtime on a GPU times them on the CPU, with
// modelc on the emulator: those that the Python interpreter in MODELC_ORT has.
func TestONNXRuntimeBesideCUDA(t *testing.T) {
	python := os.Getenv("MODELC_ORT")
	if python == "" {
		t.Skip("MODELC_ORT is not set: it names a Python with onnxruntime")
	}
	if err := shim.Available(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	command, times := filepath.Join(dir, "modelc"), filepath.Join(dir, "times.jsonl")
	text := fmt.Sprintf("#!/bin/sh\n%s=\"$(printf '%%s\\n' \"$@\")\" exec '%s' '-test.run=^TestCommand$'\n", commandArgs, os.Args[0])
	if err := os.WriteFile(command, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	script := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), python, append([]string{"../../bench/cuda/compare.py"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	log := script("--modelc", command, "--engine", "cuda-emulated", "--model", lenet, "--network", "resnet18", "--batch", "1", "--out", times)
	b, err := os.ReadFile(times)
	var row struct {
		FLOPs   int64
		Engines map[string]struct {
			Median float64 `json:"median_us"`
			Best   float64 `json:"best_us"`
		}
	}
	if err := errors.Join(err, json.Unmarshal(b, &row)); err != nil || row.FLOPs == 0 {
		t.Fatalf("%v\n%s\n%s", err, b, log)
	}
	want := []string{"ONNX Runtime", "modelc f32", "modelc tf32", "modelc f16"}
	if exec.Command(python, "-c", "import torch, torchvision").Run() == nil {
		want = append(want, "PyTorch f32", "PyTorch tf32", "PyTorch f16")
	}
	table := script("--table", times)
	for _, name := range want {
		if e := row.Engines[name]; e.Best <= 0 || e.Median < e.Best || !strings.Contains(table, "| resnet18 | 1 | "+name+" |") {
			t.Errorf("%s: %+v\n%s\n%s", name, e, table, log)
		}
	}
	if len(row.Engines) != len(want) {
		t.Errorf("%d engines, want %v", len(row.Engines), want)
	}
}
