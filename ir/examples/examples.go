// Package examples holds a small graph around each op of the IR, and makes random graphs.
// Tests of passes and back ends run them. docs/ops.md lists the kernels that run the former.
package examples

import (
	"cmp"
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
// supports. The element type of an example whose text has no T is that of %x.
func All() ([]Example, error) {
	var list []Example
	for _, f := range txtar.Parse(examples).Files {
		op, _, _ := strings.Cut(f.Name, " ")
		before := len(list)
		var failure error
		for d := ir.Float32; d <= ir.Bool; d++ {
			if d == ir.Float16 || d == ir.BFloat16 {
				continue // front ends convert these types to float32
			}
			typed := strings.ReplaceAll(string(f.Data), ": T[", ": "+d.String()+"[")
			text := typed + "output \"y\" %y\n"
			g, err := ir.Parse(text)
			if err == nil {
				err = ir.Verify(g)
			}
			if err != nil {
				failure = cmp.Or(failure, err)
			} else if typed != string(f.Data) || g.Lookup("x").Type.DType == d {
				list = append(list, Example{f.Name, op, d, text, g})
			}
		}
		if len(list) == before {
			return nil, fmt.Errorf("%s: %w", f.Name, failure)
		}
	}
	return list, nil
}
