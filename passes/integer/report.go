package integer

import (
	"fmt"
	"strings"

	"modelc/ir"
	"modelc/ir/eval"
)

// Report says which layers of a quantised network compute on integers.
type Report struct {
	// Layers is the number of convolutions and dense layers. Integer is the number of
	// those that compute on integers.
	Layers  int `json:"layers"`
	Integer int `json:"integer"`
	// Floats lists the nodes that compute on floats.
	Floats []Float `json:"floats,omitempty"`
}

// Float is a node of a quantised network that computes on floats.
type Float struct {
	Node   string `json:"node"` // its name, or that of its result
	Op     string `json:"op"`
	Reason string `json:"reason"`
}

// String says how many layers compute on integers.
func (r *Report) String() string {
	return fmt.Sprintf("%d of %d convolutions and dense layers", r.Integer, r.Layers)
}

// Reasons describes in a line for each op and reason the nodes that compute on floats. If
// there are more than lines, the last line has their number.
func (r *Report) Reasons(lines int) []string {
	const most = 3 // of the nodes that a line names
	names := map[Float][]string{}
	var keys []Float
	for _, f := range r.Floats {
		key := Float{Op: f.Op, Reason: f.Reason}
		if names[key] == nil {
			keys = append(keys, key)
		}
		names[key] = append(names[key], f.Node)
	}
	var all []string
	for i, k := range keys {
		if i == lines {
			return append(all, fmt.Sprintf("and %d more, see modelc inspect --json", len(keys)-lines))
		}
		list := names[k]
		more := ""
		if n := len(list) - most; n > 0 {
			list, more = list[:most], fmt.Sprintf(", and %d more", n)
		}
		all = append(all, fmt.Sprintf("%s %s%s: %s", k.Op, strings.Join(list, ", "), more, k.Reason))
	}
	return all
}

// report lists the nodes that compute on floats.
func (f *former) report() *Report {
	r := &Report{}
	for _, n := range f.g.Nodes {
		if layer, integer := kindOf(n); layer {
			r.Layers++
			if integer {
				r.Integer++
			}
		}
		if computesFloats(n) {
			name := n.Name
			if name == "" {
				name = n.Out[0].Name
			}
			r.Floats = append(r.Floats, Float{name, ir.Label(n.Op), f.reason(n)})
		}
	}
	return r
}

// computesFloats reports whether n does arithmetic on floats that depend on a model input.
// Products of scales that are computed at run time do not count.
func computesFloats(n *ir.Node) bool {
	if convertsIntegers(n) || ir.InfoOf(n.Op).FLOPs == nil || !n.Out[0].Type.DType.IsFloat() || !n.In[0].Type.DType.IsFloat() || n.Out[0].Type.Rank() == 0 {
		return false
	}
	_, constant := eval.Const(n.Out[0])
	return !constant
}

// reason says why n computes on floats.
func (f *former) reason(n *ir.Node) string {
	if why := f.why[n]; why != "" {
		return why
	}
	b, isBinary := n.Op.(ir.Binary)
	p, isPool := n.Op.(ir.Pool)
	_, moves := movement(n)
	switch layer, _ := kindOf(n); {
	case layer, moves, isBinary && (b.Fn == ir.Add || b.Fn == ir.Mul), isPool && p.Kind != ir.LpPool:
	default:
		if _, ok := n.Op.(ir.Unary); !ok {
			return ir.Label(n.Op) + " has no integer form"
		}
	}
	for _, v := range n.In {
		if v != nil && v.Const == nil {
			if _, why := dequantised(v); why != "" {
				return why
			}
		}
	}
	return "its result is not quantised"
}
