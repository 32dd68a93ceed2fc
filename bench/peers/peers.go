// Package peers measures other inference engines: OpenVINO, ncnn, MNN and TFLite.
// Each runs in its own Python process, which waits between its turns.
package peers

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

//go:embed worker.py
var worker []byte

// Names lists the engines.
var Names = []string{"openvino", "ncnn", "mnn", "tflite"}

// Quantised lists the engines that read quantised ONNX files. The converters of the others
// reject them or read them wrongly.
var Quantised = []string{"openvino"}

// Narrow lists the engines that compute in bfloat16.
var Narrow = []string{"openvino"}

// ErrCrashed is the error of an engine whose process a signal ended.
var ErrCrashed = errors.New("the engine crashed")

// ErrNone is the error for a network that an engine does not support.
var ErrNone = errors.New("the engine does not have this network")

// Engine is a process with a loaded model.
type Engine struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	LoadMs  float64
	// SameWeights is false if the engine's network has other weights. Then results
	// cannot be compared.
	SameWeights bool
	// Output is the result of the first run.
	Output []float32

	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// Model is a model for the engines.
type Model struct {
	Network string // name in the zoo, or a path
	Path    string
	Shape   []int
	Input   []float32
	BF16    bool // compute in bfloat16
	// Dir is a folder for converted models, which later calls of Start reuse.
	Dir string
}

// Start starts the engine with the given name in the Python interpreter and waits
// for its first result.
func Start(python, name string, m Model, threads int) (*Engine, error) {
	script := filepath.Join(m.Dir, "worker.py")
	precision := "f32"
	if m.BF16 {
		precision = "bf16"
	}
	shape, err := json.Marshal(m.Shape)
	if err != nil {
		return nil, err
	}
	for file, content := range map[string][]byte{script: worker, filepath.Join(m.Dir, "shape.json"): shape, filepath.Join(m.Dir, "input.f32"): bytesOf(m.Input)} {
		if err := os.WriteFile(file, content, 0o666); err != nil {
			return nil, err
		}
	}
	e := &Engine{Name: name, cmd: exec.Command(python, script, name, m.Network, m.Path, strconv.Itoa(threads), m.Dir, precision)}
	log, err := os.Create(filepath.Join(m.Dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	e.cmd.Stderr = log
	if e.in, err = e.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	e.out = bufio.NewReader(out)
	if err := e.cmd.Start(); err != nil {
		return nil, err
	}
	var ready struct {
		Version     string  `json:"version"`
		LoadMs      float64 `json:"load_ms"`
		SameWeights bool    `json:"same_weights"`
	}
	if err := e.read(&ready); err != nil {
		if e.cmd.ProcessState.ExitCode() == 3 {
			return nil, ErrNone
		}
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%s: %w\n%s", name, err, text[max(0, len(text)-2000):])
	}
	e.Version, e.LoadMs, e.SameWeights = ready.Version, ready.LoadMs, ready.SameWeights
	if e.Output, err = readFloats(filepath.Join(m.Dir, "output.f32")); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// Run returns the times of n runs in milliseconds.
func (e *Engine) Run(n int) (times []float64, err error) {
	if _, err := fmt.Fprintln(e.in, n); err != nil {
		return nil, err
	}
	return times, e.read(&times)
}

// read reads an answer. If there is none, it waits for the end of the process.
func (e *Engine) read(v any) error {
	line, err := e.out.ReadBytes('\n')
	if err == nil {
		return json.Unmarshal(line, v)
	}
	e.in.Close()
	e.cmd.Wait()
	if s := e.cmd.ProcessState; s != nil && s.ExitCode() < 0 {
		return fmt.Errorf("%w: %s", ErrCrashed, s)
	}
	return fmt.Errorf("no answer: %w", err)
}

// Close ends the process.
func (e *Engine) Close() {
	e.in.Close()
	e.cmd.Wait()
}
