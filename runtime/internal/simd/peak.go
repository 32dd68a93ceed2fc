package simd

import "time"

// PeakGFLOPS measures the peak rate of multiply-adds of one core in the tier in
// use, in GFLOP/s: the best of many runs on registers, of a tenth of a millisecond
// each, between which other programs may use the core. It returns 0 if the tier has
// no such kernel.
func PeakGFLOPS() float64 {
	const rounds = 20_000
	best := 0.0
	for range 300 {
		start := time.Now()
		if !Peak(rounds) {
			return 0
		}
		best = max(best, float64(rounds*active.Lanes*active.Accumulators*2)/float64(time.Since(start).Nanoseconds()))
	}
	return best
}
