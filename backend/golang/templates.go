package golang

import "text/template"

// axes spells out the order of an image's axes.
func axes(a string) string {
	switch a {
	case nchw:
		return ", batch × channels × height × width (NCHW)"
	case nhwc:
		return ", batch × height × width × channels (NHWC)"
	}
	return ""
}

var functions = template.FuncMap{"axes": axes}

var modelTemplate = template.Must(template.New("model").Funcs(functions).Parse(`{{.Head}}
//
// To renew the package, after a change of the model or of modelc, compile it
// again with the same flags; "modelc diff MODEL DIR" tells when that is due.

// Package {{.Package}} computes the network {{printf "%q" .Title}}, compiled from {{.Format}}.
//
{{range .Inputs}}//   - Input {{.Text}}: {{.Go}} {{.Shape}}{{axes .Axes}}
{{end}}{{range .Outputs}}//   - Output {{.Text}}: {{.Go}} {{.Shape}}{{axes .Axes}}
{{end}}//
{{with .Predict}}// A picture becomes the input when it is {{.Fit}}, and {{.Levels}}; Predict does that.
//
{{end}}// Tensors are dense and row-major. The network has {{.Parameters}} parameters and takes
// {{.FLOPs}} FLOP a run{{if gt .N 1}} of {{.N}} examples{{end}}. A session needs {{.Memory}} of memory, the weights {{.Weights}}{{with .Prepared}},
// what is made of them at load {{.}}{{end}}.
{{with .Rounding}}//
// {{.}}
{{end}}//
// A Model is immutable and shared by any number of goroutines; each of them
// needs a Session of its own. Run allocates nothing.{{with .Predict}} Predict takes a
// picture and answers with the best of {{.Classes}} classes.{{end}}
{{- if .More}}
//
// Sessions of NewSession compute {{.N}} example{{if gt .N 1}}s{{end}} a run{{range .More}}, those of NewSession{{.Suffix}} {{.N}}{{end}};
// all share the weights.
{{- end}}
package {{.Package}}

import (
{{if not .Sidecar}}	_ "embed"
{{end}}	"errors"
	"fmt"

	"{{.Runtime}}"
)

// The names of the tensors in the model.
const (
{{range .Inputs}}	{{.Name}}Name = {{.Quoted}}
{{end}}{{range .Outputs}}	{{.Name}}Name = {{.Quoted}}
{{end}})
{{range $b := .Batches}}{{if .Suffix}}
// Of batches of {{.N}}.
{{end}}
const (
{{range .Inputs}}	// {{.Name}}Len{{$b.Suffix}} is the number of elements of {{if eq .Field "Data"}}the input{{else}}Input.{{.Field}}{{end}}.
	{{.Name}}Len{{$b.Suffix}} = {{.Len}}
{{end}}{{range .Outputs}}	// {{.Name}}Len{{$b.Suffix}} is the number of elements of {{if eq .Field "Data"}}the output{{else}}Output.{{.Field}}{{end}}.
	{{.Name}}Len{{$b.Suffix}} = {{.Len}}
{{end}}	// MemoryBytes{{.Suffix}} is what one session allocates for activations.
	MemoryBytes{{.Suffix}} = {{.Plan.ArenaBytes}}
)

// The shapes of the tensors{{if .Suffix}} of batches of {{.N}}{{end}}.
var (
{{range .Inputs}}	{{.Name}}Shape{{$b.Suffix}} = [...]int{{.Dims}}
{{end}}{{range .Outputs}}	{{.Name}}Shape{{$b.Suffix}} = [...]int{{.Dims}}
{{end}})
{{end}}
// Input holds the input tensors of a run. Run reads them in place.
type Input struct {
{{range .Inputs}}	{{.Field}} []{{.Go}} // {{.Text}}: {{.Shape}}
{{end}}}
{{range $b := .Batches}}
// NewInput{{.Suffix}} returns an input{{if .Suffix}} of {{.N}} examples{{end}} with its tensors allocated.
func NewInput{{.Suffix}}() *Input {
	return &Input{
{{range .Inputs}}		{{.Field}}: make([]{{.Go}}, {{.Name}}Len{{$b.Suffix}}),
{{end}}	}
}
{{end}}
// Output holds the output tensors of a run, which writes them.
type Output struct {
{{range .Outputs}}	{{.Field}} []{{.Go}} // {{.Text}}: {{.Shape}}
{{end}}}
{{range $b := .Batches}}
// NewOutput{{.Suffix}} returns an output{{if .Suffix}} of {{.N}} examples{{end}} with its tensors allocated.
func NewOutput{{.Suffix}}() *Output {
	return &Output{
{{range .Outputs}}		{{.Field}}: make([]{{.Go}}, {{.Name}}Len{{$b.Suffix}}),
{{end}}	}
}
{{end}}
// Model is the network with its weights. It never changes: any number of
// goroutines may share it, each with a session of its own.
type Model struct{ model *runtime.Model }

// weightsSHA256 is the digest of the weights that this code was generated
// with.
var weightsSHA256 = {{.Digest}}
{{if not .Sidecar}}
//go:embed weights.bin
var weights string

// New returns the network with the embedded weights.
func New() (*Model, error) {
	m, err := runtime.EmbeddedModel(&plan, weights, weightsSHA256)
	if err != nil {
		return nil, fmt.Errorf("{{.Package}}: %w", err)
	}
	return &Model{m}, nil
}
{{end}}
// Open returns the network with the weights of the file at path, which stays
// mapped into memory. The file must hold the weights that the package was
// generated with.
func Open(path string) (*Model, error) { return open(path, &weightsSHA256) }

// WithWeights returns the network with the weights of a retrained model, from
// a file that modelc weights wrote. It fails if the graph of that model is
// another than this package's. Sessions of other models are not affected. The
// file stays mapped into memory as long as the model is in use: replace it by
// renaming another to its name, never write into it.
func WithWeights(path string) (*Model, error) { return open(path, nil) }

func open(path string, sum *[32]byte) (*Model, error) {
	m, err := runtime.OpenModel(&plan, path, sum)
	if err != nil {
		return nil, fmt.Errorf("{{.Package}}: %w", err)
	}
	return &Model{m}, nil
}

// Option configures a session.
type Option func(*runtime.Options)

// Threads makes Run use n goroutines. The default is GOMAXPROCS; results are
// the same for any number, bit for bit.
func Threads(n int) Option { return func(o *runtime.Options) { o.Threads = n } }

// Session owns the memory of one run at a time.
type Session struct{ session *runtime.Session{{if .Predict}}
	// of Predict, made when it is first called
	in  *Input
	out *Output
{{end}}}

// NewSession returns a session{{if .More}} for {{.N}} example{{if gt .N 1}}s{{end}} a run{{end}}. Close releases its goroutines at once; the
// garbage collector does so when the session is no longer used.
func (m *Model) NewSession(options ...Option) *Session { return m.newSession(&plan, options) }
{{range .More}}
// NewSession{{.Suffix}} returns a session for {{.N}} examples a run: inputs of NewInput{{.Suffix}},
// outputs of NewOutput{{.Suffix}}.
func (m *Model) NewSession{{.Suffix}}(options ...Option) *Session { return m.newSession(&plan{{.Suffix}}, options) }
{{end}}
func (m *Model) newSession(p *runtime.Plan, options []Option) *Session {
	o := runtime.Options{Plan: p}
	for _, set := range options {
		set(&o)
	}
	return &Session{session: m.model.NewSession(o)}
}

// Close releases the session's goroutines. The session must not run, and
// cannot run again.
func (s *Session) Close() {
	if s.session != nil {
		s.session.Close()
		s.session = nil
	}
}

// Run computes out from in. It allocates nothing. It fails if a tensor does
// not have the session's number of elements, or the session is closed.
func (s *Session) Run(in *Input, out *Output) error {
	if s.session == nil {
		return errors.New("{{.Package}}: the session is closed")
	}
	if in == nil || out == nil {
		return errors.New("{{.Package}}: Run needs an input and an output")
	}
{{range .Inputs}}	if err := s.session.Bind({{.Index}}, runtime.BytesOf(in.{{.Field}})); err != nil {
		return fmt.Errorf("{{$.Package}}: in.{{.Field}}: %w", err)
	}
{{end}}{{range .Outputs}}	if err := s.session.Bind({{.Index}}, runtime.BytesOf(out.{{.Field}})); err != nil {
		return fmt.Errorf("{{$.Package}}: out.{{.Field}}: %w", err)
	}
{{end}}	return s.session.Run()
}

// RunBatch computes the outputs of inputs, in their order{{if .More}}, {{.N}} example{{if gt .N 1}}s{{end}} each{{end}}. Several run at once,
// each in a session of one thread: as many as Threads says, GOMAXPROCS
// without. RunBatch allocates those sessions, MemoryBytes and a little more
// each, and the outputs. If it fails, the error is that of the first input at
// fault, with its index.
func (m *Model) RunBatch(inputs []*Input, options ...Option) ([]*Output, error) {
	var o runtime.Options
	for _, set := range options {
		set(&o)
	}
	outputs := make([]*Output, len(inputs))
	err := runtime.RunAll(len(inputs), o.Threads, func() (run func(i int) error, close func()) {
		s := m.NewSession(Threads(1))
		return func(i int) error {
			outputs[i] = NewOutput()
			return s.Run(inputs[i], outputs[i])
		}, s.Close
	})
	if err != nil {
		return nil, fmt.Errorf("{{.Package}}: RunBatch: %w", err)
	}
	return outputs, nil
}
`))

// layersTemplate prints a batch.
var layersTemplate = template.Must(template.New("layers").Parse(`{{.View.Head}}

package {{.View.Package}}

import "{{.View.Runtime}}"

// plan{{.Suffix}} is the network as the runtime executes it{{if .Suffix}} for {{.N}} examples{{end}}: every step a kernel whose
// extents, offsets and choices are constants.
var plan{{.Suffix}} = runtime.Plan{
{{with .Graph}}	Graph: {{.}},
{{end}}	ArenaBytes: {{.Plan.ArenaBytes}},
	WeightsBytes: {{.Plan.WeightsBytes}},
	PreparedBytes: {{.Plan.PreparedBytes}},{{if .Plan.Double}}
	Double:        true,{{end}}
	Inputs: []runtime.Port{
{{range .Inputs}}		{Name: {{.Quoted}}, Type: "{{.Type}}", Shape: []int{{.Dims}}, Bytes: {{.Bytes}}},
{{end}}	},
	Outputs: []runtime.Port{
{{range .Outputs}}		{Name: {{.Quoted}}, Type: "{{.Type}}", Shape: []int{{.Dims}}, Bytes: {{.Bytes}}},
{{end}}	},
{{if .Loads}}	Load: []runtime.Step{
{{range .Loads}}		{Name: {{.Name}}, Kernel: &{{.Var}}},
{{end}}	},
{{end}}	Steps: []runtime.Step{
{{range .Layers}}		{Name: {{.Name}}, Kernel: &{{.Var}}},
{{end}}	},
}
{{range .Loads}}
// {{.Comment}}
var {{.Var}} = {{.Literal}}
{{end}}{{range .Layers}}
// {{.Comment}}
var {{.Var}} = {{.Literal}}
{{end}}`))

var testTemplate = template.Must(template.New("test").Parse(`{{.Head}}

package {{.Package}}

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log"
{{if or .FloatInput .FloatOutput}}	"math"
{{end}}	"os"
	"strings"
	"sync"
	"testing"
)

func Example() {
	m, err := {{if .Sidecar}}Open("weights.bin"){{else}}New(){{end}} // once: goroutines share it
	if err != nil {
		log.Fatal(err)
	}
	s := m.NewSession() // one for each goroutine
	defer s.Close()
	in, out := goldenInput(), NewOutput() // or NewInput, and fill it
	if err := s.Run(in, out); err != nil {
		log.Fatal(err)
	}
{{with index .Outputs 0}}{{if $.Class}}	fmt.Println("class", best(out.{{.Field}}[:{{.Top1}}]))
	// Output: class {{$.Class}}
{{else}}	fmt.Println(len(out.{{.Field}}), "elements")
	// Output: {{.Len}} elements
{{end}}{{end}}}
{{if .FloatOutput}}
// tolerance bounds the difference to the reference interpreter, relative to
// the largest magnitude of an output.
const tolerance = {{.Tolerance}}
{{end}}
func testModel(t testing.TB) *Model {
{{if .Sidecar}}	m, err := Open("weights.bin")
{{else}}	m, err := New()
{{end}}	if err != nil {
		t.Fatal(err)
	}
	return m
}

// goldenInput returns the input whose outputs the reference interpreter
// stored in testdata/golden.bin.
func goldenInput() *Input {
	in := NewInput()
{{if .Predict}}	if err := preprocess.Apply(in.Data, picture()); err != nil {
		panic(err) // Apply takes any picture of this size, or the package would not be
	}
{{else}}	fill(in)
{{end}}	return in
}
{{if .Fills}}
// fill sets the elements of an input to what a small generator gives.
func fill(in *Input) {
{{range $i, $p := .Inputs}}	for k := range in.{{$p.Field}} {
{{if eq $p.Go "bool"}}		in.{{$p.Field}}[k] = mix({{$i}}<<32+uint64(k))&1 == 1
{{else if $p.Float}}		in.{{$p.Field}}[k] = {{$p.Go}}(noise({{$i}}<<32 + uint64(k)))
{{else}}		in.{{$p.Field}}[k] = {{$p.Go}}(mix({{$i}}<<32+uint64(k)) & {{$.GoldenMask}})
{{end}}	}
{{end}}}
{{end}}{{if .Fills}}{{if .FloatInput}}
// noise has mean zero and variance one.
func noise(k uint64) float32 {
	u := float64(mix(k)>>11) / (1 << 53)
	return float32(float64(u*(2*math.Sqrt(3))) - math.Sqrt(3))
}
{{end}}
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
{{end}}
func TestGolden(t *testing.T) {
	file, err := os.ReadFile("testdata/golden.bin")
	if err != nil {
		t.Fatal(err)
	}
	stored := bytes.NewReader(file)
	s := testModel(t).NewSession()
	defer s.Close()
	out := NewOutput()
	if err := s.Run(goldenInput(), out); err != nil {
		t.Fatal(err)
	}
{{range .Outputs}}	{{if .Float}}near{{else}}equal{{end}}(t, {{.Name}}Name, out.{{.Field}}, stored, {{.Stride}}{{if .Float}}, {{.Top1}}{{end}})
{{end}}}

// read returns the stored elements of an output: every stride-th of n.
func read[T any](t *testing.T, stored io.Reader, n, stride int) []T {
	want := make([]T, (n+stride-1)/stride)
	if err := binary.Read(stored, binary.LittleEndian, want); err != nil {
		t.Fatal(err)
	}
	return want
}
{{if .FloatOutput}}
// near compares floats, and, where rows hold the scores of width classes, the
// best of each row.
func near[T float32 | float64](t *testing.T, name string, got []T, stored io.Reader, stride, width int) {
	want := read[T](t, stored, len(got), stride)
	top, worst, at := 0.0, 0.0, 0
	for i, w := range want {
		if a := math.Abs(float64(w)); a > top && !math.IsInf(a, 1) {
			top = a
		}
		if g := got[i*stride]; g != w && (g == g || w == w) {
			if d := math.Abs(float64(g - w)); d > worst || math.IsNaN(d) {
				worst, at = d, i
			}
		}
	}
	if !(worst <= tolerance*top) {
		t.Errorf("%s: element %d is %g, want %g", name, at*stride, got[at*stride], want[at])
	}
	for row := 0; width > 0 && row < len(want); row += width {
		g, w := best(got[row:row+width]), best(want[row:row+width])
		if want[row+g] != want[row+w] {
			t.Errorf("%s: the best of row %d is class %d, want %d", name, row/width, g, w)
		}
	}
}

func best[T float32 | float64](x []T) int {
	at := 0
	for i, v := range x {
		if v > x[at] {
			at = i
		}
	}
	return at
}
{{end}}{{if .ExactOutput}}
func equal[T comparable](t *testing.T, name string, got []T, stored io.Reader, stride int) {
	for i, w := range read[T](t, stored, len(got), stride) {
		if g := got[i*stride]; g != w {
			t.Fatalf("%s: element %d is %v, want %v", name, i*stride, g, w)
		}
	}
}
{{end}}
{{range $b := .More}}
// A batch of {{.N}} gives each example what a session for {{$.N}} gives it.
func TestBatch{{.Suffix}}(t *testing.T) {
	m := testModel(t)
	s, all := m.NewSession(), m.NewSession{{.Suffix}}()
	defer s.Close()
	defer all.Close()
	in, out := NewInput{{.Suffix}}(), NewOutput{{.Suffix}}()
	fill(in)
	if err := all.Run(in, out); err != nil {
		t.Fatal(err)
	}
	want := NewOutput()
	for at := 0; at < {{.N}}; at += {{$.N}} {
		at := min(at, {{.N}}-{{$.N}})
		one := &Input{
{{range .Inputs}}			{{.Field}}: in.{{.Field}}[at*len(in.{{.Field}})/{{$b.N}}:][:{{.Name}}Len],
{{end}}		}
		if err := s.Run(one, want); err != nil {
			t.Fatal(err)
		}
{{range .Outputs}}		{{if .Float}}within{{else}}same{{end}}(t, {{.Name}}Name, out.{{.Field}}[at*len(out.{{.Field}})/{{$b.N}}:][:{{.Name}}Len], want.{{.Field}})
{{end}}	}
}
{{end}}{{if and .More .FloatOutput}}
// within compares floats of two sessions.
func within[T float32 | float64](t *testing.T, name string, got, want []T) {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, want); err != nil {
		t.Fatal(err)
	}
	near(t, name, got, &b, 1, 0)
}
{{end}}
func TestNoAllocations(t *testing.T) {
	m := testModel(t)
	check := func(s *Session, in *Input, out *Output) {
		defer s.Close()
		if n := testing.AllocsPerRun(2, func() {
			if err := s.Run(in, out); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%g allocations a run", n)
		}
	}
{{range .Batches}}	check(m.NewSession{{.Suffix}}(), NewInput{{.Suffix}}(), NewOutput{{.Suffix}}())
{{end}}}

// Eight goroutines share one model; all get the same bits.
func TestConcurrent(t *testing.T) {
	m := testModel(t)
	var wg sync.WaitGroup
	outs := make([]*Output, 8)
	for i := range outs {
		outs[i] = NewOutput()
		wg.Add(1)
		go func() {
			defer wg.Done()
			s := m.NewSession(Threads(1 + i%2))
			defer s.Close()
			if err := s.Run(goldenInput(), outs[i]); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	for i := range outs {
{{range .Outputs}}		same(t, {{.Name}}Name, outs[i].{{.Field}}, outs[0].{{.Field}})
{{end}}	}
}

func same[T comparable](t *testing.T, name string, a, b []T) {
	for k := range a {
		if a[k] != b[k] && (a[k] == a[k] || b[k] == b[k]) {
			t.Fatalf("%s: element %d is %v in one session, %v in another", name, k, a[k], b[k])
		}
	}
}

// RunBatch answers in the order of the inputs, and names the one at fault.
func TestRunBatch(t *testing.T) {
	m := testModel(t)
	inputs := []*Input{goldenInput(), NewInput(), goldenInput(), NewInput(), NewInput()}
	got, err := m.RunBatch(inputs, Threads(2))
	if err != nil || len(got) != len(inputs) {
		t.Fatalf("%d outputs, %v", len(got), err)
	}
	s := m.NewSession()
	defer s.Close()
	want := NewOutput()
	for i, in := range inputs {
		if err := s.Run(in, want); err != nil {
			t.Fatal(err)
		}
{{range .Outputs}}		same(t, {{.Name}}Name, got[i].{{.Field}}, want.{{.Field}})
{{end}}	}
	inputs[1], inputs[3] = nil, nil
	if _, err := m.RunBatch(inputs); err == nil || !strings.Contains(err.Error(), "input 1") {
		t.Errorf("inputs 1 and 3 are nil, error %v", err)
	}
	if got, err := m.RunBatch(nil); err != nil || len(got) != 0 {
		t.Errorf("no inputs: %d outputs, %v", len(got), err)
	}
}

// The weights of a file give the same bits; what holds no weights of this
// network is refused.
func TestWithWeights(t *testing.T) {
	m, err := WithWeights("weights.bin")
	if err != nil {
		t.Fatal(err)
	}
	want, got := NewOutput(), NewOutput()
	for _, r := range []struct {
		m   *Model
		out *Output
	}{ {testModel(t), want}, {m, got} } {
		s := r.m.NewSession()
		if err := s.Run(goldenInput(), r.out); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
{{range .Outputs}}	same(t, {{.Name}}Name, got.{{.Field}}, want.{{.Field}})
{{end}}	if _, err := WithWeights("model.go"); err == nil {
		t.Error("source code was taken for weights")
	}
}

func TestMisuse(t *testing.T) {
	s := testModel(t).NewSession()
	if err := s.Run(nil, nil); err == nil {
		t.Error("Run without an input was no error")
	}
{{if .TakesData}}	if err := s.Run(&Input{}, NewOutput()); err == nil {
		t.Error("Run with an empty input was no error")
	}
{{end}}{{if .GivesData}}	if err := s.Run(NewInput(), &Output{}); err == nil {
		t.Error("Run with an empty output was no error")
	}
{{end}}	s.Close()
	s.Close()
	if err := s.Run(NewInput(), NewOutput()); err == nil {
		t.Error("Run of a closed session was no error")
	}
}

// BenchmarkRun uses GOMAXPROCS threads: -cpu 1,2,4 measures others.
func BenchmarkRun(b *testing.B) { benchmark(b, testModel(b).NewSession(), NewInput(), NewOutput(), {{.N}}) }
{{range .More}}
func BenchmarkRun{{.Suffix}}(b *testing.B) { benchmark(b, testModel(b).NewSession{{.Suffix}}(), NewInput{{.Suffix}}(), NewOutput{{.Suffix}}(), {{.N}}) }
{{end}}
func benchmark(b *testing.B, s *Session, in *Input, out *Output, examples int) {
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Run(in, out); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*examples), "ns/example")
}
`))
