package integer

import (
	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// WinogradWeights transforms the weights of a [Winograd] step at load.
type WinogradWeights struct {
	IC, OC int
	W      kernel.Ref // as Conv.W with KH = KW = 3
	Dst    kernel.Ref // s16, in Prepared
	// ByTier means that the weights are those of a [ConvByTier].
	ByTier bool
}

// Check declares the memory of the step.
func (k *WinogradWeights) Check(v *kernel.Verifier) {
	v.Positive("channels", k.IC, k.OC)
	v.Require(k.Dst.Len%positions == 0, "the weights are not those of all positions")
	if v.Failed() {
		return
	}
	in, out := team.Split(k.IC, lanes)*lanes, team.Split(k.OC, lanes)*lanes
	v.Read("W", k.W, 1, kernel.Product(in, out, 9))
	v.Write("Dst", k.Dst, 2, kernel.Product(positions, in, out))
}

// ScratchBytes is zero.
func (k *WinogradWeights) ScratchBytes() int { return 0 }

// Source returns the weights that the step reads, and their format.
func (k *WinogradWeights) Source() (kernel.Ref, kernel.Format) { return k.W, kernel.I8 }

// Prepares returns the weights that the step writes.
func (k *WinogradWeights) Prepares() kernel.Ref { return k.Dst }

// Run transforms every pair of channels, if the tier in use reads the result.
func (k *WinogradWeights) Run(c *kernel.Context) {
	if k.ByTier && !simd.Active().IntWords {
		return
	}
	c.DoAll(kernel.OutBlocks(k.OC)*team.Split(k.IC, 16), k)
}

// Part transforms 16 input channels of one block of output channels.
func (k *WinogradWeights) Part(c *kernel.Context, i, worker int) {
	blocks := team.Split(k.IC, 16)
	ob, ib := i/blocks, i%blocks
	width := kernel.BlockWidth(k.OC, ob)
	w := kernel.View[int8](c, k.W)[ob*32*blocks*16*9+ib*16*9*width:][:16*9*width]
	dst := kernel.View[int16](c, k.Dst)
	pitch := k.Dst.Len / positions
	simd.IntTransformWeights(w, dst[ob*32*blocks*16+ib*16*width:], width, pitch)
}
