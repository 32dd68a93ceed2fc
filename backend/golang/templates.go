package golang

import "text/template"

var modelTemplate = template.Must(template.New("model").Parse(`{{.Head}}
//
// To renew the package, after a change of the model or of modelc, compile it
// again with the same flags; "modelc diff MODEL DIR" tells when that is due.

// Package {{.Package}} computes the network {{printf "%q" .Title}}, compiled from {{.Format}}.
//
{{range .Inputs}}// Input {{.Text}}: {{.Go}} {{.Shape}}.
{{end}}{{range .Outputs}}// Output {{.Text}}: {{.Go}} {{.Shape}}.
{{end}}//
// Tensors are dense and row-major. The network has {{.Parameters}} parameters and takes
// {{.FLOPs}} FLOP a run; a session needs {{.Memory}} of memory, the weights {{.Weights}}.
//
// A Model is immutable and shared by any number of goroutines; each of them
// needs a Session of its own. Run allocates nothing.{{with .Predict}} Predict takes a
// picture and answers with the best of {{.Classes}} classes.{{end}}
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

const (
{{range .Inputs}}	// {{.Name}}Len is the number of elements of {{if eq .Field "Data"}}the input{{else}}Input.{{.Field}}{{end}}.
	{{.Name}}Len = {{.Len}}
{{end}}{{range .Outputs}}	// {{.Name}}Len is the number of elements of {{if eq .Field "Data"}}the output{{else}}Output.{{.Field}}{{end}}.
	{{.Name}}Len = {{.Len}}
{{end}}	// MemoryBytes is what one session allocates for activations.
	MemoryBytes = {{.Plan.ArenaBytes}}
)

// The shapes of the tensors.
var (
{{range .Inputs}}	{{.Name}}Shape = [...]int{{.Dims}}
{{end}}{{range .Outputs}}	{{.Name}}Shape = [...]int{{.Dims}}
{{end}})

// Input holds the input tensors of a run. Run reads them in place.
type Input struct {
{{range .Inputs}}	{{.Field}} []{{.Go}} // {{.Text}}: {{.Shape}}
{{end}}}

// NewInput returns an input with its tensors allocated.
func NewInput() *Input {
	return &Input{
{{range .Inputs}}		{{.Field}}: make([]{{.Go}}, {{.Name}}Len),
{{end}}	}
}

// Output holds the output tensors of a run, which writes them.
type Output struct {
{{range .Outputs}}	{{.Field}} []{{.Go}} // {{.Text}}: {{.Shape}}
{{end}}}

// NewOutput returns an output with its tensors allocated.
func NewOutput() *Output {
	return &Output{
{{range .Outputs}}		{{.Field}}: make([]{{.Go}}, {{.Name}}Len),
{{end}}	}
}

// Model is the network with its weights.
type Model struct{ model *runtime.Model }

// weightsSHA256 is the digest of the weights that this code was generated
// with.
var weightsSHA256 = {{.Digest}}
{{if not .Sidecar}}
//go:embed weights.bin
var weights string

// New returns the network with the embedded weights.
func New() (*Model, error) { return load(runtime.BytesOfString(weights), false) }
{{end}}
// Open returns the network with the weights of the file at path, which stays
// mapped into memory. The file must hold the weights that the package was
// generated with.
func Open(path string) (*Model, error) {
	file, err := runtime.MapFile(path)
	if err != nil {
		return nil, err
	}
	return load(file, true)
}

func load(file []byte, check bool) (*Model, error) {
	w, err := runtime.Payload(file, weightsSHA256, check)
	if err != nil {
		return nil, err
	}
	m, err := runtime.NewModel(&plan, w)
	if err != nil {
		return nil, err
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

// NewSession returns a session. Close releases its goroutines at once; the
// garbage collector does so when the session is no longer used.
func (m *Model) NewSession(options ...Option) *Session {
	var o runtime.Options
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

// Run computes out from in. It allocates nothing.
func (s *Session) Run(in *Input, out *Output) error {
	if s.session == nil {
		return errors.New("{{.Package}}: the session is closed")
	}
	if in == nil || out == nil {
		return errors.New("{{.Package}}: Run needs an input and an output")
	}
{{range $i, $p := .Inputs}}	if len(in.{{$p.Field}}) != {{$p.Name}}Len {
		return fmt.Errorf("{{$.Package}}: in.{{$p.Field}} has %d elements, want %d: %v", len(in.{{$p.Field}}), {{$p.Name}}Len, {{$p.Name}}Shape)
	}
	if err := s.session.Bind({{$i}}, runtime.BytesOf(in.{{$p.Field}})); err != nil {
		return err
	}
{{end}}{{range $i, $p := .Outputs}}	if len(out.{{$p.Field}}) != {{$p.Name}}Len {
		return fmt.Errorf("{{$.Package}}: out.{{$p.Field}} has %d elements, want %d: %v", len(out.{{$p.Field}}), {{$p.Name}}Len, {{$p.Name}}Shape)
	}
	if err := s.session.Bind(len(plan.Inputs)+{{$i}}, runtime.BytesOf(out.{{$p.Field}})); err != nil {
		return err
	}
{{end}}	return s.session.Run()
}
`))

var layersTemplate = template.Must(template.New("layers").Parse(`{{.Head}}

package {{.Package}}

import "{{.Runtime}}"

// plan is the network as the runtime executes it: every step a kernel whose
// extents, offsets and choices are constants.
var plan = runtime.Plan{
	ArenaBytes: {{.Plan.ArenaBytes}},
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
	"io"
{{if or .FloatInput .FloatOutput}}	"math"
{{end}}	"os"
	"sync"
	"testing"
)
{{if .FloatOutput}}
// tolerance bounds the difference to the reference interpreter, relative to
// the largest magnitude of an output.
const tolerance = {{.Tolerance}}
{{end}}
func open(t testing.TB) *Model {
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
{{else}}{{range $i, $p := .Inputs}}	for k := range in.{{$p.Field}} {
{{if eq $p.Go "bool"}}		in.{{$p.Field}}[k] = mix({{$i}}<<32+uint64(k))&1 == 1
{{else if $p.Float}}		in.{{$p.Field}}[k] = {{$p.Go}}(noise({{$i}}<<32 + uint64(k)))
{{else}}		in.{{$p.Field}}[k] = {{$p.Go}}(mix({{$i}}<<32+uint64(k)) & {{$.GoldenMask}})
{{end}}	}
{{end}}{{end}}	return in
}
{{if not .Predict}}{{if .FloatInput}}
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
	s := open(t).NewSession()
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
func TestNoAllocations(t *testing.T) {
	s := open(t).NewSession()
	defer s.Close()
	in, out := goldenInput(), NewOutput()
	if n := testing.AllocsPerRun(2, func() {
		if err := s.Run(in, out); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%g allocations a run", n)
	}
}

// Eight goroutines share one model; all get the same bits.
func TestConcurrent(t *testing.T) {
	m := open(t)
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

func TestMisuse(t *testing.T) {
	s := open(t).NewSession()
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
func BenchmarkRun(b *testing.B) {
	s := open(b).NewSession()
	defer s.Close()
	in, out := goldenInput(), NewOutput()
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Run(in, out); err != nil {
			b.Fatal(err)
		}
	}
}
`))
