// Package speed shows the measurements of bench, which times modelc beside other engines,
// as tables and as a picture. docs/measured holds one file of measurements for each kind of
// machine. From them README.md and docs/performance.md have their tables.
package speed

import (
	"encoding/json"
	"fmt"
	"os"
)

// Row holds the measurements of a network with one number of threads.
type Row struct {
	Model   string
	Threads int
	// Machine and Tier are the processor's name and modelc's tier on it. Commit is that of
	// modelc, Command the call of bench.
	Machine, Tier, Commit, Command string
	// Ms holds the medians by engine.
	Ms map[string]float64
	// Versions of the engines that ran.
	Versions map[string]string
	// Errors are max |other − modelc| / max |other|.
	Errors map[string]float64 `json:",omitempty"`
	// Failed says what an engine did instead of running: "crashed" or "failed".
	Failed map[string]string `json:",omitempty"`
	// GFLOPS is modelc's rate of the network's operations. OfPeak is this rate as a
	// fraction of the measured multiply-add peak, of products of bytes or of bfloat16 if the
	// network computes in them.
	GFLOPS, OfPeak float64
	Process        *Process `json:",omitempty"`
}

// Process holds the costs of a process of modelc and one of ONNX Runtime: times in
// milliseconds, sizes in bytes.
type Process struct {
	// Load is the time of New, without the transformation of weights. Start is the
	// time from the start of the process to its first result with a warm page
	// cache. Resident is the resident memory after that.
	Load                  float64
	Start, OrtStart       float64
	Resident, OrtResident int64
	// Shipped is the size of the program with the package, or of ONNX Runtime's
	// library and the model.
	Shipped, OrtShipped int64
}

// engine is an engine as tables and pictures show it. The colours are distinguishable
// without colour vision, on light and on dark.
type engine struct{ name, title, colour string }

var engines = []engine{
	{"modelc", "modelc", "#11946a"},
	{"onnxruntime", "ONNX Runtime", "#7b8894"},
	{"openvino", "OpenVINO", "#8b7fb8"},
	{"ncnn", "ncnn", "#d98f3a"},
	{"mnn", "MNN", "#5f9bc6"},
	{"tflite", "TFLite", "#c2a85f"},
}

// fastest returns the shortest time of r's engines other than modelc, 0 if there is none.
func (r *Row) fastest() float64 {
	best := 0.0
	for _, e := range engines[1:] {
		if t := r.Ms[e.name]; t > 0 && (best == 0 || t < best) {
			best = t
		}
	}
	return best
}

// Read reads a file of measurements.
func Read(path string) ([]*Row, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var rows []*Row
	if err := json.Unmarshal(b, &rows); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return rows, nil
}

// Write writes a file of measurements.
func Write(path string, rows []*Row) error {
	b, err := json.MarshalIndent(rows, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o666)
}
