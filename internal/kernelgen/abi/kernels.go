package abi

import (
	"fmt"
	"strings"
)

// Tier is an instruction set that kernels are written for.
type Tier struct {
	Name   string // of the variable in package simd
	Arch   string // GOARCH
	Suffix string // of its kernels' names
}

// Tiers lists the tiers. Those of one architecture are ordered from the best
// to the least, and a machine with one of them has all that follow.
var Tiers = []Tier{
	{"avx512", "amd64", "AVX512"},
	{"avx2", "amd64", "AVX2"},
	{"neon", "arm64", "NEON"},
}

// Kernel is a function in assembly. Its name in assembly is Name and the suffix
// of a tier; its dispatcher in package simd has the same name, exported.
type Kernel struct {
	Name string
	Args string // Go parameters
	Doc  string // continues a sentence that begins with the name
	On   string // suffixes of the tiers that have it
}

const (
	all     = "AVX512 AVX2 NEON"
	x86     = "AVX512 AVX2"
	narrow  = "AVX2" // registers of eight floats serve wider machines too
	wide    = "AVX512"
	tile    = "a *Tile"
	row     = "x *float32, n int"
	rowWith = "x *float32, n int, alpha float32"

	othersZero = " The other channels of a pixel become zero, except where pixels are 8 floats apart."
)

// Kernels lists the kernels.
var Kernels = append([]Kernel{
	{"tile32", tile, "computes a.Pixels pixels by 32 output channels, 16 input channels a step.", all},
	{"tile16", tile, "computes a.Pixels pixels by 16 output channels, 16 input channels a step.", all},
	{"run32", tile, "computes a.Pixels pixels by 32 output channels, a.Run input values a step.", all},
	{"run16", tile, "computes a.Pixels pixels by 16 output channels, a.Run input values a step.", all},
	{"run8", tile, "computes a.Pixels pixels by the first 8 of 16 output channels, a.Run input values a step." + othersZero, narrow},
	{"double32", tile + ", out *float32, step int", "writes the sums, in float64, of a.Pixels pixels by 32 output channels to out, step input values a step.", wide},
	{"double16", tile + ", out *float32, step int", "writes the sums, in float64, of a.Pixels pixels by 16 output channels to out, step input values a step.", wide},
	{"depthwise", tile, "computes a.Pixels pixels of one block of 16 channels, one filter per channel.", all},
	{"depthwise3", tile, "is depthwise for a.Cols = 3, a.Pix = a.ColStride = 64 and no a.Res.", narrow},
	{"poolMax", tile, "takes the maximum over the windows of a.Pixels pixels of one block; a.Bias is the start.", all},
	{"poolSum", tile, "sums the windows of a.Pixels pixels of one block onto a.Bias.", all},
	{"poolMax8", tile, "takes the maximum over the windows of a.Pixels pixels of 8 channels; a.Bias is the start." + othersZero, narrow},
	{"poolSum8", tile, "sums the windows of a.Pixels pixels of 8 channels onto a.Bias." + othersZero, narrow},
	{"peak", "n int", "runs n rounds of independent multiply-adds on registers.", all},

	{"affine", "dst, src *float32, n int, scale, shift *float32, lo, hi float32", "computes dst = min(max(src·scale+shift, lo), hi) over n pixels of 16 channels.", all},
	{"addRow", "dst, a, b *float32, n, bStep int, lo, hi float32", "computes dst = clamp(a + b) over n pixels; b moves by bStep bytes.", all},
	{"mulRow", "dst, a, b *float32, n, bStep int, lo, hi float32", "computes dst = clamp(a · b) over n pixels; b moves by bStep bytes.", all},
	{"strassen", "s *float32, stride int, a11, a12, a21, a22 *float32, n int", "writes a21+a22, S2 = S1−a11, a11−a21 and a12−S2 of n pixels, stride bytes apart, see kernel.Strassen.", all},
	{"interleave3", "dst, a, b, c *float32, n int", "writes a[0], b[0], c[0], a[1], … for n vectors of 16 floats of each.", all},
	{"tanh", row, "replaces n vectors of 16 floats by their hyperbolic tangents.", all},
	{"sigmoid", row, "replaces n vectors of 16 floats by 1/(1+exp(−x)).", all},
	{"exp", row, "replaces n vectors of 16 floats by their exponentials.", all},
	{"hardSwish", row, "replaces n vectors of 16 floats by x·min(max(x/6+1/2, 0), 1).", all},
	{"gelu", row, "replaces n vectors of 16 floats by x/2·(1+erf(x/√2)).", all},
	{"leakyRelu", rowWith, "replaces n vectors of 16 floats by max(x, 0)+alpha·min(x, 0).", all},
	{"silu", rowWith, "replaces n vectors of 16 floats by x/(1+exp(−alpha·x)).", all},
	{"normalize", "dst, src *float32, pixels, blocks, dstBlock, srcBlock int, scale, shift *float32, inverse, epsilon float32",
		"computes dst = (src−mean)/√(variance+epsilon)·scale+shift over the channels of each pixel, in blocks of 16 that lie dstBlock and srcBlock bytes apart. inverse is one by their number.", narrow},
	{"gatherLanes", "dst *float32, pixels int, groups *LaneGroup, n int, keep bool", "writes eight lanes of pixels, taken from n groups of eight lanes. Lanes without a source become zero, or keep their values.", narrow},
	{"transpose", "dst, src *float32, dstRow, srcRow, dstStep, srcStep, n int", "transposes n squares of 8×8 floats. Strides are in bytes: from row to row, and from square to square.", narrow},
	{"softmax", "dst, src *float32, n, rows int", "computes exp(x−max)/Σ exp(x−max) of rows of n floats.", narrow},
}, winograd()...)

// winograd lists the transforms of F(m×m,3×3).
func winograd() (list []Kernel) {
	for _, m := range []int{2, 4, 6} {
		list = append(list,
			Kernel{fmt.Sprintf("winogradIn%d", m), "in, out *float32, rowStride, posStride, n int",
				fmt.Sprintf("transforms n tiles of %d×%d pixels, %d pixels apart, to positions posStride bytes apart.", m+2, m+2, m), all},
			Kernel{fmt.Sprintf("winogradOut%d", m), "a *WinogradOut",
				fmt.Sprintf("transforms a.Tiles tiles of %d×%d positions to %d×%d pixels.", m+2, m+2, m, m), all},
			Kernel{fmt.Sprintf("winogradWeights%d", m), "w, dst *float32, matrix *float64, n, row, posStride int",
				"transforms the filters of n input channels, row/4 output channels each, from w, whose taps are 16 rows apart, to dst, whose positions are posStride and channels row bytes apart. matrix is G.", x86})
	}
	return list
}

// Lookup returns the kernel of that name for the tier with that suffix. It
// panics where the table has none: a generator must write what the table lists.
func Lookup(name, suffix string) Kernel {
	for _, k := range Kernels {
		if k.Name == name && k.Has(suffix) {
			return k
		}
	}
	panic(fmt.Sprintf("abi: no kernel %s%s in the table", name, suffix))
}

// Has reports whether the tier with that suffix has the kernel.
func (k Kernel) Has(suffix string) bool {
	for s := range strings.FieldsSeq(k.On) {
		if s == suffix {
			return true
		}
	}
	return false
}
