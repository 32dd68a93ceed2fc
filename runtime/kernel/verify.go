package kernel

import (
	"errors"
	"fmt"
	"math"
)

// Memory describes the memory of a [Space] to a [Verifier].
type Memory struct {
	Bytes       int
	Read, Write bool // what steps may do with it
}

// Verifier checks kernels of a plan before they run. The package comment explains
// what Kernel.Check tells it. All methods keep the first problem of a kernel and
// ignore later ones, so that Check needs no branches.
type Verifier struct {
	// Touch, unless nil, is called for every operand that a kernel reads or writes.
	// elem is the size of an element in bytes.
	Touch func(r Ref, elem int)

	spaces  []Memory
	scratch int64 // bytes, of the kernel being checked
	err     error
}

const (
	// MaxExtent is the maximum of a field that counts something along an axis or is
	// a distance. The sum of three does not overflow.
	MaxExtent = min(1<<30, math.MaxInt/4)
	// far is more than any memory has. The sum of 64 such numbers does not overflow.
	far = 1 << 56
	// maxMemory is the maximum size of a space, and of the scratch of a worker.
	maxMemory = min(1<<38, math.MaxInt)
)

// NewVerifier returns a verifier for kernels that run on the given memory. spaces
// holds the memory of each [Space].
func NewVerifier(spaces []Memory) (*Verifier, error) {
	for i, m := range spaces {
		if m.Bytes < 0 || int64(m.Bytes) > maxMemory {
			return nil, fmt.Errorf("space %d has %d bytes", i, m.Bytes)
		}
	}
	return &Verifier{spaces: spaces}, nil
}

// Verify returns an error if k may touch memory outside its operands, or may index
// or loop outside its tables.
func (v *Verifier) Verify(k Kernel) error {
	v.scratch, v.err = 0, nil
	k.Check(v)
	if v.err == nil {
		n := k.ScratchBytes()
		v.Require(n >= 0 && int64(n) <= maxMemory && int64(n) >= v.scratch, "the scratch memory is too small or too large")
	}
	return v.err
}

// Require records a problem unless ok is set. what describes the requirement that
// is not met.
func (v *Verifier) Require(ok bool, what string) {
	if !ok && v.err == nil {
		v.err = errors.New(what)
	}
}

// Positive requires that every one of the fields, which count something or are
// distances, is at least 1.
func (v *Verifier) Positive(what string, fields ...int) {
	for _, f := range fields {
		if (f < 1 || f > MaxExtent) && v.err == nil {
			v.err = fmt.Errorf("%s: %d is not a number from 1 to %d", what, f, MaxExtent)
		}
	}
}

// Failed reports whether the kernel has a problem.
func (v *Verifier) Failed() bool { return v.err != nil }

// Product returns the product of the factors. It does not overflow: if it is more
// than any memory has, or if a factor is negative, the result is a number of that
// size.
func Product(factors ...int) int64 {
	p := int64(1)
	for _, f := range factors {
		switch {
		case f < 0:
			return far
		case f > 0 && p > far/int64(f):
			p = far
		default:
			p *= int64(f)
		}
	}
	return p
}

// Window requires that a window of taps, which are dilation apart and move by
// stride for each of out results, has positive extents and positions that an int of
// 32 bits holds. pad is the distance from the first tap to position 0. It returns
// the first and the last position that the taps have.
func (v *Verifier) Window(out, stride, taps, dilation, pad int) (first, last int64) {
	v.Positive("window", out, stride, taps, dilation)
	if v.err != nil {
		return 0, 0
	}
	first = -int64(pad)
	last = first + int64(out-1)*int64(stride) + int64(taps-1)*int64(dilation)
	v.Require(first >= -MaxExtent && first <= MaxExtent && last <= MaxExtent &&
		int64(out)*int64(stride) <= MaxExtent && int64(taps)*int64(dilation) <= MaxExtent, "a window is too large or too far from its operand")
	return first, last
}

// Read requires that a step may read n elements of r, starting at its first one.
// elem is the size of an element in bytes.
func (v *Verifier) Read(operand string, r Ref, elem int, n int64) {
	v.Span(operand, r, elem, 0, n, false)
}

// Write is like Read, for elements that the step writes. It may read them, too.
func (v *Verifier) Write(operand string, r Ref, elem int, n int64) {
	v.Span(operand, r, elem, 0, n, true)
}

// Span is like Read or Write, for elements first ≤ i < end of r.
func (v *Verifier) Span(operand string, r Ref, elem int, first, end int64, write bool) {
	if v.err != nil {
		return
	}
	if int(r.Space) >= len(v.spaces) {
		v.err = fmt.Errorf("%s: the plan has no space %d", operand, r.Space)
		return
	}
	switch m := v.spaces[r.Space]; {
	case r.Off < 0 || r.Len < 0 || r.Off%elem != 0 || r.Off > m.Bytes || r.Len > (m.Bytes-r.Off)/elem:
		v.err = fmt.Errorf("%s: %v, with elements of %d bytes, is outside its memory of %d bytes", operand, r, elem, m.Bytes)
	case first < 0 || end > int64(r.Len):
		v.err = fmt.Errorf("%s: elements %d to %d are outside its %d elements", operand, first, end-1, r.Len)
	case !write && !m.Read:
		v.err = fmt.Errorf("%s: the step must not read this memory", operand)
	case write && !m.Write:
		v.err = fmt.Errorf("%s: the step must not write this memory", operand)
	case v.Touch != nil:
		v.Touch(r, elem)
	}
}

// Scratch requires that ScratchBytes returns at least n.
func (v *Verifier) Scratch(n int64) {
	v.scratch = n
	v.Require(n <= maxMemory, "the step needs too much scratch memory")
}

// Indices requires that every entry of a table is at least least, and less than
// extent.
func (v *Verifier) Indices(what string, table []int32, least, extent int) {
	for _, i := range table {
		if (int(i) < least || int(i) >= extent) && v.err == nil {
			v.err = fmt.Errorf("%s: index %d is outside the extent %d", what, i, extent)
		}
	}
}

// Table checks a table of interpolation, as in [ResizeImage], for n results.
func (v *Verifier) Table(what string, index []int32, weight []float32, n, taps, extent int) {
	v.Positive(what, n, taps)
	v.Require(Product(n, taps) <= int64(min(len(index), len(weight))), "a table is too short")
	v.Indices(what, index, 0, extent)
}

// Act requires that a function exists.
func (v *Verifier) Act(f Fn) { v.Require(f <= ActScaledTanh, "there is no such function") }

// floats is Read for float32.
func (v *Verifier) floats(operand string, r Ref, n int64) { v.Read(operand, r, 4, n) }

// channels is floats for an operand per channel that may be absent. blocks is the
// number of blocks of 16 channels.
func (v *Verifier) channels(operand string, r Ref, blocks int) {
	if r.Len != 0 {
		v.floats(operand, r, Product(blocks, lanes))
	}
}

// prologue checks the operands of a prologue of blocks of 16 channels.
func (v *Verifier) prologue(scale, shift Ref, pre Act, blocks int) {
	v.channels("Scale", scale, blocks)
	v.channels("Shift", shift, blocks)
	v.Act(pre.Fn)
}

// Extents checks the fields of an image, which need not have memory.
func (v *Verifier) Extents(operand string, m *Image) {
	v.Positive(operand, m.N, m.C, m.H, m.W)
	v.Require(min(m.Top, m.Left, m.Bottom, m.Right) >= 0 && max(m.Top, m.Left, m.Bottom, m.Right) <= MaxExtent, "a border is negative or too large")
	v.Require(m.Block >= 0 && m.Block <= MaxExtent && m.Elem <= Uint8, "there is no such layout of images")
}

// Image declares that a step reads or writes an image of any layout, with its border.
func (v *Verifier) Image(operand string, m *Image, write bool) {
	if v.Extents(operand, m); v.Failed() {
		return
	}
	n := Product(m.N-1, m.BatchStride) + Product(m.Blocks(), m.Top+m.H+m.Bottom, m.Left+m.W+m.Right, m.Lanes())
	v.Span(operand, m.Ref, m.Elem.Bytes(), 0, n, write)
	if write && m.FillFrom.Len != 0 {
		v.Read("FillFrom", m.FillFrom, 1, 1)
	}
}

// NC16 is like Image, for an image of float32 in blocks of 16 channels.
func (v *Verifier) NC16(operand string, m *Image, write bool) {
	v.nc16(m)
	v.Image(operand, m, write)
}

// Bytes is like Image, for an image of bytes in blocks of 16 channels, or of 4 if it has
// at most 4 channels.
func (v *Verifier) Bytes(operand string, m *Image, write bool) {
	v.Require(m.Elem == Uint8 && (m.Lanes() == lanes || m.Lanes() == 4 && m.C <= 4), "an image is not bytes in blocks of 16 or 4 channels")
	v.Image(operand, m, write)
}

// moves checks images between which a step moves elements, which are float32 in NC16 or
// bytes.
func (v *Verifier) moves(src, dst *Image) {
	if dst.Elem == Float32 {
		v.NC16("Src", src, false)
		v.NC16("Dst", dst, true)
		return
	}
	v.Bytes("Src", src, false)
	v.Bytes("Dst", dst, true)
}

// reads and writes are Image for NC16.
func (v *Verifier) reads(operand string, m *Image)  { v.NC16(operand, m, false) }
func (v *Verifier) writes(operand string, m *Image) { v.NC16(operand, m, true) }

func (v *Verifier) nc16(m *Image) {
	v.Require(m.Elem == Float32 && m.Lanes() == lanes, "an image is not float32 in blocks of 16 channels")
}

// Same requires that two images have the same extents and blocks of channels.
func (v *Verifier) Same(a, b *Image) {
	v.Require(a.N == b.N && a.Blocks() == b.Blocks() && a.Lanes() == b.Lanes() && a.H == b.H && a.W == b.W, "the extents of the operands differ")
}

// residual checks an image that is added to dst. It is absent if N is 0.
func (v *Verifier) residual(m, dst *Image) {
	if m.N != 0 {
		v.reads("Residual", m)
		v.Same(m, dst)
	}
}

// Filter describes the windows of a kernel on images.
type Filter struct{ KH, KW, SH, SW, DH, DW, PadTop, PadLeft int }

// Windows requires that the windows of f are sound. It reports whether those of an
// output of h×w pixels lie inside src and its border.
func (v *Verifier) Windows(f Filter, h, w int, src *Image) (inside bool) {
	top, bottom := v.Window(h, f.SH, f.KH, f.DH, f.PadTop)
	left, right := v.Window(w, f.SW, f.KW, f.DW, f.PadLeft)
	return top >= -int64(src.Top) && bottom < int64(src.H)+int64(src.Bottom) && left >= -int64(src.Left) && right < int64(src.W)+int64(src.Right)
}

// leaves is the problem of a kernel whose windows do not lie inside the border.
const leaves = "a window leaves the border of the operand"
