package eval

import (
	"slices"

	"modelc/ir"
)

func init() { define(recurrent) }

// sequence is the evaluation of one example in one direction of a recurrent layer.
type sequence struct {
	ir.Recurrent
	hidden    int
	w, r      []float64 // [G·H,I], [G·H,H]
	wb, rb    []float64 // [G·H]
	peepholes []float64 // [3·H], zeros if absent
	h, c      []float64 // [H], the states
}

func recurrent(op ir.Recurrent, c call) ([]*ir.Tensor, error) {
	steps, batch, dirs := c.out[0].Shape[0], c.out[0].Shape[1], c.out[0].Shape[2]
	hidden, features, gates := c.out[0].Shape[3], c.in[0].Shape[2], op.Cell.Gates()
	x, w, r := c.in[0].Float64s(), c.in[ir.RecurrentW].Float64s(), c.in[ir.RecurrentR].Float64s()
	// optional returns operand i, or n zeros.
	optional := func(i, n int) []float64 {
		if t := c.arg(i); t != nil {
			return t.Float64s()
		}
		return make([]float64, n)
	}
	bias, peepholes := optional(ir.RecurrentBias, dirs*2*gates*hidden), optional(ir.RecurrentPeepholes, dirs*3*hidden)
	h, cs := optional(ir.RecurrentH, dirs*batch*hidden), optional(ir.RecurrentC, dirs*batch*hidden)
	y := make([]float64, steps*batch*dirs*hidden)
	// part returns part i of v, which has parts of n elements.
	part := func(v []float64, i, n int) []float64 { return v[i*n : (i+1)*n] }
	parallel(dirs*batch, func(i int) {
		d, n := i/batch, i%batch
		s := sequence{Recurrent: op, hidden: hidden, w: part(w, d, gates*hidden*features), r: part(r, d, gates*hidden*hidden),
			wb: part(bias, 2*d, gates*hidden), rb: part(bias, 2*d+1, gates*hidden), peepholes: part(peepholes, d, 3*hidden),
			h: part(h, i, hidden), c: part(cs, i, hidden)}
		length := steps
		if op.Lengths != nil {
			length = op.Lengths[n]
		}
		if length == 0 {
			clear(s.h)
			clear(s.c)
		}
		for k := range length {
			t := k
			if op.Direction == ir.Reverse || d == 1 {
				t = length - 1 - k
			}
			s.step(part(x, t*batch+n, features))
			copy(part(y, (t*batch+n)*dirs+d, hidden), s.h)
		}
	})
	out := []*ir.Tensor{ir.FromFloat64s(c.out[0], y), ir.FromFloat64s(c.out[1], h)}
	if op.Cell == ir.CellLSTM {
		out = append(out, ir.FromFloat64s(c.out[2], cs))
	}
	return out, nil
}

// row returns Σ_k m[j,k]·v[k] for row j of a matrix m [rows,len(v)].
func row(m, v []float64, j int) (sum float64) {
	for k, w := range m[j*len(v) : (j+1)*len(v)] {
		sum += w * v[k]
	}
	return sum
}

// clip clips the argument of a function.
func (s *sequence) clip(x float64) float64 {
	if s.Clip > 0 {
		return ir.Act{Fn: ir.Clip, Alpha: -s.Clip, Beta: s.Clip}.Eval(x)
	}
	return x
}

// step computes the states after a step with input x.
func (s *sequence) step(x []float64) {
	before := slices.Clone(s.h)
	// input and state are the products of row j of gate g with their biases.
	input := func(g, j int) float64 { return row(s.w, x, g*s.hidden+j) + s.wb[g*s.hidden+j] }
	state := func(g, j int, h []float64) float64 { return row(s.r, h, g*s.hidden+j) + s.rb[g*s.hidden+j] }
	f := func(g, j int) float64 { return s.F.Eval(s.clip(input(g, j) + state(g, j, before))) }
	switch s.Cell {
	case ir.CellRNN:
		for j := range s.h {
			s.h[j] = f(0, j)
		}
	case ir.CellGRU:
		z, r, reset := make([]float64, s.hidden), make([]float64, s.hidden), make([]float64, s.hidden)
		for j := range s.h {
			z[j], r[j] = f(0, j), f(1, j)
			reset[j] = r[j] * before[j]
		}
		for j := range s.h {
			a := input(2, j)
			if s.LinearBeforeReset {
				a += r[j] * state(2, j, before)
			} else {
				a += state(2, j, reset)
			}
			s.h[j] = (1-z[j])*s.G.Eval(s.clip(a)) + z[j]*before[j]
		}
	case ir.CellLSTM:
		for j := range s.h {
			// gate adds the peephole of state c.
			gate := func(g int, c float64) float64 {
				return s.F.Eval(s.clip(input(g, j) + state(g, j, before) + s.peepholes[g*s.hidden+j]*c))
			}
			i := gate(0, s.c[j])
			forget := 1 - i
			if !s.InputForget {
				forget = gate(2, s.c[j])
			}
			s.c[j] = forget*s.c[j] + i*s.G.Eval(s.clip(input(3, j)+state(3, j, before)))
			s.h[j] = gate(1, s.c[j]) * s.H.Eval(s.c[j])
		}
	}
}
