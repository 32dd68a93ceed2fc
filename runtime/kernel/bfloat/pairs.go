// Package bfloat holds the kernels on images of bfloat16: convolutions with sums in
// float32, and the conversions between bfloat16 and float32.
//
// Such an image has elements of type [kernel.BFloat16] in blocks of 32 channels. A pixel
// of a block is 16 pairs: channel c of the first 16 channels lies beside channel 16+c, so
// that a pixel becomes two pixels of float32 without a permutation. Channels beyond C in
// the last block are zero or hold other finite values.
//
// Weights are pairs of the same input channels. A product of two pairs is added to a sum
// of float32 in one instruction where there is one, elsewhere in two multiply-adds that
// round in the same way. Subnormal numbers may count as zero.
package bfloat

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// lanes is the number of pairs of a pixel, and of channels of a block of float32. block is
// the number of channels of a block of bfloat16.
const (
	lanes      = 16
	block      = 2 * lanes
	pixelBytes = 4 * lanes
)

// pairs returns the memory of r, an operand of bfloat16, as pairs.
func pairs(c *kernel.Context, r kernel.Ref) []uint32 {
	if r.Len == 0 {
		return nil
	}
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(c.Bytes(r, 2)))), r.Len/2)
}

// at returns the position of pixel (y,x) of block b of image n, in pairs.
func at(m *kernel.Image, n, b, y, x int) int { return m.At(n, b, y, x) / 2 }

// tight reports whether rows of pixels follow one another without a border.
func tight(m *kernel.Image) bool { return m.Top+m.Left+m.Bottom+m.Right == 0 }

// image declares an image of bfloat16.
func image(v *kernel.Verifier, operand string, m *kernel.Image, write bool) {
	v.Require(m.Elem == kernel.BFloat16 && m.Lanes() == block, "an image is not bfloat16 in blocks of 32 channels")
	v.Require(m.BatchStride%2 == 0 && m.Off%4 == 0, "an image does not start at a pair")
	v.Image(operand, m, write)
}

// weights declares n pairs of weights.
func weights(v *kernel.Verifier, operand string, r kernel.Ref, write bool, n int64) {
	v.Require(r.Off%4 == 0, "weights do not start at a pair")
	v.Span(operand, r, 2, 0, 2*n, write)
}

// channels declares an operand with one float for each of c channels, rounded up to blocks
// of 16. It may be absent.
func channels(v *kernel.Verifier, operand string, r kernel.Ref, c int) {
	if r.Len != 0 {
		v.Read(operand, r, 4, kernel.Product(team.Split(c, lanes), lanes))
	}
}

// store writes act(sums + residual) to dst. sums holds the channels of the lower and of
// the upper halves. residual may be nil.
func store(dst []uint32, lower, upper []float32, residual []uint32, act kernel.Act) {
	lo, hi, clamps := act.Clamp()
	if clamps {
		simd.Narrow(dst, lower[:len(dst)], upper[:len(dst)], residual, lo, hi)
		return
	}
	lower, upper = lower[:len(dst)], upper[:len(dst)]
	if residual != nil {
		simd.AddPairs(lower, upper, residual)
	}
	kernel.Apply(lower, act)
	kernel.Apply(upper, act)
	simd.Narrow(dst, lower, upper, nil, lo, hi)
}

var zeroBias [block]float32

// biasOf returns the bias of output block ob of 32 channels, zeros if it is absent.
func biasOf(c *kernel.Context, bias kernel.Ref, ob int) unsafe.Pointer {
	if !bias.Present() {
		return unsafe.Pointer(&zeroBias[0])
	}
	return unsafe.Pointer(&c.F32(bias)[ob*block])
}

// prologue is arithmetic on an operand before its products: act(x·scale+shift).
type prologue struct {
	scale, shift []float32 // by channel, nil for 1 and 0
	act          kernel.Act
}

func (p *prologue) identity() bool {
	return p.scale == nil && p.shift == nil && p.act.Fn == kernel.ActIdentity
}

// window writes a row of pixels of block b of image n, starting at row y and column x, to
// to, and applies p. Pixels outside the image become zero. scratch is memory for two rows
// of floats.
func (p *prologue) window(c *kernel.Context, m *kernel.Image, n, b, y, x int, to []uint32, scratch []float32) {
	width := len(to) / lanes
	first := min(max(0, -x), width)
	last := max(first, min(width, m.W-x))
	if y < 0 || y >= m.H || first == last {
		clear(to)
		return
	}
	clear(to[:first*lanes])
	clear(to[last*lanes:])
	to = to[first*lanes : last*lanes]
	from := pairs(c, m.Ref)[at(m, n, b, y, x+first):][:len(to)]
	if p.identity() {
		kernel.Move(to, from)
		return
	}
	p.apply(to, from, b, scratch)
}

var ones = func() (v [block]float32) {
	for i := range v {
		v[i] = 1
	}
	return v
}()

// ofBlock returns the factors of block b, those of none if v is nil. It returns nil if v has
// factors for half of the block.
func ofBlock(v []float32, b int, none *[block]float32) *float32 {
	switch {
	case v == nil:
		return &none[0]
	case len(v) < (b+1)*block:
		return nil
	}
	return &v[b*block]
}

// apply writes the results for pixels of block b to to.
func (p *prologue) apply(to, from []uint32, b int, scratch []float32) {
	lo, hi, clamps := p.act.Clamp()
	scale, shift := ofBlock(p.scale, b, &ones), ofBlock(p.shift, b, &zeroBias)
	if clamps && scale != nil && shift != nil && simd.AffinePairs(&to[0], &from[0], len(to)/lanes, scale, shift, lo, hi) {
		return
	}
	lower, upper := scratch[:len(to)], scratch[len(to):][:len(to)]
	simd.WidenPairs(lower, upper, from)
	for half, v := range [2][]float32{lower, upper} {
		of := func(factors []float32) []float32 {
			if at := b*block + half*lanes; at < len(factors) {
				return factors[at:][:lanes]
			}
			return nil // the weights of these channels are zero
		}
		kernel.AffineRow(v, v, of(p.scale), of(p.shift), p.act)
	}
	simd.Narrow(to, lower, upper, nil, -kernel.Inf32, kernel.Inf32)
}
