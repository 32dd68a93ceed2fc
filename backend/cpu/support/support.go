// Package support tells which kernels run the ops of the IR. It finds out by
// scheduling an example of each op with elements of each type.
package support

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"modelc/backend/cpu"
	"modelc/ir"
)

//go:embed examples.txtar
var examples []byte

// Example is a small graph around one op with elements of one type.
type Example struct {
	Name  string // the name of the op, then what is special
	Op    string
	DType ir.DType
	Graph *ir.Graph
}

// Examples returns, for every op of the IR, a graph for each element type that
// the op is defined for.
func Examples() ([]Example, error) {
	var list []Example
	for _, f := range txtar.Parse(examples).Files {
		op, _, _ := strings.Cut(f.Name, " ")
		for d := ir.Float32; d <= ir.Bool; d++ {
			if d == ir.Float16 || d == ir.BFloat16 {
				continue // front ends widen them
			}
			text := strings.ReplaceAll(string(f.Data), ": T[", ": "+d.String()+"[")
			g, err := ir.Parse(text + "output \"y\" %y\n")
			if err == nil {
				err = ir.Verify(g)
			}
			if err != nil && d == ir.Float32 {
				return nil, fmt.Errorf("%s: %w", f.Name, err)
			}
			if err == nil {
				list = append(list, Example{f.Name, op, d, g})
			}
		}
	}
	return list, nil
}

// Support is what runs an op.
type Support struct {
	Op string
	// Types are the element types that there are kernels for.
	Types []ir.DType
	// Names are the names of the kernels, without type parameters.
	Names []string
}

// Ops returns the support of every op of the IR, in the order of ir.Ops.
func Ops() ([]Support, error) {
	list, err := Examples()
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
