// Package transform holds the transforms of Winograd's F(m×m,3×3) for m = 2, 4 and 6
// (Lavin & Gray 2015), for the kernel generators of all architectures. The points are
// 0, ±1, ∞ for m = 2; 0, ±√½, ±√2, ∞ for 4; 0, ±1, ±2, ±1/2, ∞ for 6. With 0, ±1, ±2, ∞
// the error of m = 4 would be twice as large. A transform in two dimensions transforms the
// columns, then the rows.
package transform

import (
	"math"
	"slices"
)

const sqrt2 = math.Sqrt2

// Term is a source times a coefficient.
type Term struct {
	Source int
	Factor float64
}

// Pair describes two rows of Bᵀ. They are First+Second and First−Second if Share is set,
// otherwise First and Second.
type Pair struct {
	A, B          int
	First, Second []Term
	Share         bool
}

// Input lists the rows of Bᵀ in pairs.
var Input = map[int][]Pair{
	2: {{0, 3, []Term{{0, 1}, {2, -1}}, []Term{{3, 1}, {1, -1}}, false}, {1, 2, []Term{{2, 1}}, []Term{{1, 1}}, true}},
	4: {{0, 5, []Term{{4, 1}, {2, -2.5}, {0, 1}}, []Term{{5, 1}, {3, -2.5}, {1, 1}}, false},
		{1, 2, []Term{{4, 1}, {2, -2}}, []Term{{3, sqrt2 / 2}, {1, -sqrt2}}, true},
		{3, 4, []Term{{4, 1}, {2, -.5}}, []Term{{3, sqrt2}, {1, -sqrt2 / 2}}, true}},
	6: {{0, 7, []Term{{0, 1}, {4, 5.25}, {6, -1}, {2, -5.25}}, []Term{{7, 1}, {3, 5.25}, {1, -1}, {5, -5.25}}, false},
		{1, 2, []Term{{2, 1}, {6, 1}, {4, -4.25}}, []Term{{1, 1}, {5, 1}, {3, -4.25}}, true},
		{3, 4, []Term{{6, 1}, {2, .25}, {4, -1.25}}, []Term{{1, .5}, {5, 2}, {3, -2.5}}, true},
		{5, 6, []Term{{6, 1}, {2, 4}, {4, -5}}, []Term{{1, 2}, {5, .5}, {3, -2.5}}, true}},
}

// Output holds, for each row of Aᵀ, the factors of the pairs of sources (1,2), (3,4) and
// (5,6). In even rows they are the factors of the sums of the pairs, in odd rows those of
// the differences. Row 0 also adds source 0, the last row the last source.
var Output = map[int][][]float64{
	2: {{1}, {1}},
	4: {{2 * sqrt2, 1}, {2, sqrt2}, {sqrt2, 2}, {1, 2 * sqrt2}},
	6: {{1, 1, 32}, {1, 2, 16}, {1, 4, 8}, {1, 8, 4}, {1, 16, 2}, {1, 32, 1}},
}

// Kind is the operation of an [Op].
type Kind uint8

// The kinds.
const (
	Move  Kind = iota // Dst = X
	Scale             // Dst = X·Factor
	Add               // Dst = X + Y
	Sub               // Dst = X − Y
	FMA               // Dst += X·Factor
	Store             // register X is result Dst
)

// Op is an instruction of a transform in one dimension, on vector registers.
// Registers 0 … m+1 hold the sources at the start.
type Op struct {
	Kind      Kind
	Dst, X, Y int
	Factor    float64
}

// Registers is the maximum number of registers that the ops of a transform use.
const Registers = 12

// InputOps returns the ops of Bᵀ·x.
func InputOps(m int) (ops []Op) {
	t, u, x, y := m+2, m+3, m+4, m+5
	for _, p := range Input[m] {
		if !p.Share {
			ops = append(linear(ops, t, p.First), Op{Kind: Store, Dst: p.A, X: t})
			ops = append(linear(ops, u, p.Second), Op{Kind: Store, Dst: p.B, X: u})
			continue
		}
		first, second := t, u
		if len(p.First) == 1 { // an unchanged source
			first, second = p.First[0].Source, p.Second[0].Source
		} else {
			ops = linear(linear(ops, t, p.First), u, p.Second)
		}
		ops = append(ops, Op{Kind: Add, Dst: x, X: first, Y: second}, Op{Kind: Sub, Dst: y, X: first, Y: second},
			Op{Kind: Store, Dst: p.A, X: x}, Op{Kind: Store, Dst: p.B, X: y})
	}
	return ops
}

// OutputOps returns the ops of Aᵀ·x.
func OutputOps(m int) (ops []Op) {
	sum, result := m+2, m+2+m/2
	for k := range m / 2 { // differences replace the second source
		ops = append(ops, Op{Kind: Add, Dst: sum + k, X: 2*k + 1, Y: 2*k + 2}, Op{Kind: Sub, Dst: 2*k + 2, X: 2*k + 1, Y: 2*k + 2})
	}
	for row, factors := range Output[m] {
		var terms []Term
		switch row {
		case 0:
			terms = append(terms, Term{0, 1})
		case m - 1:
			terms = append(terms, Term{m + 1, 1})
		}
		for k, f := range factors {
			source := sum + k
			if row%2 == 1 {
				source = 2*k + 2
			}
			terms = append(terms, Term{source, f})
		}
		ops = append(linear(ops, result, terms), Op{Kind: Store, Dst: row, X: result})
	}
	return ops
}

// linear appends the ops of dst = Σ terms, left to right.
func linear(ops []Op, dst int, terms []Term) []Op {
	first := Op{Kind: Scale, Dst: dst, X: terms[0].Source, Factor: terms[0].Factor}
	if terms[0].Factor == 1 {
		first.Kind = Move
	}
	ops = append(ops, first)
	for i, t := range terms[1:] {
		op := Op{Kind: FMA, Dst: dst, X: t.Source, Factor: t.Factor}
		switch t.Factor {
		case 1:
			op = Op{Kind: Add, Dst: dst, X: dst, Y: t.Source}
		case -1:
			op = Op{Kind: Sub, Dst: dst, X: dst, Y: t.Source}
		}
		if i == 0 && first.Kind == Move && op.Kind != FMA { // no need to move
			op.X, ops = first.X, ops[:len(ops)-1]
		}
		ops = append(ops, op)
	}
	return ops
}

// Factors returns the absolute values of the factors that ops multiply by.
func Factors(ops []Op) (factors []float64) {
	for _, op := range ops {
		f := max(op.Factor, -op.Factor)
		if f != 0 && !slices.Contains(factors, f) {
			factors = append(factors, f)
		}
	}
	return factors
}
