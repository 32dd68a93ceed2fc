package bfloat

import (
	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// WinogradWeights transforms the weights of a [Winograd] step at load. It computes in
// float32 or float64 and rounds to bfloat16 once.
type WinogradWeights struct {
	M      int
	IC, OC int
	W      kernel.Ref // as Conv.W with KH = KW = 3
	Dst    kernel.Ref // bfloat16 [(M+2)²][ceil(OC/32)][ceil(IC/32)][16][32][2], in Prepared. Positions are Dst.Len/(M+2)² elements apart.
}

// Check declares the memory of the step.
func (k *WinogradWeights) Check(v *kernel.Verifier) {
	v.Require(k.M == 2 || k.M == 4, "there is no such form")
	v.Positive("channels", k.IC, k.OC)
	if v.Failed() {
		return
	}
	n := kernel.Product(team.Split(k.IC, block), lanes, team.Split(k.OC, lanes), lanes)
	weights(v, "W", k.W, false, 9*n)
	weights(v, "Dst", k.Dst, true, int64((k.M+2)*(k.M+2))*n)
	v.Scratch(int64(k.ScratchBytes()))
}

// ScratchBytes is the size of the filters of a block of 32 input and 32 output channels,
// and of their transforms, in float32.
func (k *WinogradWeights) ScratchBytes() int {
	return 2 * (9 + (k.M+2)*(k.M+2)) * lanes * block * 4
}

// Run computes G·g·Gᵀ for every pair of channels.
func (k *WinogradWeights) Run(c *kernel.Context) {
	c.DoAll(kernel.OutBlocks(k.OC)*team.Split(k.IC, block), k)
}

// Source returns the weights that the step reads, and their format.
func (k *WinogradWeights) Source() (kernel.Ref, kernel.Format) { return k.W, kernel.BF16 }

// Prepares returns the weights that the step writes.
func (k *WinogradWeights) Prepares() kernel.Ref { return k.Dst }

// Part transforms a block of input channels of one block of output channels.
func (k *WinogradWeights) Part(c *kernel.Context, i, worker int) {
	blocks, positions := team.Split(k.IC, block), (k.M+2)*(k.M+2)
	ob, b := i/blocks, i%blocks
	size := lanes * kernel.BlockWidth(k.OC, ob) // pairs of a tap
	w := pairs(c, k.W)[(ob*block*blocks*lanes+b*size)*9:][:9*size]
	s := floats(c.Scratch(worker))
	var filters, transformed [2][]float32
	for h := range 2 {
		filters[h], s = s[:9*size], s[9*size:]
		transformed[h], s = s[:positions*size], s[positions*size:]
	}
	simd.WidenPairs(filters[0], filters[1], w)
	for h := range 2 {
		if !simd.TransformWeights(k.M, filters[h], transformed[h], lanes, size/lanes*4, size*4) {
			k.transform(filters[h], transformed[h], size)
		}
	}
	dst, pitch := pairs(c, k.Dst), k.Dst.Len/2/positions
	for pos := range positions {
		to := dst[pos*pitch+ob*block*blocks*lanes+b*size:][:size]
		simd.Narrow(to, transformed[0][pos*size:], transformed[1][pos*size:], nil, -kernel.Inf32, kernel.Inf32)
	}
}

// transform is [simd.TransformWeights] in Go.
func (k *WinogradWeights) transform(w, dst []float32, size int) {
	g := simd.Winograd[k.M].G
	dot := func(row []float64, a, b, c float64) float64 { return row[0]*a + row[1]*b + row[2]*c }
	for i := range size {
		for y, row := range g {
			var columns [3]float64
			for x := range columns {
				columns[x] = dot(row, float64(w[x*size+i]), float64(w[(3+x)*size+i]), float64(w[(6+x)*size+i]))
			}
			for x, row := range g {
				dst[(y*len(g)+x)*size+i] = float32(dot(row, columns[0], columns[1], columns[2]))
			}
		}
	}
}

// Uses lists no micro-kernel that a copy of the runtime may omit.
func (*WinogradWeights) Uses(*simd.Tier, func(micro string, pixels int)) {}
