package kernel

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"modelc/runtime/internal/simd"
)

var demanded = flag.String("runtime.tier", "", "fail unless the kernels in use are those of this tier")

// Tests skip tiers that the machine lacks. With -runtime.tier, which runs in emulators
// use, they fail if the tier in use is another.
func TestMain(m *testing.M) {
	flag.Parse()
	if tier := simd.Active().Name; *demanded != "" && tier != *demanded {
		fmt.Printf("FAIL: the tier is %s, not %s\n", tier, *demanded)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
