package runtime

import "modelc/runtime/internal/simd"

// Tier names the instruction set that the kernels use: "generic", "neon", "avx2"
// or "avx512".
func Tier() string { return simd.Active().Name }

// Tiers names the instruction sets that this machine has kernels for, the best
// last.
func Tiers() []string {
	var names []string
	for _, t := range simd.Available() {
		names = append(names, t.Name)
	}
	return names
}

// PeakGFLOPS measures the peak of multiply-adds of one core in the tier in use,
// in GFLOP/s. It is 0 where the tier has no such measurement.
func PeakGFLOPS() float64 { return simd.PeakGFLOPS() }
