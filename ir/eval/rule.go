package eval

import "modelc/ir"

// call is one evaluation of a node.
type call struct {
	in  []*ir.Tensor // the operands, nil for absent ones
	out []ir.Type    // the types of the results
}

// arg returns operand i, or nil if it is absent.
func (c call) arg(i int) *ir.Tensor {
	if i < len(c.in) {
		return c.in[i]
	}
	return nil
}

// floats returns elements as the only result, rounded to its type.
func (c call) floats(v []float64) ([]*ir.Tensor, error) {
	return one(ir.FromFloat64s(c.out[0], v))
}

// one returns t as the only result.
func one(t *ir.Tensor) ([]*ir.Tensor, error) { return []*ir.Tensor{t}, nil }

// rules holds the function that computes each op, by the name of the op. The files of this
// package add functions by define.
var rules = map[string]func(op ir.Op, c call) ([]*ir.Tensor, error){}

// define makes f the function that computes ops of type O.
func define[O ir.Op](f func(op O, c call) ([]*ir.Tensor, error)) {
	var zero O
	rules[zero.Name()] = func(op ir.Op, c call) ([]*ir.Tensor, error) { return f(op.(O), c) }
}
