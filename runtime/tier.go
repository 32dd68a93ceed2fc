package runtime

import (
	"slices"

	"modelc/runtime/internal/simd"
)

// Tier returns the name of the tier in use, the instruction set of the kernels:
// "generic", "neon", "neondot", "avx2", "avxvnni", "avx512", "avx512vnni" or "avx512bf16".
func Tier() string { return simd.Active().Name }

// Tiers returns the names of the tiers that can run on this machine, the best last.
func Tiers() []string {
	var names []string
	for _, t := range simd.Available() {
		names = append(names, t.Name)
	}
	return names
}

// FasterTiers describes the tiers that are faster than the best of this machine, for
// people: "avx512 needs AVX-512 F, DQ, BW and VL". If this machine has only the
// kernels in Go, these are the tiers of all architectures.
func FasterTiers() []string {
	available := simd.Available()
	best := available[len(available)-1]
	var list []string
	for _, t := range simd.All[slices.Index(simd.All, best)+1:] {
		if t.Arch == best.Arch || best.Arch == "" {
			list = append(list, t.Name+" needs "+t.Needs)
		}
	}
	return list
}

// PeakGFLOPS measures the peak rate of multiply-adds of one core in the tier in
// use, in GFLOP/s. It returns 0 if the tier has no such measurement.
func PeakGFLOPS() float64 { return simd.PeakGFLOPS() }

// PairGFLOPS is [PeakGFLOPS] for products of bfloat16. It returns 0 if the tier in use has
// no instruction for them.
func PairGFLOPS() float64 { return simd.PairGFLOPS() }

// ByteRate returns the peak rate of multiply-adds of 8-bit integers in the tier in use,
// divided by that of floats.
func ByteRate() float64 { return simd.Active().ByteRate }

// WordRate is like ByteRate, for the products of 16-bit integers of Winograd's algorithm.
func WordRate() float64 {
	if t := simd.Active(); !t.IntWords {
		return t.ByteRate / 2
	}
	return ByteRate()
}
