package runtime

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

var demanded = flag.String("runtime.tier", "", "fail unless the kernels in use are those of this tier")

// A tier that the machine lacks is passed over in silence: who tests one in an
// emulator demands it.
func TestMain(m *testing.M) {
	flag.Parse()
	if *demanded != "" && Tier() != *demanded {
		fmt.Printf("FAIL: the tier is %s, not %s: this machine has %v\n", Tier(), *demanded, Tiers())
		os.Exit(1)
	}
	os.Exit(m.Run())
}

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
