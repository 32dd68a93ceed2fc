package modelc

import (
	"fmt"
	"time"

	"modelc/backend/cpu"
	"modelc/ir"
)

// checkWork returns an error if a run of g takes too many operations. It counts at least one
// for each element of a result.
func checkWork(g *ir.Graph, limits *ir.Bounds) error {
	total := int64(0)
	for _, n := range g.Nodes {
		elements := int64(0)
		for _, t := range n.OutTypes() {
			elements += int64(t.Shape.Len())
		}
		total += max(ir.FLOPs(n), elements)
		if err := limits.Check(ir.BoundFLOPs, total); err != nil {
			return fmt.Errorf("a run takes too many operations: %w", err)
		}
	}
	return nil
}

// checkConstants returns an error if a constant in g has a value for which an op has no
// meaning.
func checkConstants(g *ir.Graph) error {
	for _, n := range g.Nodes {
		if err := ir.CheckConstants(n); err != nil {
			return err
		}
	}
	return nil
}

// checkSession returns an error if a session of p, with its inputs and outputs, is too
// large.
func checkSession(p *cpu.Program, limits *ir.Bounds) error {
	bytes := int64(p.Plan.ArenaBytes)
	for _, v := range p.Graph.Inputs {
		bytes += int64(v.Type.Bytes())
	}
	for _, o := range p.Graph.Outputs {
		bytes += int64(o.Value.Type.Bytes())
	}
	if err := limits.Check(ir.BoundSession, bytes); err != nil {
		return fmt.Errorf("a session is too large: %w", err)
	}
	return nil
}

// timed returns o.Progress with an error after the time that o.Source.Bounds allows.
func (o *Options) timed() Progress {
	limit := time.Duration(o.Source.Bounds.Max(ir.BoundTime))
	end := time.Now().Add(min(limit, 1<<30) * time.Second)
	return func(stage string, done, total int) error {
		if over := time.Since(end); over > 0 {
			return o.Source.Bounds.Check(ir.BoundTime, int64((over+time.Second-1)/time.Second)+int64(limit))
		}
		return o.Progress.Update(stage, done, total)
	}
}
