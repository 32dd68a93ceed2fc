package cuda

import (
	"fmt"
	"strings"

	"modelc/ir"
)

var recurrentLowerings = map[string]lowering{
	"Recurrent": do((*builder).recurrent),
}

// sharedBytes is the size of the shared memory of a block on every GPU.
const sharedBytes = 48 << 10

// recurrent emits a kernel with a block for each direction and example, which computes one
// step after the other.
func (b *builder) recurrent(n *ir.Node, op ir.Recurrent) error {
	x, hidden := n.In[0].Type, n.In[ir.RecurrentR].Type.Shape[2]
	steps, batch, features, dirs := x.Shape[0], x.Shape[1], x.Shape[2], op.Directions()
	typ := cType(x.DType)
	if 4*hidden*x.DType.Size() > sharedBytes {
		return fmt.Errorf("%d hidden units of %s need more than the %d bytes of shared memory of a block", hidden, x.DType, sharedBytes)
	}
	c := code{parts: []string{"recurrent"}}
	var operands []string
	for i, name := range []string{"x", "w", "r", "bias", "h0", "c0", "peepholes"} {
		p := b.in(n.Input(i))
		if p == nil {
			operands = append(operands, fmt.Sprintf("(const %s*)nullptr", typ))
			continue
		}
		c.reads(name, b.densely(p))
		operands = append(operands, name)
	}
	if op.Lengths == nil {
		operands = append(operands, "(const int*)nullptr")
	} else {
		lengths := make([]int32, batch)
		for i, l := range op.Lengths {
			lengths[i] = int32(l)
		}
		c.reads("lengths", b.integers(lengths))
		operands = append(operands, "lengths")
	}
	results, copies := make([]*place, len(n.Out)), map[*place]*place{}
	for i, name := range []string{"y", "h", "c"} {
		if i >= len(n.Out) {
			operands = append(operands, fmt.Sprintf("(%s*)nullptr", typ))
			continue
		}
		p := b.new(n.Out[i])
		results[i] = p
		if !p.isDense() {
			results[i] = b.temp(n.Out[i].Name, p.Type)
			copies[results[i]] = p
		}
		c.writes(name, results[i])
		operands = append(operands, name)
	}
	c.head = fmt.Sprintf(`struct NAME_layer {
    static constexpr int T = %d, N = %d, I = %d, H = %d, D = %d, GATES = %d;
    static constexpr bool GRU = %v, LSTM = %v, REVERSE = %v, LINEAR = %v, COUPLED = %v;
    static __device__ %s f(%[12]s a) { return %s; }
    static __device__ %[12]s g(%[12]s a) { return %[14]s; }
    static __device__ %[12]s h(%[12]s a) { return %[15]s; }
};
`, steps, batch, features, hidden, dirs, op.Cell.Gates(), op.Cell == ir.CellGRU, op.Cell == ir.CellLSTM, op.Direction == ir.Reverse, op.LinearBeforeReset, op.InputForget,
		typ, apply(op.F, clipped(op.Clip, typ), typ), apply(op.G, clipped(op.Clip, typ), typ), apply(op.H, "a", typ))
	c.body = fmt.Sprintf("    recurrent<NAME_layer, %s>(%s);\n", typ, strings.Join(operands, ", "))
	c.grid, c.block = [3]int{dirs * batch, 1, 1}, [3]int{256, 1, 1}
	b.emit(fmt.Sprintf("Recurrent %s %s", op.Cell, op.Direction), c)
	for i, p := range results {
		if to := copies[p]; to != nil {
			b.copy("Recurrent: copy", p, to)
			b.Complete(n.Out[i])
		}
	}
	return nil
}

// clipped returns the argument a of a function, clipped to ±most unless most is 0.
func clipped(most float64, typ string) string {
	if most == 0 {
		return "a"
	}
	return apply(ir.Act{Fn: ir.Clip, Alpha: -most, Beta: most}, "a", typ)
}

// densely returns p, or a dense copy of it.
func (b *builder) densely(p *place) *place {
	if p.isDense() {
		return p
	}
	d := b.temp(p.Buffer.Name, p.Type)
	b.copy("copy", p, d)
	return d
}
