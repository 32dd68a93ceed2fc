package runtime

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The vector activations against float64, over magnitudes and at the edges.
func TestVectorActivations(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	x := []float32{0, float32(math.Copysign(0, -1)), Inf32, -Inf32, NaN32, 0.625, -0.625, 88, -88, 104, -104, 1e30, -1e30, 1e-30, 1e-8}
	for range 20000 {
		x = append(x, float32(r.NormFloat64()*math.Exp(r.NormFloat64()*3)))
	}
	tiers(t, func(t *testing.T) {
		for _, fn := range []Fn{ActTanh, ActSigmoid, ActRelu} {
			y := append([]float32(nil), x...)
			applyAct(y, Act{Fn: fn})
			for i, v := range x {
				want := evalFn(fn, float64(v), 0, 0)
				got := float64(y[i])
				if math.IsNaN(want) != math.IsNaN(got) {
					t.Fatalf("%d(%g) is %g, want %g", fn, v, got, want)
				}
				if math.Abs(got-want) > 4e-7*math.Abs(want)+1e-38 {
					t.Fatalf("%d(%g) is %g, want %g", fn, v, got, want)
				}
			}
		}
	})
}

// Pools and row kernels give the same on every tier.
func TestPoolTiers(t *testing.T) {
	defer func(best tier) { active = best }(active)
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 9))
		k := Pool{Kind: pick(r, PoolMax, PoolAvg), KH: 1 + r.IntN(4), KW: 1 + r.IntN(4), SH: 1 + r.IntN(3), SW: 1 + r.IntN(3), DH: pick(r, 1, 1, 2), DW: pick(r, 1, 1, 2), CountPad: r.IntN(2) == 0}
		h, w := 3+r.IntN(12), 3+r.IntN(30)
		k.PadTop, k.PadLeft, k.PadBottom, k.PadRight = r.IntN(k.KH), r.IntN(k.KW), r.IntN(k.KH), r.IntN(k.KW)
		oh := (h+k.PadTop+k.PadBottom-(k.KH-1)*k.DH-1)/k.SH + 1
		ow := (w+k.PadLeft+k.PadRight-(k.KW-1)*k.DW-1)/k.SW + 1
		if h+k.PadTop+k.PadBottom < (k.KH-1)*k.DH+1 || w+k.PadLeft+k.PadRight < (k.KW-1)*k.DW+1 || oh < 1 || ow < 1 {
			continue
		}
		m := &memory{}
		k.Src = m.image(r, 2, 19, h, w, 1, 0, 1, 2, 0, true)
		k.Dst = m.image(r, 2, 19, oh, ow, 0, 1, 0, 0, 1, false)
		if r.IntN(3) == 0 {
			k.Scale, k.Shift, k.Pre = m.put(padded16(random(r, 19))), m.put(padded16(random(r, 19))), Act{Fn: ActRelu}
		}
		var want []float32
		for _, active = range available() {
			m.run(t, &k)
			got := m.slice(k.Dst.Ref)
			if active == generic {
				want = append(want, got...)
			}
			for i, v := range want {
				if math.Abs(float64(v-got[i])) > 1e-6*(1+math.Abs(float64(v))) {
					t.Fatalf("seed %d: float %d is %g, on %s %g\n%+v", seed, i, v, active, got[i], k)
				}
			}
		}
	}
}
