package cuda

import (
	"modelc/backend/plan"
	"modelc/ir"
)

// align is the alignment in bytes of buffers and of weights.
const align = 256

// vector is the number of floats that kernels load at once. Pixels of images, and slices of
// concatenations, start at multiples of it.
const vector = 4

// weightSpace is the plan.Buffer.Space of the weights.
const weightSpace = 1

// place is a value in memory: element [i0,i1,…] lies at element Σ ik·strides[k] from Off.
// Transpositions, slices, expansions and most reshapes are places in the buffer of their
// operand.
type place struct {
	plan.Tensor
	strides []int
}

// dense returns a place with row-major strides.
func dense(b *plan.Buffer, off int, t ir.Type) *place {
	return &place{plan.Tensor{Buffer: b, Off: off, Type: t}, t.Shape.Strides()}
}

// imageStrides returns the strides of an image, a value [N,C,H,W] or [N,C,W] stored as
// [N,H,W,C] with pixels of whole vectors.
func imageStrides(s ir.Shape) []int {
	st := make([]int, len(s))
	st[1] = 1
	n := plan.AlignUp(s[1], vector)
	for i := len(s) - 1; i >= 2; i-- {
		st[i] = n
		n *= s[i]
	}
	st[0] = n
	return st
}

// isDense reports whether p lies row-major without gaps.
func (p *place) isDense() bool { return sameStrides(p.Shape, p.strides, p.Shape.Strides()) }

// sameStrides reports whether two lists of strides describe the same memory. The strides of
// axes of one element do not matter.
func sameStrides(s ir.Shape, a, b []int) bool {
	for i, d := range s {
		if d != 1 && a[i] != b[i] {
			return false
		}
	}
	return true
}

// span returns the number of elements from the first to the last element of p, inclusive.
// The last vector counts as a whole if the channels of p lie side by side.
func (p *place) span() int {
	if p.Shape.Len() == 0 {
		return 0
	}
	n := 1
	for i, d := range p.Shape {
		n += (d - 1) * p.strides[i]
	}
	if p.channelsLast() {
		n = plan.AlignUp(n, vector)
	}
	return n
}

// channelsLast reports whether p is an image, or a part of one, whose pixels and channels
// start at whole vectors, so that kernels can load vectors of channels.
func (p *place) channelsLast() bool {
	if p.DType != ir.Float32 || len(p.Shape) < 3 || p.Shape[1] > 1 && p.strides[1] != 1 {
		return false
	}
	for i, d := range p.Shape {
		if i != 1 && d > 1 && (p.strides[i]%vector != 0 || p.strides[i] < p.Shape[1]) {
			return false
		}
	}
	return p.Off%(vector*4) == 0 && p.Buffer.Space != weightSpace
}

// nchw returns the strides of a place of one or two spatial axes as [N,C,H,W].
func (p *place) nchw() (n, c, h, w int) {
	s := p.strides
	if len(s) == 3 {
		return s[0], s[1], 0, s[2]
	}
	return s[0], s[1], s[2], s[3]
}

// extents returns the extents of a shape [N,C,H,W] or [N,C,W]; H is 1 for the latter.
func extents(s ir.Shape) (n, c, h, w int) {
	if len(s) == 3 {
		return s[0], s[1], 1, s[2]
	}
	return s[0], s[1], s[2], s[3]
}

// as returns the place with another shape and other strides.
func (p *place) as(s ir.Shape, strides []int) *place {
	q := *p
	q.Shape, q.strides = s, strides
	return &q
}

// broadcast returns the strides with which p is read as if it had shape out.
func (p *place) broadcast(out ir.Shape) []int {
	st := make([]int, len(out))
	for i, d := range p.Shape {
		if d != 1 {
			st[len(out)-len(p.Shape)+i] = p.strides[i]
		}
	}
	return st
}
