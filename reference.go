package modelc

import (
	"modelc/backend/inproc"
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/passes"
)

// Reference computes the outputs of the model with the reference interpreter,
// before the passes. in has the inputs in the order of c.Before.Inputs. Reference
// takes seconds per GFLOP.
//
// Layers of quantised models compute on integers, as docs/quantisation.md defines them.
// Their arithmetic on floats, which the model states, may give an integer that differs by
// one step, and the layers behind it amplify steps.
func (c *Compiled) Reference(in []*ir.Tensor) ([]*ir.Tensor, error) {
	g, err := c.referenceGraph()
	if err != nil {
		return nil, err
	}
	return c.trace(g, in, func(*ir.Value, *ir.Tensor) {})
}

// referenceGraph returns the graph that [Compiled.Reference] evaluates.
func (c *Compiled) referenceGraph() (*ir.Graph, error) {
	g := c.Before
	if c.Report.Integers != nil && c.Report.Changed("form_integers") > 0 {
		g = g.Clone()
		var first []string
		for _, p := range passes.Pipeline {
			first = append(first, p.Name)
			if p.Name == "form_integers" {
				break
			}
		}
		if _, err := passes.Run(g, &passes.Config{Only: first, Disable: c.Options.Passes.Disable}); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// first returns the outputs of g for the first example of a batch of the given size, of which
// the examples are independent. It returns all outputs if the size is 0.
func (c *Compiled) first(g *ir.Graph, in []*ir.Tensor, examples int) ([]*ir.Tensor, error) {
	all := func(*ir.Value, *ir.Tensor) {}
	if examples == 0 {
		return c.trace(g, in, all)
	}
	if one, n := oneExample(g); n == examples {
		return c.trace(one, firstExamples(in, n), all)
	}
	// The passes may have made a form for which oneExample has no proof.
	out, err := c.trace(g, in, all)
	if err != nil {
		return nil, err
	}
	return firstExamples(out, examples), nil
}

// CompareLayers runs the program and, on the optimised graph, the reference
// interpreter, with the inputs in. It calls visit for each layer that completes a
// value, with the difference between the two values, or with the reason why they
// cannot be compared.
func (c *Compiled) CompareLayers(in []*ir.Tensor, visit func(l plan.Layer, d eval.Diff, err error)) error {
	want := map[*ir.Value]*ir.Tensor{}
	if _, err := c.trace(c.Graph, in, func(x *ir.Value, t *ir.Tensor) { want[x] = t }); err != nil {
		return err
	}
	e, err := inproc.New(c.Program, 0)
	if err != nil {
		return err
	}
	defer e.Close()
	_, err = e.Trace(in, func(l plan.Layer, got *ir.Tensor) {
		d, err := eval.Compare(got, want[l.Value])
		visit(l, d, err)
	})
	return err
}

// trace runs the reference interpreter on g and calls visit with each value
// that it computes.
func (c *Compiled) trace(g *ir.Graph, in []*ir.Tensor, visit func(v *ir.Value, t *ir.Tensor)) ([]*ir.Tensor, error) {
	progress := c.Options.timed()
	done, total := 0, 0
	for _, n := range g.Nodes {
		total += len(n.Out)
	}
	return eval.Trace(g, in, func(v *ir.Value, t *ir.Tensor) error {
		visit(v, t)
		c.Model.Unload() // each node reads its weights once
		done++
		return progress.Update("reference outputs", done, total)
	})
}
