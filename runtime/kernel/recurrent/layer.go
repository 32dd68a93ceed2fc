// Package recurrent holds the kernel of recurrent layers: RNN, GRU and LSTM.
//
// The products of all steps' inputs with the weights do not depend on the states, so a dense
// layer before this kernel computes them at once, with all biases of the sums. This kernel
// adds, step by step, the products of the state, which a micro-kernel accumulates onto the
// former, and applies the functions of the gates. Gates have P values: the number of hidden
// units rounded up to a multiple of 16, so that all loops run over whole vectors.
package recurrent

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// Cell is the kind of a layer. The values are those of ir.Cell.
type Cell uint8

// The cells, with the order of their gates.
const (
	RNN  Cell = iota // h
	GRU              // z, r, h
	LSTM             // i, o, f, c
)

func (c Cell) gates() int { return [...]int{RNN: 1, GRU: 3, LSTM: 4}[c] }

// Layer computes the recurrence of ir.Recurrent. Dirs is the number D of directions, Steps T,
// Batch N and Hidden H. G is the number of gates.
type Layer struct {
	Cell      Cell
	X         kernel.Ref // [T,N,D,G,P], the products of the inputs, and biases
	R         kernel.Ref // for each direction, the weights of a dense layer from H to G·P
	Bias      kernel.Ref // [D,P], of the product in a GRU with LinearBeforeReset; may be absent
	Peepholes kernel.Ref // [D,3,P], of an LSTM; may be absent
	H0, C0    kernel.Ref // [D,N,H], zero if absent
	Y         kernel.Ref // [T,N,D,H], not stored if absent
	YH, YC    kernel.Ref // [D,N,H], not stored if absent

	Steps, Batch, Dirs, Hidden int
	Reverse                    bool // the first direction visits the last step first; a second one always does

	F, G, Out kernel.Act // Out is the function H of an LSTM
	Clip      float32    // of the arguments of F and G, 0 for none
	// InputForget is of LSTM, LinearBeforeReset of GRU.
	InputForget, LinearBeforeReset bool
	Lengths                        []int32 // the steps of each example; nil for Steps
}

const lanes = 16

// mostRows is the maximum number of examples that share one pass over the weights, which is
// a part of the work. Parts do not depend on the number of workers, because the sum of a
// micro-kernel depends on the number of examples. Four examples keep the multipliers busy.
const mostRows = 8

// padded returns P.
func (k *Layer) padded() int { return (k.Hidden + lanes - 1) &^ (lanes - 1) }

// rows returns the maximum number of examples in a part. Examples of different lengths are
// at different steps, so each has a part of its own.
func (k *Layer) rows() int {
	if k.Lengths != nil {
		return 1
	}
	return min(k.Batch, mostRows)
}

// Check declares the memory of the step.
func (k *Layer) Check(v *kernel.Verifier) {
	v.Positive("extents", k.Steps, k.Batch, k.Dirs, k.Hidden)
	v.Require(k.Cell <= LSTM && k.Dirs <= 2, "there is no such cell, or it has too many directions")
	v.Require(k.Lengths == nil || len(k.Lengths) == k.Batch, "the lengths are not those of the batch")
	if v.Failed() {
		return
	}
	v.Indices("Lengths", k.Lengths, 0, k.Steps+1)
	p, g := k.padded(), k.Cell.gates()
	v.Read("X", k.X, 4, kernel.Product(k.Steps, k.Batch, k.Dirs, g, p))
	v.Read("R", k.R, 4, kernel.Product(k.Dirs, g, p, p))
	state := kernel.Product(k.Dirs, k.Batch, k.Hidden)
	for _, o := range []struct {
		name  string
		r     kernel.Ref
		n     int64
		write bool
	}{
		{"Bias", k.Bias, kernel.Product(k.Dirs, p), false}, {"Peepholes", k.Peepholes, kernel.Product(k.Dirs, 3, p), false},
		{"H0", k.H0, state, false}, {"C0", k.C0, state, false},
		{"Y", k.Y, kernel.Product(k.Steps, k.Dirs, k.Batch, k.Hidden), true}, {"YH", k.YH, state, true}, {"YC", k.YC, state, true},
	} {
		if o.r.Len != 0 {
			v.Span(o.name, o.r, 4, 0, o.n, o.write)
		}
	}
	v.Act(k.F.Fn)
	v.Act(k.G.Fn)
	v.Act(k.Out.Fn)
	v.Scratch(kernel.Product(k.rows(), g+3, p, 4))
}

// ScratchBytes is the size of the states h and c, the gates and one more vector of each
// example of a part.
func (k *Layer) ScratchBytes() int { return k.rows() * (k.Cell.gates() + 3) * k.padded() * 4 }

// pieces returns the number of ranges of examples.
func (k *Layer) pieces() int { return team.Split(k.Batch, k.rows()) }

// Run computes the step. The directions, and the examples of a batch, are independent.
func (k *Layer) Run(c *kernel.Context) {
	p := k.padded()
	work := k.Steps * k.Batch * k.Dirs * k.Cell.gates() * p * p / simd.Active().MACs
	c.Do(k.Dirs*k.pieces(), work, k)
}

// Part computes all steps of a range of examples in one direction.
func (k *Layer) Part(c *kernel.Context, i, worker int) {
	pieces := k.pieces()
	dir, piece := i/pieces, i%pieces
	s := part{Layer: k, dir: dir, first: team.Cut(k.Batch, pieces, piece)}
	s.n = team.Cut(k.Batch, pieces, piece+1) - s.first
	s.bind(c, kernel.Floats(c.Scratch(worker)))
	steps := k.Steps
	if k.Lengths != nil {
		steps = int(k.Lengths[s.first])
	}
	if steps == 0 {
		clear(s.h)
		clear(s.c)
	}
	for t := range steps {
		if k.Reverse || dir == 1 {
			t = steps - 1 - t
		}
		s.step(t)
		s.store(t)
	}
	for t := steps; t < k.Steps; t++ {
		for r := range s.n {
			clear(s.at(s.y, t*k.Batch+s.first+r, k.Dirs, dir))
		}
	}
	s.finish()
}

// part is the computation of a range of examples in one direction.
type part struct {
	*Layer
	dir, first, n int // the examples first ≤ i < first+n
	p             int // values of a gate
	double        bool

	x, r, bias, peepholes []float32 // of all directions, except r; nil if absent
	y, yh, yc             []float32
	// States and gates of each example: [n,P], [n,P], [n,G,P] and [n,P].
	h, c, gates, more []float32
}

// bind finds the memory of the operands and sets the first states.
func (s *part) bind(c *kernel.Context, scratch []float32) {
	s.p = s.padded()
	g := s.Cell.gates()
	s.double = c.Double()
	s.x, s.bias, s.peepholes = c.F32(s.X), c.F32(s.Bias), c.F32(s.Peepholes)
	s.r = c.F32(s.R)[s.dir*g*s.p*s.p:][:g*s.p*s.p]
	s.y, s.yh, s.yc = c.F32(s.Y), c.F32(s.YH), c.F32(s.YC)
	n := s.n * s.p
	s.h, s.c, s.more, s.gates = scratch[:n], scratch[n:2*n], scratch[2*n:3*n], scratch[3*n:(3+g)*n]
	s.load(s.h, c.F32(s.H0))
	s.load(s.c, c.F32(s.C0))
}

// at returns row i of v, which has dirs rows of hidden units for each of these, in direction
// dir. It returns nil if v is absent.
func (s *part) at(v []float32, i, dirs, dir int) []float32 {
	if v == nil {
		return nil
	}
	return v[(i*dirs+dir)*s.Hidden:][:s.Hidden]
}

// state returns the row of example r of states v [D,N,H].
func (s *part) state(v []float32, r int) []float32 { return s.at(v, s.dir, s.Batch, s.first+r) }

// load sets states to those of v, or zero if v is absent.
func (s *part) load(states, v []float32) {
	for r := range s.n {
		row := states[r*s.p:][:s.p]
		clear(row[copy(row, s.state(v, r)):])
	}
}

// store writes h of step t to y.
func (s *part) store(t int) {
	for r := range s.n {
		copy(s.at(s.y, t*s.Batch+s.first+r, s.Dirs, s.dir), s.h[r*s.p:])
	}
}

// finish writes the last states.
func (s *part) finish() {
	for r := range s.n {
		copy(s.state(s.yh, r), s.h[r*s.p:])
		copy(s.state(s.yc, r), s.c[r*s.p:])
	}
}

// product computes gates first ≤ g < end of all examples at step t: the product of in [n,P]
// with the weights. With sums, the products of the inputs are added, otherwise the bias.
func (s *part) product(in []float32, t, first, end int, sums bool) {
	p, all := s.p, s.Cell.gates()*s.p
	a := simd.NewTile(s.double)
	a.Pix, a.Blocks, a.BlockStride, a.Rows, a.Cols = p*4, p/lanes, lanes*4, 1, 1
	a.OutPix, a.OutBlock = all*4, lanes*4
	a.ResPix, a.ResBlock = s.Dirs*all*4, lanes*4
	x := s.x[((t*s.Batch+s.first)*s.Dirs+s.dir)*all:]
	tiles := team.Split(s.n, simd.Active().TilePixels)
	for o := first * p; o < end*p; o += 32 {
		width := min(32, end*p-o)
		a.W = unsafe.Pointer(&s.r[o*p])
		a.Bias = unsafe.Pointer(&zeros)
		if !sums && s.bias != nil {
			a.Bias = unsafe.Pointer(&s.bias[s.dir*p+o-first*p])
		}
		for i := range tiles {
			r0, r1 := team.Cut(s.n, tiles, i), team.Cut(s.n, tiles, i+1)
			a.Pixels = r1 - r0
			a.In, a.Out = unsafe.Pointer(&in[r0*p]), unsafe.Pointer(&s.gates[r0*all+o])
			if sums {
				a.Res = unsafe.Pointer(&x[r0*s.Dirs*all+o])
			}
			a.Compute(width)
		}
	}
}

var zeros [32]float32

// step computes the states of all examples after step t.
func (s *part) step(t int) {
	switch s.Cell {
	case RNN:
		s.rnn(t)
	case GRU:
		s.gru(t)
	case LSTM:
		s.lstm(t)
	}
	if s.p == s.Hidden {
		return
	}
	for r := range s.n { // the padding must not grow, because 0·∞ is NaN
		clear(s.h[r*s.p+s.Hidden : (r+1)*s.p])
		clear(s.c[r*s.p+s.Hidden : (r+1)*s.p])
	}
}

// act applies a function to arguments, which it clips.
func (s *part) act(x []float32, a kernel.Act) {
	if s.Clip > 0 {
		kernel.Apply(x, kernel.Act{Fn: kernel.ActClip, Alpha: -s.Clip, Beta: s.Clip})
	}
	kernel.Apply(x, a)
}

// gate returns gates first ≤ g < end of example r.
func (s *part) gate(r, first, end int) []float32 {
	at := r * s.Cell.gates()
	return s.gates[(at+first)*s.p : (at+end)*s.p]
}

func (s *part) rnn(t int) {
	s.product(s.h, t, 0, 1, true)
	s.act(s.gates, s.F)
	copy(s.h, s.gates)
}

func (s *part) gru(t int) {
	s.product(s.h, t, 0, 2, true)
	if s.LinearBeforeReset {
		s.product(s.h, t, 2, 3, false)
	}
	for r := range s.n {
		s.act(s.gate(r, 0, 2), s.F)
		reset, h := s.gate(r, 1, 2), s.h[r*s.p:][:s.p]
		if !s.LinearBeforeReset {
			mul(s.more[r*s.p:][:s.p], reset, h)
			continue
		}
		x := s.x[(((t*s.Batch+s.first+r)*s.Dirs+s.dir)*3+2)*s.p:][:s.p]
		addProduct(s.gate(r, 2, 3), x, reset)
	}
	if !s.LinearBeforeReset {
		s.product(s.more, t, 2, 3, true)
	}
	for r := range s.n {
		z, candidate, h := s.gate(r, 0, 1), s.gate(r, 2, 3), s.h[r*s.p:][:s.p]
		s.act(candidate, s.G)
		z, candidate = z[:len(h)], candidate[:len(h)]
		for j, v := range h {
			h[j] = candidate[j] + z[j]*(v-candidate[j])
		}
	}
}

func (s *part) lstm(t int) {
	s.product(s.h, t, 0, 4, true)
	for r := range s.n {
		i, o, f, candidate := s.gate(r, 0, 1), s.gate(r, 1, 2), s.gate(r, 2, 3), s.gate(r, 3, 4)
		h, c := s.h[r*s.p:][:s.p], s.c[r*s.p:][:s.p]
		switch {
		case s.peepholes != nil:
			p := s.peepholes[s.dir*3*s.p:][:3*s.p]
			addTo(i, p[:s.p], c)
			addTo(f, p[2*s.p:], c)
			s.act(i, s.F)
			s.act(f, s.F)
		default:
			s.act(s.gate(r, 0, 3), s.F)
		}
		s.act(candidate, s.G)
		if s.InputForget {
			for j, v := range i {
				f[j] = 1 - v
			}
		}
		i, f, candidate = i[:len(c)], f[:len(c)], candidate[:len(c)]
		for j, v := range c {
			c[j] = f[j]*v + i[j]*candidate[j]
		}
		if s.peepholes != nil {
			addTo(o, s.peepholes[(s.dir*3+1)*s.p:][:s.p], c)
			s.act(o, s.F)
		}
		copy(candidate, c)
		kernel.Apply(candidate, s.Out)
		mul(h, o, candidate)
	}
}

// mul computes dst = a∗b.
func mul(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

// addTo computes dst += a∗b.
func addTo(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] += a[i] * b[i]
	}
}

// addProduct computes dst = a + b∗dst.
func addProduct(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i, v := range dst {
		dst[i] = a[i] + b[i]*v
	}
}

// Uses lists the micro-kernels that the layer calls.
func (k *Layer) Uses(_ *simd.Tier, use func(micro string, pixels int)) {
	pixels := kernel.AnyPixels
	if k.rows() == 1 {
		pixels = 1
	}
	use("Tile32", pixels)
	use("Tile16", pixels)
}
