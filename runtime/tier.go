package runtime

import "modelc/runtime/internal/simd"

// Tier returns the name of the tier in use, the instruction set of the kernels:
// "generic", "neon", "avx2" or "avx512".
func Tier() string { return simd.Active().Name }

// Tiers returns the names of the tiers that can run on this machine, the best last.
func Tiers() []string {
	var names []string
	for _, t := range simd.Available() {
		names = append(names, t.Name)
	}
	return names
}

// PeakGFLOPS measures the peak rate of multiply-adds of one core in the tier in
// use, in GFLOP/s. It returns 0 if the tier has no such measurement.
func PeakGFLOPS() float64 { return simd.PeakGFLOPS() }
