// Package simd holds the micro-kernels: loops over registers, in assembly for
// each tier and in Go as their specification.
//
// A tier is an instruction set that kernels are written for. Dispatchers
// (zdispatch_*.go) call the kernel of the tier in use. They are generated from
// the table in internal/kernelgen/abi, and report whether there is such a
// kernel: where there is none, the function in Go does the work.
package simd

// Tier describes an instruction set and the register tiles of its kernels.
type Tier struct {
	Name  string
	Lanes int // floats of a vector
	// TilePixels is the maximum number of pixels of a tile of 16 or 32 output
	// channels.
	TilePixels int
	// ChannelPixels is the same for kernels that compute each channel alone.
	ChannelPixels int
	// NarrowPixels is the same for kernels of 8 channels, 0 without such kernels.
	NarrowPixels int
	// NeighbourPixels is the same for the depthwise kernel of three neighbouring
	// taps, 0 where the general one is as fast.
	NeighbourPixels int
	// MACs is the number of multiply-adds that take as long as one operation on
	// one float outside the tiles.
	MACs int
	// Accumulators is the number of vectors that a round of the peak measurement
	// multiplies and adds.
	Accumulators int
}

// MaxTilePixels is the maximum of TilePixels over all tiers.
const MaxTilePixels = 14

// The tiers. The kernels of a tier are listed in internal/kernelgen/abi.
var (
	// generic is pure Go.
	generic = Tier{Name: "generic", Lanes: 1, TilePixels: 14, ChannelPixels: 14, MACs: 1}
	// neon has the 128-bit vectors of arm64.
	neon = Tier{Name: "neon", Lanes: 4, TilePixels: 6, ChannelPixels: 6, MACs: 4, Accumulators: 24}
	// avx2 has 256-bit vectors and FMA.
	avx2 = Tier{Name: "avx2", Lanes: 8, TilePixels: 6, ChannelPixels: 7, NarrowPixels: 14, NeighbourPixels: 12, MACs: 8, Accumulators: 12}
	// avx512 has 512-bit vectors: AVX-512 F, DQ, BW and VL.
	avx512 = Tier{Name: "avx512", Lanes: 16, TilePixels: 14, ChannelPixels: 14, NarrowPixels: 14, MACs: 16, Accumulators: 24}
)

// All lists the tiers of all machines.
var All = []*Tier{&generic, &neon, &avx2, &avx512}
