package kernel

import (
	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
)

// WinogradWeights transforms the weights of a [Winograd] step at load.
type WinogradWeights struct {
	M             int
	Strided, Five bool
	IC, OC        int
	W             Ref // as Conv.W with KH = KW = 3, or 5
	Format        Format
	Dst           Ref // in Prepared
}

// weightsPitch returns the distance in floats between the positions of
// transformed weights. It is an odd number of cache lines, see WinogradLen in
// backend/cpu/pack.
func weightsPitch(w Ref, positions int) int { return w.Len / positions }

// form requires that a form of Winograd's algorithm exists.
func (v *Verifier) form(m int, strided, five bool) {
	v.Require(m == 2 || !strided && !five && (m == 4 || m == 6), "there is no such form")
	v.Require(!strided || !five, "there is no such form")
}

// transformed checks weights of a number of positions: see weightsPitch.
func (v *Verifier) transformed(operand string, r Ref, positions, ic, oc int, write bool) {
	n := Product(positions, wholeBlocks(ic), wholeBlocks(oc))
	if write {
		v.Write(operand, r, 4, n)
	} else {
		v.floats(operand, r, n)
	}
}

// Check declares the memory of the step.
func (k *WinogradWeights) Check(v *Verifier) {
	v.form(k.M, k.Strided, k.Five)
	v.Positive("channels", k.IC, k.OC)
	if v.err != nil {
		return
	}
	t, positions := taps(k.Five), len(matrices(k.M, k.Five).G)
	if k.Strided {
		positions = stridedSide
	}
	v.weights("W", k.W, k.Format, Product(wholeBlocks(k.OC), wholeBlocks(k.IC), t, t))
	v.transformed("Dst", k.Dst, positions*positions, k.IC, k.OC, true)
}

// ScratchBytes is the size of the weights of a part in float32 if they are stored in
// half precision, otherwise zero.
func (k *WinogradWeights) ScratchBytes() int {
	if k.Format == F32 {
		return 0
	}
	taps := taps(k.Five)
	return min((k.IC+15)/16, weightBlocks) * taps * taps * 16 * 32 * 4
}

// Run computes G·g·Gᵀ for every pair of channels.
func (k *WinogradWeights) Run(c *Context) { c.DoAll(OutBlocks(k.OC)*k.slices(), k) }

// slices returns the number of ranges of input channels into which a block of output
// channels is cut, so that every worker finds work. A range is large enough to write
// whole pages, because the first write to a page takes most of the time.
func (k *WinogradWeights) slices() int { return team.Split((k.IC+15)/16, weightBlocks) }

// weightBlocks is the maximum number of blocks of 16 input channels of a part.
const weightBlocks = 4

// Source returns the weights that the step reads, and their format.
func (k *WinogradWeights) Source() (Ref, Format) { return k.W, k.Format }

// Prepares returns the weights that the step writes.
func (k *WinogradWeights) Prepares() Ref { return k.Dst }

// Part transforms a range of input channels of one block of output channels.
func (k *WinogradWeights) Part(c *Context, i, worker int) {
	ob, slice := i/k.slices(), i%k.slices()
	first, last := team.Cut((k.IC+15)/16, k.slices(), slice), team.Cut((k.IC+15)/16, k.slices(), slice+1)
	dst := c.F32(k.Dst)
	icp := wholeBlocks(k.IC)
	width := BlockWidth(k.OC, ob)
	taps := taps(k.Five)
	step := taps * taps * 16 * width // the weights of 16 input channels
	w := c.floatsOf(k.W, k.Format, ob*32*icp*taps*taps+first*step, (last-first)*step, c.scratch[worker])
	if k.Strided {
		k.strided(dst, w, ob, first, last)
		return
	}
	matrix := matrices(k.M, k.Five).G // in float64: an error here would affect every tile
	pitch := weightsPitch(k.Dst, len(matrix)*len(matrix))
	if !k.Five {
		done := true
		for b := first; b < last && done; b++ {
			done = simd.TransformWeights(k.M, w[(b-first)*step:], dst[ob*icp*32+b*16*width:], 16, width*4, pitch*4)
		}
		if done {
			return
		}
	}
	var g [8][5]float64
	for i, row := range matrix {
		copy(g[i][:], row)
	}
	al := len(matrix)
	for ic := first * 16; ic < last*16; ic++ {
		from := w[((ic/16-first)*taps*taps*16+ic%16)*width:] // taps are 16 rows apart
		to := dst[ob*icp*32+ic*width:]
		for o := range width {
			var filter [5][5]float64 // by columns
			for i := range taps * taps {
				filter[i%taps][i/taps] = float64(from[i*16*width+o])
			}
			for i := range al {
				var row [5]float64
				for x := range taps {
					row[x] = dot(&g[i], &filter[x], taps)
				}
				for j := range al {
					to[(i*al+j)*pitch+o] = float32(dot(&g[j], &row, taps))
				}
			}
		}
	}
}

// dot returns the scalar product of the first n elements, 3 or 5.
func dot(a, b *[5]float64, n int) float64 {
	sum := a[0]*b[0] + a[1]*b[1] + a[2]*b[2]
	if n > 3 {
		sum += a[3]*b[3] + a[4]*b[4]
	}
	return sum
}
