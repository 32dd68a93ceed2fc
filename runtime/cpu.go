package runtime

import "os"

// The tier in use, decided once: the best that the CPU offers, or, where
// MODELC_CPU names one, the best at or below it.
var useAVX512 = tier(os.Getenv("MODELC_CPU"), hasAVX512())

func tier(wanted string, has bool) bool {
	switch wanted {
	case "generic", "avx2", "neon":
		return false
	}
	return has
}

// Tier names the instruction set that the kernels use.
func Tier() string {
	if useAVX512 {
		return "avx512"
	}
	return "generic"
}
