package simd

import (
	"os"
	"slices"
)

// active is the tier in use.
var active = choose(os.Getenv("MODELC_CPU"), Available())

// choose returns the tier named wanted if it is among tiers, otherwise the last
// of them.
func choose(wanted string, tiers []*Tier) *Tier {
	if i := slices.IndexFunc(tiers, func(t *Tier) bool { return t.Name == wanted }); i >= 0 {
		return tiers[i]
	}
	return tiers[len(tiers)-1]
}

// Active returns the tier in use.
func Active() *Tier { return active }

// Use makes t the tier in use. Only tests call it, while no kernel runs.
func Use(t *Tier) { active = t }
