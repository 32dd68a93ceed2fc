// Package examples holds a small graph around each op of the IR, and makes random graphs.
// Tests of passes and back ends run them. docs/ops.md lists the kernels that run the former.
package examples

import (
	_ "embed"
	"fmt"
	"strings"

	"golang.org/x/tools/txtar"

	"modelc/ir"
)

//go:embed examples.txtar
var examples []byte

// Example is a small graph around one op with elements of one type.
type Example struct {
	Name  string // the name of the op, then a word for a special case
	Op    string
	DType ir.DType
	Text  string // the text form of Graph
	Graph *ir.Graph
}

// All returns examples of every op of the IR, one for each element type that the op
// supports.
func All() ([]Example, error) {
	var list []Example
	for _, f := range txtar.Parse(examples).Files {
		op, _, _ := strings.Cut(f.Name, " ")
		for d := ir.Float32; d <= ir.Bool; d++ {
			if d == ir.Float16 || d == ir.BFloat16 {
				continue // front ends convert these types to float32
			}
			text := strings.ReplaceAll(string(f.Data), ": T[", ": "+d.String()+"[") + "output \"y\" %y\n"
			g, err := ir.Parse(text)
			if err == nil {
				err = ir.Verify(g)
			}
			if err != nil && d == ir.Float32 {
				return nil, fmt.Errorf("%s: %w", f.Name, err)
			}
			if err == nil {
				list = append(list, Example{f.Name, op, d, text, g})
			}
		}
	}
	return list, nil
}
