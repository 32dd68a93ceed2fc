package bfloat

import (
	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// Dense is a fully connected layer of float32 with weights in bfloat16:
//
//	Y[n,m] = Act(Σ_k X[n,k]·W[k,m] + Bias[m])
//
// With few rows, reading the weights takes most of its time.
type Dense struct {
	X kernel.Ref // f32 [N,K]
	Y kernel.Ref // f32 [N,M]
	// W is bfloat16 [ceil(M/32)][K padded to 16][16][2], where a pair has outputs m and 16+m.
	// If the last block has at most 16 outputs, it is [K padded to 16, divided by 2][16][2],
	// where a pair has an output of inputs k and k+1.
	W       kernel.Ref
	Bias    kernel.Ref // f32 [M padded to 16], absent for none
	N, K, M int
	Act     kernel.Act
}

// rowsOfWeights is the number of rows of weights that all rows of X use before the next.
// They stay in L2.
const rowsOfWeights = 2048

// depth returns K padded to whole blocks of 16.
func (k *Dense) depth() int { return (k.K + lanes - 1) &^ (lanes - 1) }

// Check declares the memory of the step.
func (k *Dense) Check(v *kernel.Verifier) {
	v.Positive("extents", k.N, k.K, k.M)
	if v.Failed() {
		return
	}
	v.Read("X", k.X, 4, kernel.Product(k.N, k.K))
	v.Write("Y", k.Y, 4, kernel.Product(k.N, k.M))
	weights(v, "W", k.W, false, kernel.Product(team.Split(k.M, lanes), k.depth(), lanes/2))
	channels(v, "Bias", k.Bias, k.M)
	v.Act(k.Act.Fn)
	v.Scratch(kernel.Product(k.depth(), 4) + kernel.Product(k.N, block, 4))
}

// ScratchBytes is the size of a padded row of X, and of the sums of a block of outputs.
func (k *Dense) ScratchBytes() int { return 4 * (k.depth() + k.N*block) }

// Run computes the layer.
func (k *Dense) Run(c *kernel.Context) {
	c.Do(k.pieces(c), k.N*k.K*k.M/simd.Active().MACs, k)
}

// pieces returns the number of ranges of output blocks.
func (k *Dense) pieces(c *kernel.Context) int {
	if c.Threads() == 1 {
		return 1
	}
	return min(kernel.OutBlocks(k.M), 4*c.Threads())
}

// Part computes a range of output blocks of all rows.
func (k *Dense) Part(c *kernel.Context, i, worker int) {
	blocks, pieces := kernel.OutBlocks(k.M), k.pieces(c)
	x, y, w, bias := c.F32(k.X), c.F32(k.Y), pairs(c, k.W), c.F32(k.Bias)
	scratch := floats(c.Scratch(worker))
	padded, sums := scratch[:k.depth()], scratch[k.depth():]
	for ob := team.Cut(blocks, pieces, i); ob < team.Cut(blocks, pieces, i+1); ob++ {
		cols := min(block, k.M-ob*block)
		for n := range k.N {
			s := sums[n*block:][:block]
			clear(s)
			if bias != nil {
				copy(s, bias[ob*block:min(len(bias), (ob+1)*block)])
			}
		}
		if kernel.BlockWidth(k.M, ob) == lanes {
			k.narrowBlock(x, y, w[ob*k.depth()*lanes:][:k.depth()/2*lanes], padded, sums)
			continue
		}
		of := w[ob*k.depth()*lanes:][:k.depth()*lanes]
		for from := 0; from < k.depth(); from += rowsOfWeights {
			to := min(k.depth(), from+rowsOfWeights)
			for n := range k.N {
				row := x[n*k.K:][:k.K]
				in := row[from:min(to, k.K)]
				if to > k.K {
					in = padded[:to-from]
					clear(in[copy(in, row[from:]):])
				}
				simd.AddRows((*[block]float32)(sums[n*block:]), in, of[from*lanes:])
			}
		}
		for n := range k.N {
			out := y[n*k.M+ob*block:][:cols]
			kernel.Apply(sums[n*block:][:block], k.Act)
			copy(out, sums[n*block:])
		}
	}
}

// narrowBlock computes the last block of outputs, of at most 16. sums holds their bias.
func (k *Dense) narrowBlock(x, y []float32, w []uint32, padded, sums []float32) {
	cols := k.M % block
	even, odd := padded[:len(padded)/2], padded[len(padded)/2:]
	for n := range k.N {
		clear(padded)
		for i, v := range x[n*k.K:][:k.K] {
			if i%2 == 0 {
				even[i/2] = v
			} else {
				odd[i/2] = v
			}
		}
		s := (*[block]float32)(sums[n*block:])
		simd.AddRows(s, even, w) // the sums of the lower halves
		out := y[n*k.M+k.M-cols:][:cols]
		copy(out, s[:])
		clear(s[:])
		simd.AddRows(s, odd, w)
		for o := range out {
			out[o] += s[lanes+o]
		}
		kernel.Apply(out, k.Act)
	}
}

// Uses lists no micro-kernel that a copy of the runtime may omit.
func (*Dense) Uses(*simd.Tier, func(micro string, pixels int)) {}
