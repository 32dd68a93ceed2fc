//go:build !purego

package simd

import (
	"encoding/binary"
	"os"
	"runtime"
)

// Available returns the tiers of this machine, the best last. Every arm64 CPU has
// NEON.
func Available() []*Tier {
	tiers := []*Tier{&generic, &neon}
	if hasDotProducts() {
		tiers = append(tiers, &neondot)
	}
	return tiers
}

// hasDotProducts reports whether the CPU has SDOT. All of Apple have it. Linux tells it in
// the auxiliary vector (getauxval(3)); other systems are not asked.
func hasDotProducts() bool {
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return true
	}
	const hwcap, asimddp = 16, 1 << 20
	auxv, err := os.ReadFile("/proc/self/auxv")
	if err != nil {
		return false
	}
	for ; len(auxv) >= 16; auxv = auxv[16:] {
		if binary.LittleEndian.Uint64(auxv) == hwcap {
			return binary.LittleEndian.Uint64(auxv[8:])&asimddp != 0
		}
	}
	return false
}
