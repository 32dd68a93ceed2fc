package simd

import "testing"

func TestChoose(t *testing.T) {
	old, amd, arm := []*Tier{&generic}, []*Tier{&generic, &avx2, &avx512}, []*Tier{&generic, &neon}
	for _, c := range []struct {
		wanted string
		tiers  []*Tier
		want   *Tier
	}{
		{"", old, &generic}, {"", amd, &avx512}, {"", arm, &neon},
		{"avx512", amd, &avx512}, {"avx2", amd, &avx2}, {"generic", amd, &generic},
		{"neon", arm, &neon}, {"generic", arm, &generic},
		// Tiers that the machine lacks, and a tier that does not exist.
		{"avx512", []*Tier{&generic, &avx2}, &avx2}, {"neon", amd, &avx512}, {"avx2", arm, &neon}, {"avx2", old, &generic}, {"sse9", amd, &avx512},
	} {
		if got := choose(c.wanted, c.tiers); got != c.want {
			t.Errorf("%q of %d tiers chooses %s, want %s", c.wanted, len(c.tiers), got.Name, c.want.Name)
		}
	}
}
