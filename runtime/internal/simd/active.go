package simd

import (
	"os"
	"slices"
)

// active is the tier in use.
var active = choose(os.Getenv("MODELC_CPU"), Available())

// choose returns the tier named wanted, or the last of tiers if none has that name.
func choose(wanted string, tiers []*Tier) *Tier {
	if i := slices.IndexFunc(tiers, func(t *Tier) bool { return t.Name == wanted }); i >= 0 {
		return tiers[i]
	}
	return tiers[len(tiers)-1]
}

// Active returns the tier in use.
func Active() *Tier { return active }

// Use makes t the tier in use. Only tests call it. No kernel may run at that time.
func Use(t *Tier) { active = t }
