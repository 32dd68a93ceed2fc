package runtime

import (
	"slices"
	"testing"
)

func TestChoose(t *testing.T) {
	old, amd, arm := []tier{generic}, []tier{generic, avx2, avx512}, []tier{generic, neon}
	for _, c := range []struct {
		wanted string
		tiers  []tier
		want   tier
	}{
		{"", old, generic}, {"", amd, avx512}, {"", arm, neon},
		{"avx512", amd, avx512}, {"avx2", amd, avx2}, {"generic", amd, generic},
		{"neon", arm, neon}, {"generic", arm, generic},
		// What the machine lacks, and what does not exist.
		{"avx512", []tier{generic, avx2}, avx2}, {"neon", amd, avx512}, {"avx2", arm, neon}, {"avx2", old, generic}, {"sse9", amd, avx512},
	} {
		if got := choose(c.wanted, c.tiers); got != c.want {
			t.Errorf("%q of %v chooses %v, want %v", c.wanted, c.tiers, got, c.want)
		}
	}
}

// Each tier of the machine can be in use and is named as MODELC_CPU names it.
func TestAvailable(t *testing.T) {
	if available()[0] != generic {
		t.Fatalf("%v does not start with generic", available())
	}
	tiers(t, func(t *testing.T) {
		if !slices.Contains([]string{"generic", "neon", "avx2", "avx512"}, Tier()) {
			t.Errorf("tier %q", Tier())
		}
		if peak := PeakGFLOPS(); (peak > 0) == (active == generic) {
			t.Errorf("a peak of %g GFLOP/s", peak)
		}
	})
}
