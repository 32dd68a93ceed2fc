package runtime

import "math"

// Values that generated source cannot spell as literals.
var (
	Inf32 = float32(math.Inf(1))
	Inf64 = math.Inf(1)
	NaN32 = float32(math.NaN())
	NaN64 = math.NaN()
)

var inf32 = Inf32
