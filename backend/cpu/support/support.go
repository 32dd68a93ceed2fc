// Package support lists the kernels that run the ops of the IR. It compiles an
// example of each op with elements of each type.
package support

import (
	"slices"

	"modelc/backend/cpu"
	"modelc/ir"
	"modelc/ir/examples"
)

// Support describes the kernels of an op.
type Support struct {
	Op string // name of the op
	// Types are the element types that the kernels support.
	Types []ir.DType
	// Names are the names of the kernels, without type parameters.
	Names []string
}

// Ops returns the support of every op of the IR, in the order of ir.Ops.
func Ops() ([]Support, error) {
	list, err := examples.All()
	if err != nil {
		return nil, err
	}
	var all []Support
	for _, info := range ir.Ops() {
		s := Support{Op: info.Op.Name()}
		for _, e := range list {
			if e.Op != s.Op {
				continue
			}
			p, err := cpu.Build(e.Graph, cpu.Config{})
			if err != nil {
				continue // no kernel for this type
			}
			if !slices.Contains(s.Types, e.DType) {
				s.Types = append(s.Types, e.DType)
			}
			for _, l := range p.Layers {
				if l.Name == "y" && !l.MovesLayout && !slices.Contains(s.Names, l.Kernel) {
					s.Names = append(s.Names, l.Kernel)
				}
			}
		}
		slices.Sort(s.Types)
		all = append(all, s)
	}
	return all, nil
}
