package main

import (
	"encoding/json"
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
