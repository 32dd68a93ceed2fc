package passes

import (
	"fmt"
	"slices"
	"time"

	"modelc/internal/spelling"
	"modelc/ir"
	"modelc/ir/eval"
)

// The maximum change of a result by all passes, relative to its largest magnitude. Exact
// passes may only change the order of sums. The others round folded weights once more, and
// deep networks amplify that.
const (
	exactTolerance = 2e-6
	tolerance      = 1e-4
)

// Run applies the pipeline to g and changes it. It fails if cfg names an unknown pass, if a
// pass fails, or if a check between passes fails.
func Run(g *ir.Graph, cfg *Config) (*Report, error) {
	for _, name := range slices.Concat(cfg.Only, cfg.Disable, cfg.PrintAfter) {
		if name != "all" && !slices.ContainsFunc(Pipeline, func(p Pass) bool { return p.Name == name }) {
			return nil, fmt.Errorf("no pass is called %q%s; `modelc passes` lists them", name, near(name))
		}
	}
	r := &Report{}
	c := *cfg
	c.report = r
	var in, want []*ir.Tensor
	tol := exactTolerance
	if c.Check {
		var err error
		in = eval.Inputs(g, 1)
		if want, err = eval.Run(g, in); err != nil {
			return nil, err
		}
	}
	for i, p := range Pipeline {
		if c.Progress != nil {
			if err := c.Progress(i, len(Pipeline)); err != nil {
				return r, err
			}
		}
		if len(c.Only) > 0 && !slices.Contains(c.Only, p.Name) || slices.Contains(c.Disable, p.Name) || c.Exact && !p.Exact {
			continue
		}
		s := Stat{Name: p.Name, Before: sizeOf(g)}
		start := time.Now()
		var err error
		before := g
		if c.Check {
			before = g.Clone()
		}
		if s.Changed, err = p.Fn(g, &c); err != nil {
			return r, fmt.Errorf("pass %s: %w", p.Name, err)
		}
		g.Prune()
		s.Time = time.Since(start)
		s.After = sizeOf(g)
		r.Passes = append(r.Passes, s)
		if c.Log != nil && (slices.Contains(c.PrintAfter, p.Name) || slices.Contains(c.PrintAfter, "all")) {
			fmt.Fprintf(c.Log, "# after %s\n%s\n", p.Name, ir.Format(g))
		}
		if c.Verify || c.Check {
			if err := ir.Verify(g); err != nil {
				return r, fmt.Errorf("pass %s left an invalid graph: %w", p.Name, err)
			}
		}
		if !p.Exact && s.Changed > 0 {
			tol = tolerance
		}
		if c.Check && s.Changed > 0 {
			got, err := eval.Run(g, in)
			if err != nil {
				return r, fmt.Errorf("after pass %s: %w", p.Name, err)
			}
			if err := sameOutputs(g, got, want, tol); err != nil {
				// A quantised network may differ by steps, which later layers amplify.
				if eval.CompareSteps(g, before, in, tol) != nil {
					return r, fmt.Errorf("pass %s changed output %w", p.Name, err)
				}
				want = got
			}
		}
	}
	return r, nil
}

// sameOutputs fails unless got and want agree to tol.
func sameOutputs(g *ir.Graph, got, want []*ir.Tensor, tol float64) error {
	for i := range got {
		d, err := eval.Compare(got[i], want[i])
		if err == nil && !d.Within(tol) {
			err = fmt.Errorf("beyond %g", tol)
		}
		if err != nil {
			return fmt.Errorf("%q: %v %w", g.Outputs[i].Name, d, err)
		}
	}
	return nil
}

func sizeOf(g *ir.Graph) Size {
	s := Size{Nodes: len(g.Nodes)}
	for _, n := range g.Nodes {
		s.FLOPs += ir.FLOPs(n)
		s.Bytes += ir.Traffic(n)
	}
	return s
}

// near returns a hint at the pass that the user meant by name.
func near(name string) string {
	var names []string
	for _, p := range Pipeline {
		names = append(names, p.Name)
	}
	if best := spelling.Nearest(name, names); best != "" {
		return fmt.Sprintf(", did you mean %q", best)
	}
	return ""
}
