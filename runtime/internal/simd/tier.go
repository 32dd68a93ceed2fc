// Package simd holds the micro-kernels: loops over registers, in assembly for
// each tier and in Go as their specification.
//
// A tier is an instruction set that has kernels. Dispatchers (zdispatch_*.go) call
// the kernel of the tier in use and report whether it exists. If it does not, the
// function in Go does the work. Dispatchers are generated from the table in
// internal/kernelgen/abi.
package simd

import (
	"os"
	"slices"
)

// Tier describes an instruction set and the register tiles of its kernels.
type Tier struct {
	Name  string
	Arch  string // GOARCH, "" for all
	Needs string // the features of the CPU that it needs, for people
	Lanes int    // the number of float32 in a vector
	// TilePixels is the maximum number of pixels of a tile of 16 or 32 output
	// channels.
	TilePixels int
	// ChannelPixels is that maximum for kernels that compute each channel alone.
	ChannelPixels int
	// NarrowPixels is that maximum for kernels of 8 channels, 0 if there are none.
	NarrowPixels int
	// NeighbourPixels is that maximum for the depthwise kernel of 3×3 neighbouring taps,
	// 0 if there is none.
	NeighbourPixels int
	// IntPixels is that maximum for kernels on integers.
	IntPixels int
	// IntWords reports whether these kernels read words of 16 bits instead of bytes.
	IntWords bool
	// IntOffset is subtracted from bytes by these kernels, so that they have a sign.
	IntOffset uint8
	// IntSums reports whether these kernels add a residual.
	IntSums bool
	// MACs is the number of multiply-adds in a tile that take as long as one
	// operation on one float outside tiles.
	MACs int
	// ByteRate is the peak rate of multiply-adds of bytes, divided by that of floats.
	ByteRate float64
	// Pairs reports whether products of pairs of bfloat16 are twice as fast as those of
	// floats.
	Pairs bool
	// Accumulators is the number of vectors that a round of the peak measurement
	// multiplies and adds.
	Accumulators int
}

// MaxTilePixels is the maximum of TilePixels over all tiers.
const MaxTilePixels = 14

// The tiers. The kernels of a tier are listed in internal/kernelgen/abi.
var (
	// generic is pure Go.
	generic = Tier{Name: "generic", Lanes: 1, TilePixels: 14, ChannelPixels: 14, IntPixels: 14, IntSums: true, MACs: 1, ByteRate: 1}
	// neon has the 128-bit vectors of arm64.
	neon = Tier{Name: "neon", Arch: "arm64", Needs: "arm64", Lanes: 4, TilePixels: 6, ChannelPixels: 6, IntPixels: 5, MACs: 4, ByteRate: 1, Accumulators: 24}
	// neondot also has the dot products of bytes of Armv8.4.
	neondot = Tier{Name: "neondot", Arch: "arm64", Needs: "arm64 with dot products (Armv8.2 and later)", Lanes: 4, TilePixels: 6, ChannelPixels: 6, IntPixels: 6, IntOffset: 128, MACs: 4, ByteRate: 4, Accumulators: 24}
	// avx2 has 256-bit vectors and FMA.
	avx2 = Tier{Name: "avx2", Arch: "amd64", Needs: "AVX2 and FMA", Lanes: 8, TilePixels: 6, ChannelPixels: 7, NarrowPixels: 14, NeighbourPixels: 12, IntPixels: 6, IntWords: true, MACs: 8, ByteRate: 1.6, Accumulators: 12}
	// avxvnni also has dot products of bytes.
	avxvnni = Tier{Name: "avxvnni", Arch: "amd64", Needs: "AVX-VNNI, AVX2 and FMA", Lanes: 8, TilePixels: 6, ChannelPixels: 7, NarrowPixels: 14, NeighbourPixels: 12, IntPixels: 6, MACs: 8, ByteRate: 4, Accumulators: 12}
	// avx512 has 512-bit vectors.
	avx512 = Tier{Name: "avx512", Arch: "amd64", Needs: "AVX-512 F, DQ, BW and VL", Lanes: 16, TilePixels: 14, ChannelPixels: 14, NarrowPixels: 14, NeighbourPixels: 14, IntPixels: 6, IntWords: true, MACs: 16, ByteRate: 1.6, Accumulators: 24}
	// avx512vnni also has dot products of bytes.
	avx512vnni = Tier{Name: "avx512vnni", Arch: "amd64", Needs: "AVX-512 F, DQ, BW, VL and VNNI", Lanes: 16, TilePixels: 14, ChannelPixels: 14, NarrowPixels: 14, NeighbourPixels: 14, IntPixels: 14, IntSums: true, MACs: 16, ByteRate: 4, Accumulators: 24}
	// avx512bf16 also has products of pairs of bfloat16.
	avx512bf16 = Tier{Name: "avx512bf16", Arch: "amd64", Needs: "AVX-512 F, DQ, BW, VL, VNNI and BF16", Lanes: 16, TilePixels: 14, ChannelPixels: 14, NarrowPixels: 14, NeighbourPixels: 14, IntPixels: 14, IntSums: true, MACs: 16, ByteRate: 4, Pairs: true, Accumulators: 24}
)

// All lists the tiers of all machines. Of those of one architecture, later
// ones are faster.
var All = []*Tier{&generic, &neon, &neondot, &avx2, &avxvnni, &avx512, &avx512vnni, &avx512bf16}

// active is the tier in use.
var active = choose(os.Getenv("MODELC_CPU"), Available())

// choose returns the tier named wanted, or the last of tiers if none has that name.
func choose(wanted string, tiers []*Tier) *Tier {
	if i := slices.IndexFunc(tiers, func(t *Tier) bool { return t.Name == wanted }); i >= 0 {
		return tiers[i]
	}
	return tiers[len(tiers)-1]
}

// Active returns the tier in use.
func Active() *Tier { return active }

// Use makes t the tier in use. Only tests call it. No kernel may run at that time.
func Use(t *Tier) { active = t }
