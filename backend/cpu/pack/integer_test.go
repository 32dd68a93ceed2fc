package pack

import "testing"

// Every weight is the sum of its parts, and IntParts is the minimum number of them.
func TestIntParts(t *testing.T) {
	for w := int16(-256); w <= 255; w++ {
		n := IntParts([]int16{w})
		sum := 0
		for p := range n {
			sum += int(part(w, p))
		}
		if want := map[bool]int{true: 1}[w >= -128 && w <= 127]; sum != int(w) || want == 1 && n != 1 || n > 3 {
			t.Errorf("the %d parts of %d have the sum %d", n, w, sum)
		}
	}
}

// The bounds are those of the worst input, to the last unit.
func TestIntRanges(t *testing.T) {
	r := IntRanges([]int8{127, -128, 1, 0}, 2, 100)
	if want := (IntRange{-127*100 - 128*155, 127*155 + 128*100}); r[0] != want {
		t.Errorf("%v, want %v", r[0], want)
	}
	if want := (IntRange{-100, 155}); r[1] != want {
		t.Errorf("%v, want %v", r[1], want)
	}
	for _, c := range []struct {
		r                 IntRange
		multiplier        float32
		fits, quant, wino bool
	}{
		{IntRange{-1 << 31, 1<<31 - 1}, 0.5, true, true, false},
		{IntRange{-1 << 31, 0}, 1, true, false, false}, // rounding reaches 2³¹
		{IntRange{0, 1 << 31}, 0.1, false, false, false},
		{IntRange{-1<<31 - 1, 0}, 0.1, false, false, false},
		{IntRange{-1 << 25, 1<<25 - 1}, 1, true, true, true},
		{IntRange{0, 1 << 25}, 1, true, true, false},
		{IntRange{-1<<25 - 1, 0}, 1, true, true, false},
		{IntRange{0, 1 << 20}, 1 << 11, true, false, true},
	} {
		if f, q, w := c.r.FitsInt32(), c.r.Requantizes(c.multiplier), c.r.FitsWinograd(); f != c.fits || q != c.quant || w != c.wino {
			t.Errorf("%v · %g: %t, %t, %t", c.r, c.multiplier, f, q, w)
		}
	}
	if _, ok := IntBias([]int32{-1 << 31}, []int32{1}, 1); ok {
		t.Error("a bias that does not fit 32 bits is accepted")
	}
}
