package schedule

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"modelc/ir"
)

//go:embed examples.txtar
var examples []byte

// Example is a small graph around one op with elements of one type.
type Example struct {
	Name  string // the op's, then what is special
	Op    string
	DType ir.DType
	Graph *ir.Graph
}

// Examples lists, for every op of the IR, graphs of all element types that the
// op is defined for.
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

// Kernels is what runs an op.
type Kernels struct {
	Op    string
	Types []ir.DType // that there are kernels for
	Names []string   // of the runtime's kernels, without type parameters
}

// Support tells for every op of the IR, in the order of ir.Ops, which kernels
// run it. It finds out by scheduling Examples.
func Support() ([]Kernels, error) {
	list, err := Examples()
	if err != nil {
		return nil, err
	}
	var all []Kernels
	for _, info := range ir.Ops() {
		k := Kernels{Op: info.Op.Name()}
		for _, e := range list {
			if e.Op != k.Op {
				continue
			}
			p, err := Build(e.Graph, Config{})
			if err != nil {
				continue // no kernel for this type
			}
			if !slices.Contains(k.Types, e.DType) {
				k.Types = append(k.Types, e.DType)
			}
			for _, l := range p.Layers {
				changesLayout := l.Kernel == "Pack" || l.Kernel == "Unpack"
				if l.Name == "y" && !changesLayout && !slices.Contains(k.Names, l.Kernel) {
					k.Names = append(k.Names, l.Kernel)
				}
			}
		}
		slices.Sort(k.Types)
		all = append(all, k)
	}
	return all, nil
}
