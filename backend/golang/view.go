package golang

import (
	"fmt"
	"strings"

	"modelc/backend/cpu"
	"modelc/internal/units"
	"modelc/runtime"
	"modelc/runtime/vision"
)

// view is the data of the templates.
type view struct {
	Options
	*batch  // the first batch
	Head    string
	Title   string
	Digest  string   // digest of the weights as a Go literal
	Batches []*batch // smallest first
	More    []*batch // all but the first

	Predict *predictView // nil if the package has no Predict

	Parameters string
	FLOPs      string
	Memory     string
	Weights    string
	Prepared   string // empty if no weights are prepared at load
	Rounding   string // sentence about weights in half precision
	// The kinds of ports that the self-test has.
	FloatInput, FloatOutput, ExactOutput, TakesData, GivesData bool
	// Class is the class that the Example prints. It is empty if rounding can
	// change the best class.
	Class string

	golden []byte
}

// Fills reports whether the self-test has inputs of pseudo-random numbers.
func (v *view) Fills() bool { return v.Predict == nil || len(v.More) > 0 }

// ModelLiteral returns the name of the graph as a Go literal.
func (v *view) ModelLiteral() string { return quote(v.Model, quoteWidth) }

// batch is the network compiled for a batch size.
type batch struct {
	view    *view
	N       int
	Suffix  string // suffix of names: empty for the first batch, the size for others
	Inputs  []port
	Outputs []port
	Graph   string // digest of the graph; empty except for the first batch
	Plan    *runtime.Plan
	Source  *layersSource

	program *cpu.Program
}

// View returns the view of the package, for the template of layers.go.
func (b *batch) View() *view { return b.view }

func newView(p *cpu.Program, sum [32]byte, o Options) (*view, error) {
	v := &view{Options: o, Title: comment(o.Model), Digest: bytesLiteral(sum)}
	o.Header.Graph = fmt.Sprintf("%x", p.Plan.Graph)
	v.Head = o.Header.text()
	for i, b := range append([]Batch{{max(1, o.Examples), p}}, o.More...) {
		b, err := newBatch(b, i > 0)
		if err != nil {
			return nil, err
		}
		b.view = v
		v.Batches = append(v.Batches, b)
	}
	v.batch, v.More = v.Batches[0], v.Batches[1:]
	v.Graph = bytesLiteral(p.Plan.Graph)
	for i, source := range newLayersSources(v.Batches) {
		v.Batches[i].Source = source
	}
	if len(o.Golden) != len(v.Outputs) {
		return nil, fmt.Errorf("%d golden outputs for %d outputs", len(o.Golden), len(v.Outputs))
	}
	for _, p := range v.Inputs {
		v.FloatInput = v.FloatInput || p.Float
		v.TakesData = v.TakesData || p.Len > 0
	}
	for i := range v.Outputs {
		p := &v.Outputs[i]
		p.sample(o.Golden[i].Type)
		v.golden = append(v.golden, sample(o.Golden[i], p.Stride)...)
		v.FloatOutput = v.FloatOutput || p.Float
		v.ExactOutput = v.ExactOutput || !p.Float
		v.GivesData = v.GivesData || p.Len > 0
	}
	if n := v.Outputs[0].Top1; n > 0 && v.Outputs[0].Go == "float32" {
		if best, clear := vision.Top(o.Golden[0].Float32s()[:n], 1, nil), clearBest(o.Golden[0].Float32s()[:n], o.Tolerance); clear {
			v.Class = fmt.Sprint(best[0].Index)
		}
	}
	if o.Pictures != nil {
		v.Predict = newPredictView(o.Pictures, o.Golden[0].Float32s(), o.Tolerance)
	}
	s := Summarize(p)
	v.Parameters, v.FLOPs = units.Count(s.Parameters), units.FLOP(s.FLOPs)
	v.Memory, v.Weights = units.Bytes(s.Arena), units.Bytes(s.Weights)
	if s.Prepared > 0 {
		v.Prepared = units.Bytes(s.Prepared)
	}
	if r := o.Rounding; r != nil {
		v.Rounding = r.String()
	}
	return v, nil
}

// clearBest reports whether no errors within the tolerance can change which score
// is the largest.
func clearBest(scores []float32, tolerance float64) bool {
	top := float32(0)
	for _, s := range scores {
		top = max(top, s, -s)
	}
	best := vision.Top(scores, 2, nil)
	return len(best) < 2 || float64(best[0].Score-best[1].Score) > 4*tolerance*float64(top)
}

// newBatch returns the data of a batch. more is set for all but the first.
func newBatch(of Batch, more bool) (*batch, error) {
	b := &batch{N: of.Examples, Plan: of.Program.Plan, program: of.Program}
	if more {
		b.Suffix = fmt.Sprint(b.N)
	}
	var err error
	b.Inputs, b.Outputs, err = ports(of.Program.Graph)
	return b, err
}

// bytesLiteral returns a digest as a Go literal of two lines.
func bytesLiteral(sum [32]byte) string {
	var s strings.Builder
	s.WriteString("[32]byte{")
	for i, b := range sum {
		if i%16 == 0 {
			s.WriteString("\n")
		}
		fmt.Fprintf(&s, "%#02x, ", b)
	}
	s.WriteString("\n}")
	return s.String()
}
