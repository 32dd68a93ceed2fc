package integer

import (
	"modelc/runtime/internal/simd"
	"modelc/runtime/kernel"
)

// ConvByTier is a 3×3 convolution with stride 1 by one of two algorithms, which give the
// same results. Without dot products of bytes, tiers multiply words in both, and Winograd
// has a quarter of the multiplications. With them, its words take twice as long as bytes
// and its weights are eight times as large, so that direct convolution is faster on few
// pixels.
type ConvByTier struct {
	Bytes Conv     // for tiers that multiply bytes
	Words Winograd // for the others; its weights are prepared on these tiers only
}

// Check declares the memory of both algorithms.
func (k *ConvByTier) Check(v *kernel.Verifier) {
	k.Bytes.Check(v)
	k.Words.Check(v)
}

// ScratchBytes is the larger size of the two algorithms, on all tiers.
func (k *ConvByTier) ScratchBytes() int { return max(k.Bytes.ScratchBytes(), k.Words.ScratchBytes()) }

// Run computes the convolution.
func (k *ConvByTier) Run(c *kernel.Context) {
	if simd.Active().IntWords {
		k.Words.Run(c)
		return
	}
	k.Bytes.Run(c)
}

// Uses lists the micro-kernels that the convolution calls.
func (k *ConvByTier) Uses(t *simd.Tier, use func(micro string, pixels int)) {
	if t.IntWords {
		k.Words.Uses(t, use)
		return
	}
	k.Bytes.Uses(t, use)
}
