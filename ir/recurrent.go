package ir

import "fmt"

// Cell is the kind of a [Recurrent] layer.
type Cell uint8

// The cells. h and c are the states before a step, h' and c' those after it. · is a matrix
// product and ∗ a product of elements. Each gate has rows of its own in the weights, in the
// order given here, which is that of ONNX. a stands for the row of products and biases of a
// gate: x·W + h·R + b. F, G and H are the functions of [Recurrent].
const (
	// CellRNN is a layer of Elman (1990): h' = F(a).
	CellRNN Cell = iota
	// CellGRU is a gated recurrent unit (Cho et al. 2014) with the gates z, r, h:
	//
	//	z = F(a), r = F(a), ĥ = G(x·W + (r∗h)·R + b), h' = (1−z)∗ĥ + z∗h
	//
	// With LinearBeforeReset, ĥ = G(x·W + b + r∗(h·R + rb)), where rb is the second half of
	// the bias.
	CellGRU
	// CellLSTM is a long short-term memory (Hochreiter and Schmidhuber 1997) with the gates
	// i, o, f, ĉ and peepholes p, whose order is i, o, f:
	//
	//	i = F(a + p∗c), f = F(a + p∗c), ĉ = G(a)
	//	c' = f∗c + i∗ĉ, o = F(a + p∗c'), h' = o∗H(c')
	//
	// With InputForget, f = 1−i.
	CellLSTM
	numCells
)

var cellNames = enumNames{"rnn", "gru", "lstm"}

func (c Cell) String() string                { return cellNames.name(uint8(c)) }
func (c Cell) MarshalText() ([]byte, error)  { return []byte(c.String()), nil }
func (c *Cell) UnmarshalText(b []byte) error { return cellNames.parse(b, (*uint8)(c)) }

// Gates returns the number of gates of a cell.
func (c Cell) Gates() int { return [...]int{CellRNN: 1, CellGRU: 3, CellLSTM: 4}[c] }

// Direction is the order in which a [Recurrent] layer visits the steps.
type Direction uint8

// The directions.
const (
	Forward Direction = iota
	Reverse
	Bidirectional // forward and, with weights and states of its own, reverse
	numDirections
)

var directionNames = enumNames{"forward", "reverse", "bidirectional"}

func (d Direction) String() string                { return directionNames.name(uint8(d)) }
func (d Direction) MarshalText() ([]byte, error)  { return []byte(d.String()), nil }
func (d *Direction) UnmarshalText(b []byte) error { return directionNames.parse(b, (*uint8)(d)) }

// Recurrent is a recurrent layer over T steps (ONNX RNN, GRU and LSTM). With G gates, H
// hidden units and D directions, the operands are x [T,N,I], w [D,G·H,I], r [D,G·H,H], bias
// [D,2·G·H], which is added to the products with w and, in its second half, to those with
// r, the initial states h and, of an LSTM, c [D,N,H], which are zero if absent, and the
// peepholes [D,3·H] of an LSTM.
//
// The results are y [T,N,D,H], which has h' of each step at the position of the step, also
// of the reverse direction, the last states h [D,N,H] and, of an LSTM, c [D,N,H].
type Recurrent struct {
	Cell      Cell
	Direction Direction
	F, G, H   Act // G is of GRU and LSTM, H of LSTM
	// Clip is the maximum magnitude of the arguments of F and G, 0 if there is none.
	Clip              float64
	InputForget       bool // of LSTM
	LinearBeforeReset bool // of GRU
	// Lengths has the number of steps of each example, T if it is nil. The results y of
	// later steps are zero, and so are the last states of an example without steps, as in
	// ONNX Runtime. The reverse direction starts at the last step of the example.
	Lengths []int
}

// The positions of the operands of Recurrent behind x.
const (
	RecurrentW         = 1
	RecurrentR         = 2
	RecurrentBias      = 3
	RecurrentH         = 4
	RecurrentC         = 5
	RecurrentPeepholes = 6
)

func (Recurrent) Name() string { return "Recurrent" }

// Directions returns the number of directions.
func (r Recurrent) Directions() int {
	if r.Direction == Bidirectional {
		return 2
	}
	return 1
}

func (r Recurrent) Infer(in []Type) ([]Type, error) {
	x, w, rw := in[0], in[RecurrentW], in[RecurrentR]
	if err := r.check(); err != nil {
		return nil, err
	}
	if !x.DType.IsFloat() || x.Rank() != 3 || w.Rank() != 3 || rw.Rank() != 3 {
		return typeErr("x is %s, w %s and r %s, want floats [T,N,I], [D,G·H,I] and [D,G·H,H]", x, w, rw)
	}
	steps, batch, features, hidden := x.Shape[0], x.Shape[1], x.Shape[2], rw.Shape[2]
	if min(steps, batch, features, hidden) < 1 {
		return typeErr("x is %s and r %s: an axis has no elements", x, rw)
	}
	d, g := r.Directions(), r.Cell.Gates()
	if hidden > MaxExtent/(2*g) {
		return typeErr("r %s has too many hidden units", rw)
	}
	state := T(x.DType, d, batch, hidden)
	for _, o := range []struct {
		name string
		at   int
		want Type
	}{
		{"w", RecurrentW, T(x.DType, d, g*hidden, features)},
		{"r", RecurrentR, T(x.DType, d, g*hidden, hidden)},
		{"bias", RecurrentBias, T(x.DType, d, 2*g*hidden)},
		{"h", RecurrentH, state},
		{"c", RecurrentC, state},
		{"peepholes", RecurrentPeepholes, T(x.DType, d, 3*hidden)},
	} {
		t := arg(in, o.at)
		if t.Present() && !t.Equal(o.want) {
			return typeErr("%s is %s, want %s", o.name, t, o.want)
		}
		if t.Present() && o.at >= RecurrentC && r.Cell != CellLSTM {
			return typeErr("%s is of an LSTM alone", o.name)
		}
	}
	if r.Lengths != nil && len(r.Lengths) != batch {
		return typeErr("%d lengths for a batch of %d", len(r.Lengths), batch)
	}
	for _, n := range r.Lengths {
		if n < 0 || n > steps {
			return typeErr("length %d of x %s", n, x)
		}
	}
	y := Shape{steps, batch, d, hidden}
	if err := y.Check(); err != nil {
		return nil, err
	}
	out := []Type{{x.DType, y}, state}
	if r.Cell == CellLSTM {
		out = append(out, state)
	}
	return out, nil
}

// check returns an error if the attributes do not fit each other.
func (r Recurrent) check() error {
	if r.Cell >= numCells || r.Direction >= numDirections {
		return fmt.Errorf("cell %d, direction %d", r.Cell, r.Direction)
	}
	for _, unused := range []Act{r.G, r.H}[r.Cell:] {
		if !unused.IsIdentity() {
			return fmt.Errorf("function %s, but a cell %s has %d", unused, r.Cell, 1+r.Cell)
		}
	}
	switch {
	case r.F.Fn.ResultBool() || r.G.Fn.ResultBool() || r.H.Fn.ResultBool():
		return fmt.Errorf("functions %s, %s and %s: one gives truth values", r.F, r.G, r.H)
	case !(r.Clip >= 0):
		return fmt.Errorf("clip %g", r.Clip)
	case r.InputForget && r.Cell != CellLSTM || r.LinearBeforeReset && r.Cell != CellGRU:
		return fmt.Errorf("an option of another cell than %s", r.Cell)
	}
	return nil
}

// recurrentFLOPs counts the products of matrices and, for each gate, ten operations for its
// function and sums.
func recurrentFLOPs(op Op, in, out []Type) int64 {
	units := outLen(out) * int64(op.(Recurrent).Cell.Gates())
	return units * int64(2*(in[0].Shape[2]+in[RecurrentR].Shape[2])+10)
}
