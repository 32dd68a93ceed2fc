package runtime

import "time"

// PeakGFLOPS measures the multiply-add peak of one core in the tier in use:
// the best of a few short runs on registers alone. It is 0 where the tier has
// no such measurement.
func PeakGFLOPS() float64 {
	var lanes, accumulators int // what a round multiplies and adds
	switch active {
	case generic:
		return 0
	case neon:
		lanes, accumulators = 4, 24
	case avx2:
		lanes, accumulators = 8, 12
	case avx512:
		lanes, accumulators = 16, 24
	}
	const rounds = 1_000_000
	best := 0.0
	for range 10 {
		start := time.Now()
		peakRounds(rounds)
		best = max(best, float64(rounds*lanes*accumulators*2)/float64(time.Since(start).Nanoseconds()))
	}
	return best
}
