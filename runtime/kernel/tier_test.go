package kernel

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"modelc/runtime/internal/simd"
)

var demanded = flag.String("runtime.tier", "", "fail unless the kernels in use are those of this tier")

// Tests leave out tiers that the machine lacks. A test run in an emulator demands
// the tier that it is there for.
func TestMain(m *testing.M) {
	flag.Parse()
	if tier := simd.Active().Name; *demanded != "" && tier != *demanded {
		fmt.Printf("FAIL: the tier is %s, not %s\n", tier, *demanded)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
