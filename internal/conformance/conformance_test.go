package conformance_test

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	diff "github.com/google/go-cmp/cmp"

	"modelc"
	"modelc/backend/inproc"
	"modelc/frontend/onnx"
	"modelc/frontend/source"
	"modelc/internal/conformance"
	"modelc/internal/gorun"
	"modelc/ir"
	"modelc/ir/eval"
)

var update = flag.Bool("update", false, "write testdata/conformance.txt and docs/conformance.md anew")

// The engines, in the order of the results of a case.
const (
	byEval   = iota // the reference interpreter on the graph of the front end
	byInproc        // all passes, the schedule and the kernels in this process
	byGo            // the generated package
	engines
)

var engineNames = [engines]string{"eval", "inproc", "go"}

// errWrong is the error of a case whose outputs differ from the stored outputs.
// All other errors report unsupported cases.
var errWrong = errors.New("wrong answer")

// run is a case with its results on the engines.
type run struct {
	*conformance.Case
	in, want []*ir.Tensor
	c        *modelc.Compiled
	program  int // the model's number in the program of generated packages
	err      [engines]error
}

// load reads the case and binds the inputs that are weights or arguments in real
// networks. If both the model and the data have errors, load returns the error of
// the model.
func (r *run) load() (*source.Model, error) {
	data, err := r.Model()
	if err != nil {
		return nil, err
	}
	all, unread := r.tensors("input")
	if unread == nil {
		r.want, unread = r.tensors("output")
	}
	names, err := onnx.InputNames(data)
	if err != nil {
		return nil, err
	}
	opts := source.Options{Bind: map[string]*ir.Tensor{}, Shapes: map[string]ir.Shape{}}
	given := map[string]*ir.Tensor{}
	for i, t := range all[:min(len(all), len(names))] {
		given[names[i]] = t
		opts.Shapes[names[i]] = t.Shape
		// The list classifies the target shape of CenterCropPad as data.
		crop := strings.HasPrefix(r.Name, "test_center_crop_pad") && i == 1
		// It classifies all operands of recurrent layers as data.
		constant := slices.ContainsFunc(r.Ops, func(op string) bool { return op == "LSTM" || op == "GRU" || op == "RNN" }) &&
			slices.Contains([]string{"W", "R", "B", "P", "sequence_lens"}, names[i])
		if kind := r.Kinds[min(i, len(r.Kinds)-1)]; kind == "weight" || kind == "argument" || crop || constant {
			opts.Bind[names[i]] = t
		}
	}
	m, err := onnx.Parse("model", data, "", opts)
	if err != nil {
		return nil, err
	}
	if unread != nil {
		return nil, unread
	}
	for _, v := range m.Graph.Inputs {
		r.in = append(r.in, given[v.Name])
	}
	return m, nil
}

func (r *run) tensors(kind string) ([]*ir.Tensor, error) {
	files, err := r.Data(kind)
	if err != nil {
		return nil, err
	}
	var list []*ir.Tensor
	for i, b := range files {
		t, _, err := onnx.ParseTensor(b)
		if err != nil {
			return list, fmt.Errorf("%s %d: %w", kind, i, err)
		}
		list = append(list, t)
	}
	return list, nil
}

// compute runs the case on all engines except the generated package. It reports
// whether the generated package can be run.
func (r *run) compute() bool {
	m, err := r.load()
	if err != nil {
		r.fail(byEval, err)
		return false
	}
	got, err := eval.Run(m.Graph, r.in)
	r.err[byEval] = r.check(m.Graph, got, err)
	if r.c, err = modelc.CompileModel(m, modelc.Options{}); err != nil {
		r.fail(byInproc, err)
		return false
	}
	e, err := inproc.New(r.c.Program, 1)
	if err != nil {
		r.fail(byInproc, err)
		return false
	}
	defer e.Close()
	got, err = e.Run(r.in)
	r.err[byInproc] = r.check(m.Graph, got, err)
	return true
}

// fail records an error for an engine and all engines after it.
func (r *run) fail(first int, err error) {
	for e := first; e < engines; e++ {
		r.err[e] = err
	}
}

// check compares the outputs of an engine with the stored outputs: floats with
// rtol 1e-3 and atol 1e-5, other types exactly.
func (r *run) check(g *ir.Graph, got []*ir.Tensor, err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", errWrong, err)
	}
	if got = eval.Cut(g, got, r.want); len(got) != len(r.want) {
		return fmt.Errorf("%w: %d outputs, want %d", errWrong, len(got), len(r.want))
	}
	for i := range r.want {
		if err := agree(got[i], r.want[i]); err != nil {
			return fmt.Errorf("%w: output %d: %w", errWrong, i, err)
		}
	}
	return nil
}

func agree(got, want *ir.Tensor) error {
	if !got.Type.Equal(want.Type) {
		return fmt.Errorf("got %s, want %s", got.Type, want.Type)
	}
	if !want.DType.IsFloat() {
		if string(got.Bytes()) != string(want.Bytes()) {
			return fmt.Errorf("got %.8v, want %.8v", got.Int64s(), want.Int64s())
		}
		return nil
	}
	g, w := got.Float64s(), want.Float64s()
	for k := range w {
		if g[k] == w[k] || math.IsNaN(g[k]) && math.IsNaN(w[k]) {
			continue
		}
		if d := math.Abs(g[k] - w[k]); !(d <= 1e-5+1e-3*math.Abs(w[k])) {
			return fmt.Errorf("element %d is %g, want %g", k, g[k], w[k])
		}
	}
	return nil
}

// explained lists the cases whose outputs differ from the stored outputs for a
// known reason. Any other difference is an error.
var explained = []struct{ cases, reason string }{
	{`^node-v1\.(8\.0|12\.0|16\.0)/test_cast(like)?_(FLOAT_to_BFLOAT16|BFLOAT16_to_FLOAT)`, "bfloat16 data is stored as uint16"},
	{`/test_cast(like)?_FLOAT_to_BFLOAT16|/test_celu_bfloat16`, "half precision is computed in float32"},
	{`^node-v1\.16\.0/test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True$`, "the stored output is wrong; later releases corrected it"},
	{`^node-v1\.16\.0/test_qlinearmatmul_[23]D_int8_float(16|32)$`, "the stored output wraps where it should saturate; later releases corrected it"},
}

// reason returns a short reason for which a case does not pass on an engine. It
// does not depend on the machine. It is "" if the engine is wrong.
func (r *run) reason(e int) string {
	err := r.err[e]
	if errors.Is(err, errWrong) {
		for _, x := range explained {
			if regexp.MustCompile(x.cases).MatchString(r.String()) {
				return x.reason
			}
		}
		return ""
	}
	if u := new(source.Unsupported); errors.As(err, &u) {
		var list []string
		for _, p := range u.Problems {
			why, _, _ := strings.Cut(p.Reason, "; operands")
			list = append(list, p.Op+": "+why)
		}
		slices.Sort(list)
		return strings.Join(slices.Compact(list), "; ")
	}
	return strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", " "), "model: ")
}

// Every required case passes on every engine. Every other case passes or is
// listed in testdata/conformance.txt with the reason: it is unsupported, or its
// stored output is wrong. The score is written to docs/conformance.md.
func TestConformance(t *testing.T) {
	dir := os.Getenv("MODELC_CORPUS")
	if dir == "" {
		t.Skip("MODELC_CORPUS is not set: the conformance suite does not run")
	}
	suite, err := conformance.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer suite.Close()
	builder, err := gorun.NewBuilder(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	var runs, packaged []*run
	byName := map[string]*run{}
	for _, c := range suite.Cases {
		if c.SameAs == "" {
			r := &run{Case: c}
			runs = append(runs, r)
			byName[c.String()] = r
		}
	}
	var mu sync.Mutex
	parallel(runs, func(r *run) {
		if !r.compute() {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		var err error
		if r.program, err = builder.Add(r.c); err != nil {
			r.err[byGo] = err
			return
		}
		packaged = append(packaged, r)
	})
	p, err := builder.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	parallel(packaged, func(r *run) {
		got, err := p.Run(t.Context(), r.program, r.in)
		r.err[byGo] = r.check(r.c.Before, got, err)
	})
	t.Logf("%d different packages", builder.Packages())
	for _, r := range runs {
		for e, err := range r.err {
			if err != nil && (r.Required || r.reason(e) == "") {
				t.Errorf("%s on %s: %v", r, engineNames[e], err)
			}
		}
	}
	current(t, "testdata/conformance.txt", unpassed(runs))
	current(t, "../../docs/conformance.md", document(suite.Cases, byName))
	t.Log(summary(suite.Cases, byName))
}

// parallel calls do for each run, on all processors.
func parallel(runs []*run, do func(r *run)) {
	var wg sync.WaitGroup
	next := make(chan *run)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for r := range next {
				do(r)
			}
		})
	}
	for _, r := range runs {
		next <- r
	}
	close(next)
	wg.Wait()
}

// current checks that the file at path contains text, or writes it with -update.
func current(t *testing.T, path, text string) {
	t.Helper()
	if *update && !t.Failed() {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff.Diff(strings.Split(string(old), "\n"), strings.Split(text, "\n")); d != "" {
		t.Errorf("%s is not current (-update writes it):\n%s", path, d)
	}
}
