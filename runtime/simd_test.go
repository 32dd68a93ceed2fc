package runtime

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// Every micro-kernel for every number of pixels against its twin in Go, with
// all options of the epilogue, NaN in the input, and canaries around and, since
// pixels and blocks are apart, between what it writes.
func TestMicroKernels(t *testing.T) {
	kernels := []struct {
		name         string
		vector, twin func(a *tileArgs)
		width, step  int // output channels, input values a step (0: depthwise)
	}{
		{"tile32", func(a *tileArgs) { a.tile(32) }, func(a *tileArgs) { a.generic(32, 16) }, 32, 16},
		{"tile16", func(a *tileArgs) { a.tile(16) }, func(a *tileArgs) { a.generic(16, 16) }, 16, 16},
		{"run32", func(a *tileArgs) { a.tileRun(32) }, func(a *tileArgs) { a.generic(32, a.run) }, 32, 5},
		{"run16", func(a *tileArgs) { a.tileRun(16) }, func(a *tileArgs) { a.generic(16, a.run) }, 16, 5},
		{"depthwise", (*tileArgs).depthwise, (*tileArgs).depthwiseGo, 16, 0},
		{"run8", run8, narrowTwin, 16, 5},
		{"depthwise3", depthwise3, (*tileArgs).depthwiseGo, 16, 0},
	}
	tiers(t, func(t *testing.T) {
		for seed := range uint64(600) {
			r := rand.New(rand.NewPCG(seed, 10))
			k := kernels[seed%uint64(len(kernels))]
			most := tilePixels()
			switch {
			case k.name == "depthwise3":
				if active != avx2 {
					continue
				}
				most = neighbourPixels
			case k.step == 0:
				most = channelPixels()
			case k.name == "run8":
				if most = narrowPixels(); most == 0 {
					continue
				}
			}
			values := max(16, k.step)
			a := newTile(false)
			a.pixels, a.run = 1+int(seed)/len(kernels)%most, k.step
			a.blocks, a.rows, a.cols = 1+r.IntN(3), 1+r.IntN(3), 1+r.IntN(3)
			a.pix, a.colStride = 4*values*(1+r.IntN(2)), 4*values*(1+r.IntN(2))
			if k.name == "depthwise3" {
				a.cols, a.pix, a.colStride = 3, 64, 64
			}
			a.rowStride, a.blockStride = a.pix*a.pixels+a.colStride*a.cols, (a.pix*a.pixels+a.colStride*a.cols)*a.rows
			a.outPix, a.resPix = 64+4*r.IntN(30), 64+4*r.IntN(30)
			a.outBlock, a.resBlock = a.outPix*a.pixels+4*r.IntN(9), a.resPix*a.pixels
			if r.IntN(2) == 0 {
				a.clamp, a.lo, a.hi = 1, -1, pick(r, 0.5, Inf32)
			}
			m := &memory{}
			in := m.put(random(r, a.blocks*a.blockStride/4+values))
			w := m.put(random(r, a.blocks*a.rows*a.cols*max(k.step, 1)*k.width))
			if k.step == 16 && r.IntN(3) == 0 {
				a.half, values = 1, 8
				last := m.slice(w)
				last = last[len(last)-a.rows*a.cols*16*k.width:]
				for i := range last {
					if i/k.width%16 >= values {
						last[i] = 0
					}
				}
			}
			bias, res := m.put(random(r, 32)), m.put(random(r, (2*a.resBlock+64)/4))
			if r.IntN(4) == 0 {
				m.slice(in)[r.IntN(values)] = NaN32
			}
			out := m.alloc((2*a.outBlock + 64) / 4)
			for i := range m.slice(out) {
				m.slice(out)[i] = canary
			}
			residual := r.IntN(2) == 0 && k.name != "depthwise3"
			run := func(f func(a *tileArgs)) []float32 {
				data := append([]float32(nil), m.data...)
				b := a
				at := func(r Ref) unsafe.Pointer { return unsafe.Pointer(&data[r.Off/4]) }
				b.in, b.w, b.out, b.bias = at(in), at(w), at(out), at(bias)
				if residual {
					b.res = at(res)
				}
				f(&b)
				return data
			}
			want, got := run(k.twin), run(k.vector)
			for i, v := range want {
				g := got[i]
				if math.IsNaN(float64(v)) != math.IsNaN(float64(g)) || math.Abs(float64(v-g)) > 1e-4 || v == canary && g != canary {
					t.Fatalf("seed %d, %s of %d pixels: float %d is %g, want %g\n%+v", seed, k.name, a.pixels, i, g, v, a)
				}
			}
		}
	})
}

// narrowTwin is run8 in Go: the first 8 of 16 output channels, zeros behind.
func narrowTwin(a *tileArgs) {
	var wide [maxTilePixels * 16]float32
	b := *a
	b.out, b.outPix = unsafe.Pointer(&wide), 64
	b.generic(16, a.run)
	for p := range a.pixels {
		out := unsafe.Slice((*float32)(unsafe.Add(a.out, p*a.outPix)), 16)
		clear(out[copy(out, wide[p*16:p*16+8]):])
	}
}

// The vector activations against float64, over magnitudes and at the edges.
func TestVectorActivations(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	x := []float32{0, float32(math.Copysign(0, -1)), Inf32, -Inf32, NaN32, 0.625, -0.625, 88, -88, 104, -104, 1e30, -1e30, 1e-30, 1e-8}
	for range 20000 {
		x = append(x, float32(r.NormFloat64()*math.Exp(r.NormFloat64()*3)))
	}
	tiers(t, func(t *testing.T) {
		for _, c := range []struct {
			Act
			rel, abs float64 // bounds, relative to the value and to x
		}{
			{Act{Fn: ActTanh}, 4e-7, 0},
			{Act{Fn: ActSigmoid}, 4e-7, 0},
			{Act{Fn: ActExp}, 4e-7, 0},
			{Act{Fn: ActRelu}, 0, 0},
			{Act{Fn: ActClip, Alpha: -0.5, Beta: 6}, 0, 0},
			{Act{Fn: ActLeakyRelu, Alpha: 0.1}, 0, 0},
			{Act{Fn: ActHardSigmoid, Alpha: 0.2, Beta: 0.5}, 2e-7, 1e-8},
			{Act{Fn: ActHardSwish}, 2e-7, 1e-7}, // what 1/6 rounds to
			{Act{Fn: ActSiLU, Alpha: 1}, 5e-7, 1e-38},
			{Act{Fn: ActSiLU, Alpha: 1.702}, 6e-6, 1e-38}, // the product is rounded before its exponential is taken
			{Act{Fn: ActGelu}, 0, 3e-7},                   // 1+erf loses digits below zero
		} {
			y := append([]float32(nil), x...)
			applyAct(y, c.Act)
			for i, v := range x {
				if c.Fn == ActSiLU || c.Fn == ActHardSwish || c.Fn == ActGelu {
					if math.IsInf(float64(v), -1) {
						continue // −∞·0, or a denormal's worth off it
					}
				}
				want := float64(float32(evalFn(c.Fn, float64(v), float64(c.Alpha), float64(c.Beta))))
				got := float64(y[i])
				if math.IsNaN(want) != math.IsNaN(got) {
					t.Fatalf("%v(%g) is %g, want %g", c.Act, v, got, want)
				}
				if got != want && math.Abs(got-want) > c.rel*math.Abs(want)+c.abs*math.Abs(float64(v))+1e-38 {
					t.Fatalf("%v(%g) is %g, want %g", c.Act, v, got, want)
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

// Row kernels against their twins in Go.
func TestRowKernels(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(300) {
			r := rand.New(rand.NewPCG(seed, 11))
			n := 16 * r.IntN(14)
			m := &memory{}
			a, b, dst := m.put(random(r, n)), m.put(random(r, n+16)), m.alloc(n)
			if n > 0 && r.IntN(3) == 0 {
				m.slice(a)[r.IntN(n)] = NaN32
			}
			scale, shift := pick(r, nil, random(r, 16)), pick(r, nil, random(r, 16))
			act := pick(r, someActs...)
			mask := pick(r, 15, -1)
			fn := pick(r, BinAdd, BinSub, BinMul)
			for name, f := range map[string][2]func(){
				"affine": {
					func() { affineRow(m.slice(dst), m.slice(a), scale, shift, act) },
					func() { affineRowGo(m.slice(dst), m.slice(a), scale, shift, act) },
				},
				"binary": {
					func() { binaryRow(m.slice(dst), m.slice(a), m.slice(b), mask, fn, act) },
					func() { binaryRowGo(m.slice(dst), m.slice(a), m.slice(b), mask, fn, act) },
				},
			} {
				f[0]()
				got := append([]float32(nil), m.data...)
				f[1]()
				for i, want := range m.data {
					if g := got[i]; math.IsNaN(float64(want)) != math.IsNaN(float64(g)) || math.Abs(float64(want-g)) > 1e-5 {
						t.Fatalf("seed %d, %s: float %d is %g, want %g", seed, name, i, g, want)
					}
				}
			}
		}
	})
}
