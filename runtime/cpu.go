package runtime

import (
	"os"
	"slices"
)

// tier is an instruction set that kernels are written for.
type tier uint8

const (
	generic tier = iota // pure Go
	neon                // arm64's 128-bit vectors
	avx2                // 256-bit vectors, with FMA
	avx512              // 512-bit vectors: F, DQ, BW, VL
)

var tierNames = [...]string{generic: "generic", neon: "neon", avx2: "avx2", avx512: "avx512"}

func (t tier) String() string { return tierNames[t] }

// active is the tier in use, decided once.
var active = choose(os.Getenv("MODELC_CPU"), available())

// choose returns the tier named wanted where this machine has it, otherwise
// the best one. tiers are the machine's, the best last.
func choose(wanted string, tiers []tier) tier {
	if i := slices.IndexFunc(tiers, func(t tier) bool { return t.String() == wanted }); i >= 0 {
		return tiers[i]
	}
	return tiers[len(tiers)-1]
}

// Tier names the instruction set that the kernels use: "generic", "neon",
// "avx2" or "avx512".
func Tier() string { return active.String() }

// Tiers names the instruction sets that this machine has kernels for, the best
// last.
func Tiers() []string {
	var names []string
	for _, t := range available() {
		names = append(names, t.String())
	}
	return names
}
