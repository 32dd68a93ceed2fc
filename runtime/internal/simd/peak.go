package simd

import "time"

// PeakGFLOPS measures the peak rate of multiply-adds of one core in the tier in
// use, in GFLOP/s: the best of a few short runs on registers. It returns 0 if the
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
