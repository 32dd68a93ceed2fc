package runtime

import "time"

// PeakGFLOPS measures the multiply-add peak of one core in the tier in use:
// the best of a few short runs on registers alone. It is 0 where the tier has
// no such measurement.
func PeakGFLOPS() float64 {
	if !useAVX512 {
		return 0
	}
	const rounds, perRound = 1_000_000, 24 * 16 * 2
	best := 0.0
	for range 10 {
		start := time.Now()
		peakAVX512(rounds)
		best = max(best, rounds*perRound/float64(time.Since(start).Nanoseconds()))
	}
	return best
}
