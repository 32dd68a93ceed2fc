package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"modelc/backend/cpu/pack"
)

// TestStrassen compares Strassen's algorithm with sums in float64 on random
// shapes, strides, borders, prologues, residuals and regions.
func TestStrassen(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(60) {
			r := rand.New(rand.NewPCG(seed, 41))
			k := Strassen{SH: 1, SW: 1, Pixels: pick(r, 1, 9, 24, 100), Span: 2 * (1 + r.IntN(4)), Act: pick(r, someActs...)}
			if r.IntN(3) == 0 {
				k.SH, k.SW = pick(r, 1, 2), pick(r, 2, 3)
			}
			n, ic, oc := pick(r, 1, 1, 2), 32*(1+r.IntN(5)), 64*(1+r.IntN(3))
			oh, ow := 1+r.IntN(8), 1+r.IntN(16)
			h, w := (oh-1)*k.SH+1+r.IntN(k.SH), (ow-1)*k.SW+1+r.IntN(k.SW)
			border := func() int { return r.IntN(2) }
			if r.IntN(2) == 0 {
				border = func() int { return 0 }
			}
			m := &memory{}
			k.Src = m.image(r, n, ic, h, w, border(), border(), border(), border(), r.IntN(2), true)
			k.Dst = m.image(r, n, oc, oh, ow, border(), border(), border(), border(), r.IntN(2), false)
			weights, bias := random(r, oc*ic), make([]float32, oc)
			lw := StrassenWeights{IC: ic, OC: oc, Span: k.Span, W: m.put(pack.Conv(weights, oc, ic, 1, 1)), Dst: m.alloc(pack.StrassenLen(oc, ic))}
			m.run(t, &lw)
			k.W = lw.Dst
			if r.IntN(2) == 0 {
				bias = random(r, oc)
				k.Bias = m.put(bias)
			}
			var scale, shift []float32
			if r.IntN(3) == 0 {
				scale, shift = random(r, ic), random(r, ic)
				k.Scale, k.Shift, k.Pre = m.put(scale), m.put(shift), Act{Fn: ActRelu}
			}
			residual := r.IntN(2) == 0
			if residual {
				k.Residual = m.residual(r, &k.Dst)
			}
			before := m.clone()
			m.run(t, &k)
			for i := range n {
				for o := range oc {
					for y := range oh {
						for x := range ow {
							if spared(r) {
								continue
							}
							sum, size := float64(bias[o]), 1.0
							for c := range ic {
								v := m.at(&k.Src, i, c, y*k.SH, x*k.SW)
								if scale != nil {
									v = max(0, v*float64(scale[c])+float64(shift[c]))
								}
								p := v * float64(weights[o*ic+c])
								sum += p
								size += math.Abs(p)
							}
							if residual {
								sum += before.at(&k.Residual, i, o, y, x)
							}
							want := Eval(k.Act.Fn, sum, float64(k.Act.Alpha), float64(k.Act.Beta))
							if got := m.at(&k.Dst, i, o, y, x); math.Abs(got-want) > 1e-6*size || math.IsNaN(got) {
								t.Fatalf("seed %d: [%d,%d,%d,%d] is %g, want %g\n%+v", seed, i, o, y, x, got, want, k)
							}
						}
					}
				}
			}
			checkBorder(t, m, &k.Dst)
		}
	})
}

// BenchmarkStrassen measures layers of ResNet-50 and DenseNet-121. Compare it with
// BenchmarkConv and BenchmarkConvPrologue.
func BenchmarkStrassen(b *testing.B) {
	for _, l := range directLayers {
		if l.k == 1 && l.oc%64 == 0 && l.ic%32 == 0 {
			b.Run(l.String(), func(b *testing.B) { l.strassen(b, false) })
		}
	}
	for _, l := range prologueLayers {
		b.Run(fmt.Sprintf("%v_prologue", l), func(b *testing.B) { l.strassen(b, true) })
	}
}

func (l layer) strassen(tb *testing.B, prologue bool) {
	b := &bench{B: tb, flops: 2 * float64(l.oc*l.ic*l.hw*l.hw)}
	r := rand.New(rand.NewPCG(1, 1))
	in := l.hw * l.stride
	k := &Strassen{SH: l.stride, SW: l.stride, Pixels: 112, Span: min(32, l.ic/16), Act: Act{Fn: ActRelu}}
	k.Src = b.m.image(r, 1, l.ic, in, in, 0, 0, 0, 0, 0, true)
	k.Dst = b.m.image(r, 1, l.oc, l.hw, l.hw, 0, 0, 0, 0, 0, false)
	k.W = b.weights(pack.StrassenLen(l.oc, l.ic))
	if prologue {
		k.Scale, k.Shift, k.Pre = b.m.put(random(r, l.ic)), b.m.put(random(r, l.ic)), Act{Fn: ActRelu}
	}
	b.run(k)
}
