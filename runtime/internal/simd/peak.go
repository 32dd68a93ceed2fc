package simd

import "time"

// PeakGFLOPS measures the peak of multiply-adds of one core in the tier in use,
// in GFLOP/s: the best of a few short runs on registers alone. It is 0 where the
// tier has no such kernel.
func PeakGFLOPS() float64 {
	const rounds = 1_000_000
	best := 0.0
	for range 10 {
		start := time.Now()
		if !Peak(rounds) {
			return 0
		}
		best = max(best, float64(rounds*active.Lanes*active.Accumulators*2)/float64(time.Since(start).Nanoseconds()))
	}
	return best
}
