package units

import "math"

// Ticks returns round values for an axis from 0 to most, which is positive: multiples of 1, 2
// or 5 times a power of ten, at most seven. decimals is the number of decimals that all of
// them need.
func Ticks(most float64) (ticks []float64, decimals int) {
	by := math.Pow(10, math.Floor(math.Log10(most)))
	for _, k := range []float64{.2, .5, 1, 2} {
		if most/(k*by) <= 6 {
			by *= k
			break
		}
	}
	for i := 0; float64(i)*by <= most*(1+1e-9); i++ {
		ticks = append(ticks, float64(i)*by)
	}
	return ticks, max(0, -int(math.Floor(math.Log10(by)+1e-9)))
}
