package abi

import (
	"fmt"
	"slices"
	"strings"
)

// Tier is an instruction set that has kernels.
type Tier struct {
	Name   string // the name of the variable in package simd
	Arch   string // GOARCH
	Suffix string // the suffix of the names of its kernels
	Lesser string // the suffix of the tier whose kernels it uses where it has none, "" for none
}

// Tiers lists the tiers. Those of one architecture start with the best. A machine with a
// tier also has its Lesser.
var Tiers = []Tier{
	{"avx512bf16", "amd64", "AVX512BF16", "AVX512VNNI"},
	{"avx512vnni", "amd64", "AVX512VNNI", "AVX512"},
	{"avx512", "amd64", "AVX512", "AVX2"},
	{"avxvnni", "amd64", "AVXVNNI", "AVX2"},
	{"avx2", "amd64", "AVX2", ""},
	{"neondot", "arm64", "NEONDOT", "NEON"},
	{"neon", "arm64", "NEON", ""},
}

// KernelOf returns the suffix of the tier whose kernel k the tier with the given suffix
// uses, or "" if there is none.
func KernelOf(k Kernel, suffix string) string {
	for suffix != "" && !k.Has(suffix) {
		i := slices.IndexFunc(Tiers, func(t Tier) bool { return t.Suffix == suffix })
		suffix = Tiers[i].Lesser
	}
	return suffix
}

// Kernel is a function in assembly. Its name in assembly is Name and the suffix
// of a tier; its dispatcher in package simd has the same name, exported.
type Kernel struct {
	Name string
	Args string // the parameters in Go
	Doc  string // the documentation, as the rest of a sentence that starts with the name
	On   string // the suffixes of the tiers that have it
}

const (
	all     = "AVX512 AVX2 NEON"
	x86     = "AVX512 AVX2"
	narrow  = "AVX2" // kernels with registers of eight floats, which AVX-512 machines use too
	wide    = "AVX512"
	tile    = "a *Tile"
	row     = "x *float32, n int"
	rowWith = "x *float32, n int, alpha float32"

	// Kernels on bytes and on 16-bit integers.
	integer  = "AVX512VNNI AVXVNNI AVX2 NEONDOT NEON"
	dots     = "AVX512VNNI AVXVNNI NEONDOT NEON"
	products = "AVX512VNNI AVXVNNI AVX2 NEON"
	intTile  = "a *IntTile"

	pairs = "AVX512BF16 AVX512 AVX2 NEON" // kernels on pairs of bfloat16

	othersZero = " The other channels of a pixel become zero, unless pixels are 8 floats apart."
)

// Kernels lists the kernels.
var Kernels = append([]Kernel{
	{"tile32", tile, "computes a.Pixels pixels by 32 output channels, 16 input channels per step.", all},
	{"tile16", tile, "computes a.Pixels pixels by 16 output channels, 16 input channels per step.", all},
	{"tile24", tile, "is tile32 whose last 8 output channels do not exist: their weights and bias are zero.", wide},
	{"run32", tile, "computes a.Pixels pixels by 32 output channels, a.Run input values per step.", all},
	{"run16", tile, "computes a.Pixels pixels by 16 output channels, a.Run input values per step.", all},
	{"run8", tile, "computes a.Pixels pixels by the first 8 of 16 output channels, a.Run input values per step." + othersZero, narrow},
	{"double32", tile + ", out *float32, step int", "accumulates a.Pixels pixels by 32 output channels in float64, step input values per step, and writes the sums to out.", wide},
	{"double16", tile + ", out *float32, step int", "accumulates a.Pixels pixels by 16 output channels in float64, step input values per step, and writes the sums to out.", wide},
	{"depthwise", tile, "computes a.Pixels pixels of one block of 16 channels, one filter per channel.", all},
	{"depthwise3", tile, "is depthwise of a.Lines lines for a.Rows = a.Cols = 3, a.ColStride = 64, a.Pix of 64 or 128 and no a.Res.", x86},
	{"poolMax", tile, "computes the maximum of a.Bias and the window of each of a.Pixels pixels of one block.", all},
	{"poolSum", tile, "computes the sum of a.Bias and the window of each of a.Pixels pixels of one block.", all},
	{"poolMax8", tile, "computes the maximum of a.Bias and the window of each of a.Pixels pixels of 8 channels." + othersZero, narrow},
	{"poolSum8", tile, "computes the sum of a.Bias and the window of each of a.Pixels pixels of 8 channels." + othersZero, narrow},
	{"planes", tile, "computes a.Lines lines of a.Blocks times 16 pixels and a.Pixels planes of output channels from one plane of input.", narrow},
	{"poolMaxPlanes", tile, "computes a.Lines lines of the maxima of 2×2 pixels of a.Pixels planes, a.Cols of each line, at least 8. Pixels of the result have 16 channels.", narrow},
	{"poolSumPlanes", tile, "is poolMaxPlanes for sums, multiplied by the float at a.W.", narrow},
	{"rowsIn", tile, "transforms six rows of a.Cols pixels of 16 channels to those of F(2,5), of 8 channels, a.OutBlock bytes apart.", narrow},
	{"rowsOut", tile, "transforms six rows of a.Cols products of F(2,5), a.BlockStride bytes apart, to two rows of pixels of 16 channels, a.OutLine bytes apart, between a.Lo and a.Hi.", narrow},
	{"pair32", tile, "is tile32 for input values and weights that are pairs of bfloat16.", pairs},
	{"pair16", tile, "is tile16 for input values and weights that are pairs of bfloat16.", pairs},
	{"pairRun32", tile, "is run32 for input values and weights that are pairs of bfloat16.", pairs},
	{"pairRun16", tile, "is run16 for input values and weights that are pairs of bfloat16.", pairs},
	{"pairMax", tile, "writes the maximum of the windows of each of a.Pixels pixels of pairs of bfloat16.", "AVX512BF16"},
	{"pairDepthwise", tile, "is depthwise for pixels of pairs of bfloat16, with results like those of simd.Tile.RoundLine. The weights and the bias of the upper halves are a.BlockStride bytes behind, and 16 floats behind, those of the lower ones.", "AVX512BF16"},
	{"pairPeak", "n int", "runs n rounds of independent multiply-adds of pairs of bfloat16 on registers.", "AVX512BF16"},
	{"roundPairs", "dst *uint32, lower, upper *float32, n int, residual *uint32, lo, hi float32", "writes n pixels of 16 pairs of bfloat16, clamp(lower + residual) and clamp(upper + residual). residual may be nil.", pairs},
	{"roundRow", "dst *uint16, src *float32, n int", "rounds n times 32 floats to bfloat16.", "AVX512BF16"},
	{"affinePairs", "dst, src *uint32, n int, scale, shift *float32, lo, hi float32", "computes dst = min(max(src·scale+shift, lo), hi) of n pixels of 16 pairs of bfloat16. scale and shift have 32 floats, those of the lower halves first.", "AVX512BF16"},
	{"widenPixels", "lower, upper *float32, src *uint32, n int", "writes the lower and the upper halves of n pixels of 16 pairs of bfloat16.", all},
	{"foldPixels", "pixels *uint32, n int", "copies the lower halves of the last 8 of 16 pairs of bfloat16 to the upper halves of the first 8, for n pixels.", narrow},
	{"pairTilesIn", "in, out *uint32, rowStride, posStride, n int", "is winogradIn2 for pixels and positions of 16 pairs of bfloat16.", "AVX512BF16"},
	{"pairTilesOut", "in *float32, half, posStride int, out *uint32, row int, residual *uint32, residualRow, n int, lo, hi float32",
		"transforms n tiles of 4×4 positions to 2×2 pixels of 16 pairs of bfloat16, clamp(sums + residual). Positions of the upper halves are half bytes behind those of the lower ones. residual may be nil.", "AVX512BF16"},
	{"pairTilesPool", "in *float32, half, posStride int, out *uint32, n int, lo, hi float32", "is pairTilesOut for the maximum of each tile as its only pixel.", "AVX512BF16"},
	{"pairRows", "sums, x *float32, w *uint32, n int", "adds x[i]·w[i] of n rows, a multiple of 4, of 16 pairs of bfloat16 to the 32 sums, those of the lower halves first.", all},
	{"peak", "n int", "runs n rounds of independent multiply-adds on registers.", all},

	{"affine", "dst, src *float32, n int, scale, shift *float32, lo, hi float32", "computes dst = min(max(src·scale+shift, lo), hi) over n pixels of 16 channels.", all},
	{"addRow", "dst, a, b *float32, n, bStep int, lo, hi float32", "computes dst = clamp(a + b) over n pixels; b moves by bStep bytes.", all},
	{"mulRow", "dst, a, b *float32, n, bStep int, lo, hi float32", "computes dst = clamp(a · b) over n pixels; b moves by bStep bytes.", all},
	{"strassen", "s *float32, stride int, a11, a12, a21, a22 *float32, n int", "writes S1 = a21+a22, S2 = S1−a11, S3 = a11−a21 and S4 = a12−S2 of n pixels to s, stride bytes apart. See kernel.Strassen.", all},
	{"interleave3", "dst, a, b, c *float32, n int", "writes a[0], b[0], c[0], a[1], … to dst, for n vectors of 16 floats of each source.", all},
	{"tanh", row, "replaces n vectors of 16 floats by their hyperbolic tangents.", all},
	{"sigmoid", row, "replaces n vectors of 16 floats by 1/(1+exp(−x)).", all},
	{"exp", row, "replaces n vectors of 16 floats by their exponentials.", all},
	{"hardSwish", row, "replaces n vectors of 16 floats by x·min(max(x/6+1/2, 0), 1).", all},
	{"gelu", row, "replaces n vectors of 16 floats by x/2·(1+erf(x/√2)).", all},
	{"leakyRelu", rowWith, "replaces n vectors of 16 floats by max(x, 0)+alpha·min(x, 0).", all},
	{"silu", rowWith, "replaces n vectors of 16 floats by x/(1+exp(−alpha·x)).", all},
	{"normalize", "dst, src *float32, pixels, blocks, dstBlock, srcBlock int, scale, shift *float32, inverse, epsilon float32",
		"computes dst = (src−mean)/√(variance+epsilon)·scale+shift over the channels of each pixel. Blocks of 16 channels are dstBlock and srcBlock bytes apart. inverse is 1 divided by the number of channels.", narrow},
	{"gatherLanes", "dst *float32, pixels int, groups *LaneGroup, n int, keep bool", "writes eight lanes of pixels, taken from n groups of eight lanes. Lanes without a source become zero, or keep their values if keep is set.", narrow},
	{"transpose", "dst, src *float32, dstRow, srcRow, dstStep, srcStep, n int", "transposes n squares of 8×8 floats. Rows of a square and the squares are dstRow, srcRow, dstStep and srcStep bytes apart.", narrow},
	{"quantizeRow", "dst *byte, src *float32, n int, scale float32, zero int32", "computes dst = saturate(round(src/scale)+zero) of n vectors of 16 floats.", all},
	{"quantizePixels", "dst *byte, src *float32, plane, channels, n int, scale float32, zero int32", "is quantizeRow for n groups of 16 pixels of at most 4 channels. Channels of src are plane bytes apart. Pixels of dst have 4 bytes.", all},
	{"dequantizeRow", "dst *float32, src *byte, n int, scale float32, zero int32", "computes dst = scale·(src−zero) of n vectors of 16 bytes.", all},
	{"rangeRow", "bounds, x *float32, n int", "lowers bounds[0] and raises bounds[1] to the bounds of n vectors of 16 floats. With NaN both become NaN.", "AVX2 NEON"},
	{"addBytes", "dst, a, b *byte, n, bStep int, p *ByteBinary", "computes the sums of n pixels of 16 bytes; b moves by bStep bytes. See kernel integer.Binary.", all},
	{"mulBytes", "dst, a, b *byte, n, bStep int, p *ByteBinary", "computes the products of n pixels of 16 bytes; b moves by bStep bytes. See kernel integer.Binary.", all},
	{"maxBytes", "dst, src *byte, n, pix, rows, rowStride, cols, colStride int", "writes the maxima of n windows of rows×cols pixels of 16 bytes. Windows are pix bytes apart.", "AVX2 NEON"},
	{"lookupBytes", "dst, src *byte, n int, table *byte", "replaces each byte of n vectors of 64 bytes by that of a table of 256 bytes.", x86},
	{"averageBytes", "dst, src *byte, n, pix, rows, rowStride, cols, colStride int, p *ByteAverage", "writes the averages of n windows of rows×cols pixels of 16 bytes. Windows are pix bytes apart.", "AVX2 NEON"},
	{"affineBytes", "dst, src *byte, n int, scale, shift *float32, p *ByteAffine", "computes arithmetic on floats between bytes for n pixels of 16 channels. See kernel integer.Affine.", all},
	{"softmax", "dst, src *float32, n, rows int", "computes exp(x−max)/Σ exp(x−max) of rows of n floats.", narrow},

	{"intBlock32", intTile, "computes a.Pixels pixels by 32 output channels, 16 input channels per step.", integer},
	{"intBlock16", intTile, "computes a.Pixels pixels by 16 output channels, 16 input channels per step.", integer},
	{"intPixel32", intTile, "computes a.Pixels pixels by 32 output channels, 4 input channels per step.", dots},
	{"intPixel16", intTile, "computes a.Pixels pixels by 16 output channels, 4 input channels per step.", dots},
	{"intProduct32", intTile, "computes the sums of a.Pixels pixels by 32 output channels, 16 words per step.", products},
	{"intProduct16", intTile, "computes the sums of a.Pixels pixels by 16 output channels, 16 words per step.", products},
	{"intPair32", intTile, "computes a.Pixels pixels by 32 output channels, 2 words per step.", "AVX2"},
	{"intPair16", intTile, "computes a.Pixels pixels by 16 output channels, 2 words per step.", "AVX2"},
	{"intDepthwiseRow", "a *IntDepthwise", "computes a.Pixels pixels of 16 channels, one filter per channel.", "AVX512VNNI AVX2 NEON"},
	{"intDepthwise3", "a *IntDepthwise", "computes a.Rows rows of a.Pixels pixels, at least four, with 3×3 adjacent taps, strides of one or two pixels and bytes as results.", "AVX512VNNI AVX2"},
	{"intWidenTaps3", "dst *int16, w *int8", "writes the weights s8 [3][16][4] of 3×3 taps as those of intDepthwise3: s16 [2][3][2][8][2].", "AVX2"},
	{"intFloatRow", "x *float32, n int, multiplier, shift *float32, lo, hi float32", "replaces n pixels of 16 sums by float32(sum)·multiplier+shift between lo and hi.", all},
	{"intWidenRow", "dst *int16, src *uint8, n int", "writes n times 16 bytes as words.", "AVX2"},
	{"intWidenPixelsOf3", "dst *int16, src *uint8, n int", "writes n times four pixels of 4 bytes as pixels of 3 words, and two words of any value behind them.", "AVX2"},
	{"intWidenWeightRows", "dst *int16, src *int8, n, width int", "writes n rows of weights s8 [width][4] as s16 [2][width][2]. width is 16 or 32.", "AVX2"},
	{"intTilesIn", "in *uint8, out *int16, row, pos, n int, scratch *int16", "transforms n tiles of 6×6 pixels, 4 pixels apart, to positions pos bytes apart. scratch has 6·(4n+2)·16 words.", all},
	{"intFilters", "w *int8, dst *int16, width, pos int", "transforms the 3×3 filters s8 [9][4][width][4] of 16 input channels to positions s16 [8][width][2], pos bytes apart. width is 16 or 32.", "AVX2 NEON"},
	{"intTilesOut", "a *IntTransformOut", "transforms a.Tiles tiles of 6×6 positions to 4×4 pixels.", all},
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
				"transforms the filters of n input channels and row/4 output channels in w to dst. Taps of w are 16·row bytes apart, positions of dst posStride bytes, and input channels row bytes in both. matrix is G.", x86})
	}
	return list
}

// Lookup returns the kernel with the given name for the tier with the given suffix. It
// panics if the table has none: a generator must write the kernels of the table only.
func Lookup(name, suffix string) Kernel {
	for _, k := range Kernels {
		if k.Name == name && k.Has(suffix) {
			return k
		}
	}
	panic(fmt.Sprintf("abi: no kernel %s%s in the table", name, suffix))
}

// Has reports whether the tier with the given suffix has the kernel.
func (k Kernel) Has(suffix string) bool {
	for s := range strings.FieldsSeq(k.On) {
		if s == suffix {
			return true
		}
	}
	return false
}
