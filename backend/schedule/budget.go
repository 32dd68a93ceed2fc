package schedule

import (
	"cmp"
	"slices"

	"modelc/ir"
	"modelc/runtime"
)

// What a model may need beyond its weights as they are shipped because some
// are transformed: so many bytes, or this part of all weights if that is more.
// The weights of F(4×4) are four times the original, those of F(2×2) less than
// twice, and where a layer has many channels and few pixels both take about the
// same time, since the time goes by what is read.
const (
	budgetBytes = 96 << 20
	budgetShare = 0.2
	// A layer that F(2×2) would slow down by more than this keeps its choice.
	budgetLoss = 0.1
)

// stored returns the bytes of weights that leave the memory once they are
// transformed.
func stored(w runtime.Ref, f runtime.Format) int {
	if f != runtime.F32 {
		return w.Len * 2
	}
	return w.Len * 4
}

// withinBudget returns the names of the convolutions that must use F(2×2)
// instead of F(4×4) for the transformed weights of p to fit the budget: those
// first that lose the least time for the memory.
func withinBudget(p *Program, cfg Config) map[string]bool {
	extra := p.Plan.PreparedBytes
	for _, s := range p.Plan.Load {
		switch k := s.Kernel.(type) {
		case *runtime.WinogradWeights:
			extra -= stored(k.W, k.Format)
		case *runtime.StrassenWeights:
			extra -= stored(k.W, k.Format)
		case *runtime.Widen:
			extra -= k.Dst.Len * 4
		}
	}
	extra -= max(budgetBytes, int(budgetShare*float64(p.Plan.WeightsBytes)))
	type swap struct {
		name  string
		loss  float64 // nanoseconds
		saved int
	}
	var swaps []swap
	for _, l := range p.Layers {
		four, two := l.Choice.Estimates[ir.AlgWinograd4], l.Choice.Estimates[ir.AlgWinograd2]
		if l.Choice.Algorithm != ir.AlgWinograd4 || cfg.Algorithms[NodeName(l.Node)] != ir.AlgUnset || two > (1+budgetLoss)*four {
			continue
		}
		w := l.Node.Const(ir.Weights).Shape
		swaps = append(swaps, swap{NodeName(l.Node), two - four, 4 * (runtime.WinogradLen(4, w[0], w[1]) - runtime.WinogradLen(2, w[0], w[1]))})
	}
	slices.SortStableFunc(swaps, func(a, b swap) int {
		return cmp.Compare(a.loss*float64(b.saved), b.loss*float64(a.saved))
	})
	light := map[string]bool{}
	for _, s := range swaps {
		if extra <= 0 {
			break
		}
		light[s.name] = true
		extra -= s.saved
	}
	return light
}
