package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"modelc/backend/cpu/pack"
	"modelc/runtime/internal/mem"
	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
)

// tiers runs f on the tiers of this machine. Tiers with vectors of one length have the same
// kernels of float32; only the last of them runs.
func tiers(t *testing.T, f func(t *testing.T)) {
	defer simd.Use(simd.Active())
	available := simd.Available()
	for i, tier := range available {
		if i+1 < len(available) && available[i+1].Lanes == tier.Lanes {
			continue
		}
		simd.Use(tier)
		t.Run(tier.Name, f)
	}
}

// spared reports whether an element stays unchecked. With -short, which is for
// emulators, most do, because computing the expected value takes longer than the
// kernel.
func spared(r *rand.Rand) bool { return testing.Short() && r.IntN(8) > 0 }

const canary = float32(-12345.5)

// memory lays operands out in spaces with canaries between them.
type memory struct {
	data  []float32
	guard []int // positions that must keep the canary
	// double makes run accumulate in float64.
	double bool
}

func (m *memory) alloc(n int) Ref {
	for range 16 {
		m.guard = append(m.guard, len(m.data))
		m.data = append(m.data, canary)
	}
	r := Ref{Space: Arena, Off: len(m.data) * 4, Len: n}
	m.data = append(m.data, make([]float32, n)...)
	// Keep cache-line alignment, with canaries in the gap.
	for len(m.data)%16 != 0 {
		m.guard = append(m.guard, len(m.data))
		m.data = append(m.data, canary)
	}
	return r
}

func (m *memory) put(v []float32) Ref {
	r := m.alloc(len(v))
	copy(m.data[r.Off/4:], v)
	return r
}

func (m *memory) slice(r Ref) []float32 { return m.data[r.Off/4 : r.Off/4+r.Len] }

// image allocates an image of random pixels in a concatenation with extra blocks. The
// border is zero, or a canary if the kernel must clear it.
func (m *memory) image(r *rand.Rand, n, c, h, w int, top, left, bottom, right, extra int, fill bool) Image {
	img := Image{N: n, C: c, H: h, W: w, Top: top, Left: left, Bottom: bottom, Right: right}
	img.BatchStride = (img.Blocks() + extra) * img.Plane()
	img.Ref = m.alloc(img.Size())
	if fill {
		data := m.slice(img.Ref)
		for i := range n {
			for b := range img.Blocks() {
				for y := range h {
					row := img.row(data, i, b, y)
					for j := range row {
						if b*16+j%16 < c {
							row[j] = float32(r.NormFloat64())
						}
					}
				}
			}
		}
	}
	return img
}

// residual returns an operand for the kernel that writes dst: another image or dst
// itself.
func (m *memory) residual(r *rand.Rand, dst *Image) Image {
	if r.IntN(2) == 0 {
		return m.image(r, dst.N, dst.C, dst.H, dst.W, r.IntN(2), r.IntN(2), 0, r.IntN(2), 0, true)
	}
	data := m.slice(dst.Ref)
	for n := range dst.N {
		for c := range dst.C {
			for y := range dst.H {
				row := dst.row(data, n, c/16, y)
				for x := range dst.W {
					row[x*16+c%16] = float32(r.NormFloat64())
				}
			}
		}
	}
	return *dst
}

// clone returns a copy of the memory.
func (m *memory) clone() *memory { return &memory{data: slices.Clone(m.data)} }

// at returns one channel of a pixel, zero outside the image.
func (m *memory) at(img *Image, n, c, y, x int) float64 {
	if y < 0 || y >= img.H || x < 0 || x >= img.W {
		return 0
	}
	return float64(img.row(m.slice(img.Ref), n, c/16, y)[x*16+c%16])
}

// context returns a context for k.
func (m *memory) context(k Kernel, threads int) *Context {
	c := &Context{team: team.New[*Context](threads), double: m.double}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(m.data))), len(m.data)*4)
	c.spaces = [][]byte{bytes}
	for range threads {
		scratch := mem.Aligned(k.ScratchBytes())
		for i := range Floats(scratch) { // values of another kernel
			Floats(scratch)[i] = canary
		}
		c.scratch = append(c.scratch, scratch)
	}
	return c
}

// run executes k with several numbers of threads. It checks that all results have the
// same bits, that the canaries are unchanged and, without -short, that k allocates
// nothing.
func (m *memory) run(t *testing.T, k Kernel) {
	t.Helper()
	defer func(n int) { small = n }(small)
	small = 0 // so that every worker takes part
	before := append([]float32(nil), m.data...)
	var first []float32
	for _, threads := range []int{1, 2, 3} {
		copy(m.data, before)
		c := m.context(k, threads)
		k.Run(c)
		for _, g := range m.guard {
			if m.data[g] != canary {
				t.Fatalf("%d threads: wrote outside an operand, float %d", threads, g)
			}
		}
		if first == nil {
			first = append([]float32(nil), m.data...)
		} else {
			for i, v := range first {
				if math.Float32bits(v) != math.Float32bits(m.data[i]) {
					t.Fatalf("%d threads: float %d is %g, with one thread %g", threads, i, m.data[i], v)
				}
			}
		}
		if !testing.Short() {
			if a := testing.AllocsPerRun(5, func() { copy(m.data, before); k.Run(c) }); a > 0 {
				t.Errorf("%d threads: %g allocations", threads, a)
			}
		}
		c.team.Close()
	}
}

func random(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// padded16 pads a per-channel operand with zeros.
func padded16(v []float32) []float32 {
	return append(append([]float32(nil), v...), make([]float32, (16-len(v)%16)%16)...)
}

var someActs = []Act{{}, {Fn: ActRelu}, {Fn: ActClip, Alpha: -0.5, Beta: 1}, {Fn: ActTanh}, {Fn: ActLeakyRelu, Alpha: 0.1}}

// tolerance returns the tolerance of a sum, relative to the sum of the magnitudes of
// its terms. In float64 it is the rounding of the result.
func (m *memory) tolerance() float64 {
	if m.double {
		return 2e-7
	}
	return 1e-6
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// TestConv compares the convolution with loops in float64 on random shapes,
// borders, prologues, residuals and places in shared buffers.
func TestConv(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(150) {
			r := rand.New(rand.NewPCG(seed, 1))
			k := Conv{KH: pick(r, 1, 1, 2, 3, 5), KW: pick(r, 1, 1, 3, 4), SH: pick(r, 1, 1, 2, 3), SW: pick(r, 1, 1, 2), DH: pick(r, 1, 1, 2), DW: pick(r, 1, 1, 2)}
			n, ic, oc := pick(r, 1, 1, 2), pick(r, 1, 3, 16, 17, 25, 40), pick(r, 1, 5, 16, 20, 24, 25, 32, 33, 49, 56, 70)
			groups := pick(r, 1, 1, 2, 3)
			if k.Groups = groups; groups > 1 {
				ic, oc = groups*pick(r, 16, 32), groups*pick(r, 16, 32, 48, 64)
			}
			ic /= groups // of each group
			h, w := 1+r.IntN(12), 1+r.IntN(33)
			if r.IntN(4) == 0 {
				k.KH, k.KW, k.SH, k.SW = 1, 1, 1, 1
			}
			switch r.IntN(8) {
			case 0: // more weights than stay in L2
				k.KH, k.KW, ic = 3, 3, pick(r, 176, 272)
				h, w = 3+h%5, 3+w%5
				if groups == 1 {
					ic -= r.IntN(16)
				}
			case 1: // a sample of the pixels
				k.KH, k.KW, k.SH, k.SW, oc = 1, 1, pick(r, 1, 2), pick(r, 2, 3), 128*groups
			}
			k.PadTop, k.PadLeft = r.IntN(k.KH), r.IntN(k.KW)
			oh := (h+k.PadTop+r.IntN(k.KH)-(k.KH-1)*k.DH-1)/k.SH + 1
			ow := (w+k.PadLeft+r.IntN(k.KW)-(k.KW-1)*k.DW-1)/k.SW + 1
			if h+k.PadTop < (k.KH-1)*k.DH+1 || w+k.PadLeft < (k.KW-1)*k.DW+1 || oh < 1 || ow < 1 {
				continue
			}
			m := &memory{double: r.IntN(3) == 0}
			needB := max(0, (oh-1)*k.SH+(k.KH-1)*k.DH+1-k.PadTop-h)
			needR := max(0, (ow-1)*k.SW+(k.KW-1)*k.DW+1-k.PadLeft-w)
			spare, border := r.IntN(2), r.IntN(3) > 0
			k.Src = m.image(r, n, groups*ic, h, w, k.PadTop+spare, k.PadLeft+spare, needB+spare, needR, r.IntN(2), true)
			if k.Dst = m.image(r, n, oc, oh, ow, r.IntN(2), r.IntN(2), r.IntN(2), r.IntN(2), r.IntN(2), false); !border {
				k.Dst = m.image(r, n, oc, oh, ow, 0, 0, 0, 0, r.IntN(2), false)
			}
			k.Dst.Clear = r.IntN(2) == 0
			weights := random(r, oc*ic*k.KH*k.KW)
			var packed []float32
			for g := range groups {
				packed = append(packed, pack.Conv(weights[g*oc/groups*ic*k.KH*k.KW:], oc/groups, ic, k.KH, k.KW)...)
			}
			k.W = m.put(packed)
			var bias, scale, shift []float32
			if r.IntN(2) == 0 {
				bias = random(r, oc)
				k.Bias = m.put(padded16(bias))
			}
			k.Act = pick(r, someActs...)
			if r.IntN(3) == 0 {
				scale, shift = random(r, groups*ic), random(r, groups*ic)
				k.Scale, k.Shift = m.put(padded16(scale)), m.put(padded16(shift))
				k.Pre = pick(r, someActs...)
			}
			residual := r.IntN(3) == 0
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
							sum, size := 0.0, 1.0
							for c := range ic {
								for ky := range k.KH {
									for kx := range k.KW {
										sy, sx := y*k.SH-k.PadTop+ky*k.DH, x*k.SW-k.PadLeft+kx*k.DW
										if sy < 0 || sy >= h || sx < 0 || sx >= w {
											continue
										}
										from := o/(oc/groups)*ic + c
										v := m.at(&k.Src, i, from, sy, sx)
										if scale != nil {
											v = Eval(k.Pre.Fn, v*float64(scale[from])+float64(shift[from]), float64(k.Pre.Alpha), float64(k.Pre.Beta))
										}
										p := v * float64(weights[((o*ic+c)*k.KH+ky)*k.KW+kx])
										sum += p
										size += math.Abs(p)
									}
								}
							}
							if bias != nil {
								sum += float64(bias[o])
							}
							if residual {
								sum += before.at(&k.Residual, i, o, y, x)
							}
							want := Eval(k.Act.Fn, sum, float64(k.Act.Alpha), float64(k.Act.Beta))
							if got := m.at(&k.Dst, i, o, y, x); math.Abs(got-want) > m.tolerance()*size || math.IsNaN(got) {
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

func TestConvLast(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(80) {
			r := rand.New(rand.NewPCG(seed, 31))
			k := ConvLast{KH: 1 + r.IntN(4), KW: 1 + r.IntN(4), SH: pick(r, 1, 1, 2), SW: pick(r, 1, 1, 2), DH: pick(r, 1, 1, 2), DW: pick(r, 1, 1, 2), Act: pick(r, someActs...)}
			n, ic, oc, oh, ow := 1+r.IntN(2), 1+r.IntN(40), 1+r.IntN(4), 1+r.IntN(6), 1+r.IntN(20)
			k.PadTop, k.PadLeft = r.IntN(k.KH), r.IntN(k.KW)
			h, w := (oh-1)*k.SH+(k.KH-1)*k.DH+1-k.PadTop, (ow-1)*k.SW+(k.KW-1)*k.DW+1-k.PadLeft
			if h < 1 || w < 1 {
				continue
			}
			m := &memory{}
			k.Src = m.image(r, n, ic, h, w, k.PadTop, k.PadLeft, r.IntN(2), 1, r.IntN(2), true)
			k.Dst = m.image(r, n, oc, oh, ow, r.IntN(2), 0, 1, r.IntN(2), 0, false)
			k.Dst.Clear = true
			weights, bias := random(r, oc*ic*k.KH*k.KW), make([]float32, oc)
			k.W = m.put(pack.Last(weights, oc, ic, k.KH, k.KW))
			if r.IntN(2) == 0 {
				bias = random(r, oc)
				k.Bias = m.put(padded16(bias))
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
							sum := float64(bias[o])
							for c := range ic {
								for ky := range k.KH {
									for kx := range k.KW {
										sum += float64(weights[((o*ic+c)*k.KH+ky)*k.KW+kx]) * m.at(&k.Src, i, c, y*k.SH-k.PadTop+ky*k.DH, x*k.SW-k.PadLeft+kx*k.DW)
									}
								}
							}
							if residual {
								sum += before.at(&k.Residual, i, o, y, x)
							}
							want := Eval(k.Act.Fn, sum, float64(k.Act.Alpha), float64(k.Act.Beta))
							if got := m.at(&k.Dst, i, o, y, x); math.Abs(got-want) > 1e-4 {
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

// checkBorder checks that the border of an image is zero.
func checkBorder(t *testing.T, m *memory, img *Image) {
	t.Helper()
	data := m.slice(img.Ref)
	for n := range img.N {
		for b := range img.Blocks() {
			plane := data[n*img.BatchStride+b*img.Plane():][:img.Plane()]
			sum := float32(0)
			for _, v := range plane {
				sum += v * v
			}
			inside := float32(0)
			for y := range img.H {
				for _, v := range img.row(data, n, b, y) {
					inside += v * v
				}
			}
			if d := float64(sum - inside); math.Abs(d) > 1e-3*float64(sum) {
				t.Fatalf("the border of %+v holds %g", img, d)
			}
		}
	}
}

// checkUnused checks that the unused channels of the last block are zero. Other values
// could be NaN, and NaN times a weight of zero is NaN.
func checkUnused(t *testing.T, m *memory, img *Image) {
	t.Helper()
	for n := range img.N {
		for y := range img.H {
			for i, v := range img.row(m.slice(img.Ref), n, img.Blocks()-1, y) {
				if c := (img.Blocks()-1)*16 + i%16; c >= img.C && v != 0 {
					t.Fatalf("channel %d of %d is %g", c, img.C, v)
				}
			}
		}
	}
}

// TestClear dirties the border and expects the kernel to zero it.
func TestClear(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	m := &memory{}
	k := Affine{Src: m.image(r, 1, 20, 3, 5, 0, 0, 0, 0, 0, true), Dst: m.image(r, 1, 20, 3, 5, 1, 2, 1, 1, 0, false)}
	for i := range m.slice(k.Dst.Ref) {
		m.slice(k.Dst.Ref)[i] = 7
	}
	k.Dst.Clear = true
	m.run(t, &k)
	checkBorder(t, m, &k.Dst)
}

func TestConvFirst(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(80) {
			r := rand.New(rand.NewPCG(seed, 2))
			k := ConvFirst{N: pick(r, 1, 2), C: 1 + r.IntN(4), H: 3 + r.IntN(20), W: 3 + r.IntN(40), NHWC: r.IntN(2) == 0,
				KH: pick(r, 1, 3, 5, 7), KW: pick(r, 1, 3, 5, 7), SH: pick(r, 1, 2), SW: pick(r, 1, 2), DH: 1, DW: pick(r, 1, 1, 2), Act: pick(r, someActs...)}
			k.PadTop, k.PadLeft = r.IntN(k.KH), r.IntN(k.KW)
			oh := (k.H+k.PadTop+r.IntN(k.KH)-(k.KH-1)*k.DH-1)/k.SH + 1
			ow := (k.W+k.PadLeft+r.IntN(k.KW)-(k.KW-1)*k.DW-1)/k.SW + 1
			if oh < 1 || ow < 1 || k.H+k.PadTop < k.KH || k.W+k.PadLeft < (k.KW-1)*k.DW+1 {
				continue
			}
			oc := pick(r, 6, 8, 9, 16, 32, 40, 64)
			m := &memory{double: r.IntN(3) == 0}
			image := r.IntN(3) == 0
			if image {
				k.C = 1 + r.IntN(12)
				k.Image = m.image(r, k.N, k.C, k.H, k.W, r.IntN(2), r.IntN(2), 0, r.IntN(2), r.IntN(2), true)
			}
			src := random(r, k.N*k.C*k.H*k.W)
			if !image {
				k.Src = m.put(src)
			}
			k.Dst = m.image(r, k.N, oc, oh, ow, r.IntN(2), r.IntN(2), 0, r.IntN(2), 0, false)
			weights := random(r, oc*k.C*k.KH*k.KW)
			k.Wt = m.put(pack.First(weights, oc, k.C, k.KH, k.KW))
			bias := random(r, oc)
			k.Bias = m.put(padded16(bias))
			m.run(t, &k)
			for n := range k.N {
				for o := range oc {
					for y := range oh {
						for x := range ow {
							if spared(r) {
								continue
							}
							sum, size := float64(bias[o]), 1.0
							for c := range k.C {
								for ky := range k.KH {
									for kx := range k.KW {
										sy, sx := y*k.SH-k.PadTop+ky*k.DH, x*k.SW-k.PadLeft+kx*k.DW
										if sy < 0 || sy >= k.H || sx < 0 || sx >= k.W {
											continue
										}
										at := ((n*k.C+c)*k.H+sy)*k.W + sx
										if k.NHWC {
											at = ((n*k.H+sy)*k.W+sx)*k.C + c
										}
										v := float64(src[at])
										if image {
											v = m.at(&k.Image, n, c, sy, sx)
										}
										p := v * float64(weights[((o*k.C+c)*k.KH+ky)*k.KW+kx])
										sum += p
										size += math.Abs(p)
									}
								}
							}
							want := Eval(k.Act.Fn, sum, float64(k.Act.Alpha), float64(k.Act.Beta))
							if got := m.at(&k.Dst, n, o, y, x); math.Abs(got-want) > m.tolerance()*size {
								t.Fatalf("seed %d: [%d,%d,%d,%d] is %g, want %g\n%+v", seed, n, o, y, x, got, want, k)
							}
						}
					}
				}
			}
			checkUnused(t, m, &k.Dst)
		}
	})
}

// TestConvFirstPool compares ConvFirstPool with the convolution and the pool one after
// the other, bit for bit, in one band and in several.
func TestConvFirstPool(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(80) {
			r := rand.New(rand.NewPCG(seed, 12))
			v := ConvFirst{N: pick(r, 1, 2), C: 1 + r.IntN(4), H: 6 + r.IntN(30), W: 6 + r.IntN(30), NHWC: r.IntN(2) == 0,
				KH: pick(r, 1, 3, 5), KW: pick(r, 1, 3, 5), SH: pick(r, 1, 2), SW: pick(r, 1, 2), DH: 1, DW: 1, Act: pick(r, someActs...)}
			if seed%20 == 0 {
				v.N, v.H, v.W = 1, 40, 200 // more than a band
			}
			p := Pool{Kind: pick(r, PoolMax, PoolAvg), KH: 1 + r.IntN(4), KW: 1 + r.IntN(4), SH: 1 + r.IntN(4), SW: 1 + r.IntN(3), DH: 1, DW: 1, CountPad: r.IntN(2) == 0}
			p.PadTop, p.PadLeft, p.PadBottom, p.PadRight = r.IntN(p.KH), r.IntN(p.KW), r.IntN(p.KH), r.IntN(p.KW)
			v.PadTop, v.PadLeft = r.IntN(v.KH), r.IntN(v.KW)
			planar := seed%4 == 1
			if planar {
				v.C, v.SW = 1, 1
				p.KH, p.KW, p.SH, p.SW, p.PadTop, p.PadLeft, p.PadBottom, p.PadRight = 2, 2, 2, 2, 0, 0, r.IntN(2), r.IntN(2)
			}
			h, w := (v.H+2*v.PadTop-v.KH)/v.SH+1, (v.W+2*v.PadLeft-v.KW)/v.SW+1
			oh, ow := (h+p.PadTop+p.PadBottom-p.KH)/p.SH+1, (w+p.PadLeft+p.PadRight-p.KW)/p.SW+1
			if h < p.KH || w < p.KW {
				continue
			}
			oc := pick(r, 6, 16, 40, 64)
			if planar {
				oc = 1 + r.IntN(simd.PlaneChannels)
			}
			m := &memory{double: r.IntN(3) == 0}
			v.Src = m.put(random(r, v.N*v.C*v.H*v.W))
			v.Wt = m.put(pack.First(random(r, oc*v.C*v.KH*v.KW), oc, v.C, v.KH, v.KW))
			v.Bias = m.put(padded16(random(r, oc)))
			v.Dst = m.image(r, v.N, oc, h, w, 0, 0, 0, 0, 0, false)
			p.Dst = m.image(r, v.N, oc, oh, ow, r.IntN(2), r.IntN(2), 0, 1, r.IntN(2), false)
			m.run(t, &v)
			p.Src = v.Dst
			m.run(t, &p)
			want := m.clone()
			k := ConvFirstPool{Conv: v, Pool: p}
			k.Conv.Dst = Image{N: v.N, C: oc, H: h, W: w}
			k.Pool.Src = k.Conv.Dst
			clear(m.slice(v.Dst.Ref))
			p.Dst.Clear = true
			k.Pool.Dst = p.Dst
			m.run(t, &k)
			for i := range v.N {
				for o := range oc {
					for y := range oh {
						for x := range ow {
							if got, want := m.at(&p.Dst, i, o, y, x), want.at(&p.Dst, i, o, y, x); got != want {
								t.Fatalf("seed %d: [%d,%d,%d,%d] is %g, want %g\n%+v", seed, i, o, y, x, got, want, k)
							}
						}
					}
				}
			}
			checkBorder(t, m, &p.Dst)
			checkUnused(t, m, &p.Dst)
		}
	})
}

// F(2,5) along columns gives the result of the direct convolution, apart from rounding.
func TestConvFirstRows(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(60) {
			r := rand.New(rand.NewPCG(seed, 13))
			v := ConvFirst{N: pick(r, 1, 2), C: 1 + r.IntN(8), H: 6 + r.IntN(20), W: 6 + r.IntN(20), KH: 5, KW: 1 + r.IntN(5), SH: 1, SW: 1, DH: 1, DW: 1, Act: pick(r, someActs...)}
			oc := pick(r, 1, 6, 16, 17, 32)
			m := &memory{double: r.IntN(4) == 0}
			w := random(r, oc*v.C*v.KH*v.KW)
			v.Image = m.image(r, v.N, v.C, v.H, v.W, r.IntN(2), r.IntN(2), r.IntN(2), r.IntN(2), 0, true)
			v.Wt = m.put(pack.First(w, oc, v.C, v.KH, v.KW))
			if r.IntN(3) > 0 {
				v.Bias = m.put(padded16(random(r, oc)))
			}
			v.Dst = Image{N: v.N, C: oc, H: v.H - 4, W: v.W - v.KW + 1}
			k := ConvFirstPool{Conv: v, Pool: Pool{Kind: pick(r, PoolMax, PoolAvg), Src: v.Dst, KH: 2, KW: 2, SH: 2, SW: 2, DH: 1, DW: 1}}
			k.Pool.Dst = m.image(r, v.N, oc, v.Dst.H/2, v.Dst.W/2, r.IntN(2), r.IntN(2), 0, 1, 0, false)
			rows := m.put(pack.Rows(w, oc, v.C, v.KW))
			m.run(t, &k)
			want := m.clone()
			clear(m.slice(k.Pool.Dst.Ref))
			if k.Rows = rows; !k.SuitsRows() {
				t.Fatalf("seed %d: not suited", seed)
			}
			k.Pool.Dst.Clear = true
			m.run(t, &k)
			for n := range v.N {
				for o := range oc {
					for y := range k.Pool.Dst.H {
						for x := range k.Pool.Dst.W {
							if got, want := m.at(&k.Pool.Dst, n, o, y, x), want.at(&k.Pool.Dst, n, o, y, x); math.Abs(float64(got-want)) > 1e-4*(1+math.Abs(float64(want))) {
								t.Fatalf("seed %d: [%d,%d,%d,%d] is %g, want %g\n%+v", seed, n, o, y, x, got, want, k)
							}
						}
					}
				}
			}
			checkBorder(t, m, &k.Pool.Dst)
		}
	})
}

func TestDense(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for _, c := range []struct{ n, k, m int }{{1, 16, 32}, {1, 400, 120}, {1, 84, 10}, {3, 17, 33}, {15, 33, 48}, {29, 64, 100}, {1, 1, 1}, {2, 100, 47}, {60, 33, 50}} {
			for i, act := range someActs {
				r := rand.New(rand.NewPCG(uint64(c.k), uint64(i)))
				m := &memory{double: i%2 == 1}
				x, w, bias := random(r, c.n*c.k), random(r, c.k*c.m), random(r, c.m)
				k := Dense{X: m.put(x), Y: m.alloc(c.n * c.m), W: m.put(pack.Dense(w, c.k, c.m, false, nil)), Bias: m.put(padded16(bias)), N: c.n, K: c.k, M: c.m, Act: act}
				m.run(t, &k)
				y := m.slice(k.Y)
				for n := range c.n {
					for o := range c.m {
						sum, size := float64(bias[o]), 1.0
						for f := range c.k {
							p := float64(x[n*c.k+f]) * float64(w[f*c.m+o])
							sum += p
							size += math.Abs(p)
						}
						want := Eval(act.Fn, sum, float64(act.Alpha), float64(act.Beta))
						if got := float64(y[n*c.m+o]); math.Abs(got-want) > m.tolerance()*size {
							t.Fatalf("%+v %+v: [%d,%d] is %g, want %g", c, act, n, o, got, want)
						}
					}
				}
			}
		}
	})
}

func TestDepthwise(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(60) {
			r := rand.New(rand.NewPCG(seed, 3))
			k := Depthwise{KH: pick(r, 3, 5, 1), KW: pick(r, 3, 5, 2), SH: pick(r, 1, 2), SW: pick(r, 1, 2), DH: 1, DW: pick(r, 1, 2), Act: pick(r, someActs...)}
			n, c, h, w := pick(r, 1, 2), pick(r, 3, 16, 40), 5+r.IntN(10), 9+r.IntN(20)
			k.PadTop, k.PadLeft = k.KH/2, k.KW/2
			oh := (h+2*k.PadTop-(k.KH-1)-1)/k.SH + 1
			ow := (w+2*k.PadLeft-(k.KW-1)*k.DW-1)/k.SW + 1
			m := &memory{double: r.IntN(3) == 0}
			k.Src = m.image(r, n, c, h, w, k.PadTop, k.PadLeft, k.PadTop, k.PadLeft, 0, true)
			k.Dst = m.image(r, n, c, oh, ow, 1, 0, 0, 1, r.IntN(2), false)
			weights, bias := random(r, c*k.KH*k.KW), random(r, c)
			k.W, k.Bias = m.put(pack.Depthwise(weights, c, k.KH, k.KW)), m.put(padded16(bias))
			var scale, shift []float32
			if r.IntN(3) == 0 {
				scale, shift = random(r, c), random(r, c)
				k.Scale, k.Shift, k.Pre = m.put(padded16(scale)), m.put(padded16(shift)), Act{Fn: ActRelu}
			}
			residual := r.IntN(3) == 0
			if residual {
				k.Residual = m.residual(r, &k.Dst)
			}
			before := m.clone()
			m.run(t, &k)
			for i := range n {
				for ch := range c {
					for y := range oh {
						for x := range ow {
							if spared(r) {
								continue
							}
							sum := float64(bias[ch])
							for ky := range k.KH {
								for kx := range k.KW {
									sy, sx := y*k.SH-k.PadTop+ky, x*k.SW-k.PadLeft+kx*k.DW
									if sy < 0 || sy >= h || sx < 0 || sx >= w {
										continue
									}
									v := m.at(&k.Src, i, ch, sy, sx)
									if scale != nil {
										v = max(0, v*float64(scale[ch])+float64(shift[ch]))
									}
									sum += v * float64(weights[(ch*k.KH+ky)*k.KW+kx])
								}
							}
							if residual {
								sum += before.at(&k.Residual, i, ch, y, x)
							}
							want := Eval(k.Act.Fn, sum, float64(k.Act.Alpha), float64(k.Act.Beta))
							if got := m.at(&k.Dst, i, ch, y, x); math.Abs(got-want) > 1e-5*(1+math.Abs(want)) {
								t.Fatalf("seed %d: [%d,%d,%d,%d] is %g, want %g\n%+v", seed, i, ch, y, x, got, want, k)
							}
						}
					}
				}
			}
			checkBorder(t, m, &k.Dst)
		}
	})
}

// The clamps of the micro-kernels must keep NaN and infinity.
func TestClampKeepsNaN(t *testing.T) {
	tiers(t, func(t *testing.T) {
		m := &memory{}
		x := []float32{float32(math.NaN())}
		k := Dense{X: m.put(x), Y: m.alloc(1), W: m.put(pack.Dense([]float32{1}, 1, 1, false, nil)), N: 1, K: 1, M: 1, Act: Act{Fn: ActRelu}}
		m.run(t, &k)
		if y := m.slice(k.Y)[0]; y == y {
			t.Errorf("relu(NaN) is %g", y)
		}
	})
}

// TestWinograd compares all forms of Winograd with loops in float64: F(2×2) with
// strides 1 and 2 and with 5×5 filters, F(4×4) and F(6×6), dilated and not. Some
// extents are multiples of the tile, and some cases have a pool.
func TestWinograd(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(80) {
			r := rand.New(rand.NewPCG(seed, 4))
			k := Winograd{M: pick(r, 2, 4, 6), PadTop: r.IntN(2), PadLeft: r.IntN(2), Tiles: pick(r, 3, 14, 20), OutBlocks: 1 + r.IntN(2), Act: pick(r, someActs...)}
			n, ic, oc := pick(r, 1, 2), pick(r, 3, 16, 40), pick(r, 5, 16, 24, 33, 56, 64, 80)
			h, w := 3+r.IntN(16), 3+r.IntN(26)
			oh, ow, stride, taps := h+k.PadTop+r.IntN(2)-2, w+k.PadLeft+r.IntN(2)-2, 1, 3
			switch r.IntN(5) {
			case 0:
				k.M, k.Strided, stride = 2, true, 2
				oh, ow = 2+2*r.IntN(8), 2+2*r.IntN(14)
				h, w = 2*oh+1-k.PadTop-r.IntN(2), 2*ow+1-k.PadLeft-r.IntN(2)
			case 1:
				k.Dilation = 2 + r.IntN(4)
				k.PadTop, k.PadLeft = r.IntN(k.Dilation+1), r.IntN(k.Dilation+1)
				oh, ow = max(1, h-r.IntN(4)), max(1, w-r.IntN(4))
			case 2:
				k.M, k.Five, taps = 2, true, 5
				k.PadTop, k.PadLeft = r.IntN(4), r.IntN(4)
				oh, ow = max(1, h+k.PadTop+r.IntN(3)-4), max(1, w+k.PadLeft+r.IntN(3)-4)
			}
			m := &memory{}
			spare := r.IntN(4)
			k.Src = m.image(r, n, ic, h, w, 1, 1, 1+spare, 1+spare, 1, true)
			if oh > 1 && ow > 1 && !k.Strided && !k.Five && k.Dilation == 0 && r.IntN(3) == 0 {
				k.Pool = 2
				oh, ow = oh/2, ow/2
			}
			k.Dst = m.image(r, n, oc, oh, ow, r.IntN(2), 1, 0, r.IntN(2), 1, false)
			weights, bias := random(r, oc*ic*taps*taps), random(r, oc)
			packed := pack.Conv(weights, oc, ic, taps, taps)
			lw := WinogradWeights{M: k.M, Strided: k.Strided, Five: k.Five, IC: ic, OC: oc, W: m.put(packed)}
			switch {
			case k.Strided:
				lw.Dst = m.alloc(pack.StridedLen(oc, ic))
			case k.Five:
				lw.Dst = m.alloc(pack.WinogradLen(4, oc, ic))
			default:
				lw.Dst = m.alloc(pack.WinogradLen(k.M, oc, ic))
			}
			m.run(t, &lw)
			k.W, k.Bias = lw.Dst, m.put(padded16(bias))
			var scale, shift []float32
			if !k.Strided && r.IntN(3) == 0 {
				scale, shift = random(r, ic), random(r, ic)
				k.Scale, k.Shift, k.Pre = m.put(padded16(scale)), m.put(padded16(shift)), Act{Fn: ActRelu}
			}
			residual := k.Pool == 0 && r.IntN(3) == 0
			if residual {
				k.Residual = m.residual(r, &k.Dst)
			}
			before := m.clone()
			m.run(t, &k)
			conv := func(i, o, y, x int) (v, size float64) {
				sum, size := float64(bias[o]), 1.0
				for c := range ic {
					for ky := range taps {
						for kx := range taps {
							sy, sx := y*stride-k.PadTop+ky*k.step(), x*stride-k.PadLeft+kx*k.step()
							if sy < 0 || sy >= h || sx < 0 || sx >= w {
								continue
							}
							v := m.at(&k.Src, i, c, sy, sx)
							if scale != nil {
								v = max(0, v*float64(scale[c])+float64(shift[c]))
							}
							p := v * float64(weights[((o*ic+c)*taps+ky)*taps+kx])
							sum += p
							size += math.Abs(p)
						}
					}
				}
				if residual {
					sum += before.at(&k.Residual, i, o, y, x)
				}
				return Eval(k.Act.Fn, sum, float64(k.Act.Alpha), float64(k.Act.Beta)), size
			}
			p := max(1, k.Pool)
			for i := range n {
				for o := range oc {
					for y := range oh {
						for x := range ow {
							if spared(r) {
								continue
							}
							want, size := math.Inf(-1), 0.0
							for j := range p * p {
								v, s := conv(i, o, y*p+j/p, x*p+j%p)
								want, size = max(want, v), max(size, s)
							}
							if got := m.at(&k.Dst, i, o, y, x); math.Abs(got-want) > map[int]float64{2: 2e-6, 4: 3e-6, 6: 2e-5}[k.M]*size || math.IsNaN(got) {
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

// ConvFirstDepthwise has the bits of its two convolutions as separate steps, in one band
// and in several.
func TestConvFirstDepthwise(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(40) {
			r := rand.New(rand.NewPCG(seed, 15))
			f := ConvFirst{N: pick(r, 1, 2), C: 1 + r.IntN(4), H: 5 + r.IntN(30), W: 5 + r.IntN(30), NHWC: r.IntN(2) == 0,
				KH: pick(r, 1, 3, 5), KW: pick(r, 1, 3, 5), SH: pick(r, 1, 2), SW: pick(r, 1, 2), DH: 1, DW: 1, Act: pick(r, someActs...)}
			d := Depthwise{KH: pick(r, 1, 3, 5), KW: pick(r, 1, 3, 5), SH: pick(r, 1, 2, 3), SW: pick(r, 1, 2), DH: pick(r, 1, 2), DW: pick(r, 1, 2), Act: pick(r, someActs...)}
			if seed%20 == 0 {
				f.N, f.H, f.W = 1, 60, 300 // more than a band
			}
			f.PadTop, f.PadLeft, d.PadTop, d.PadLeft = r.IntN(f.KH), r.IntN(f.KW), r.IntN(d.KH), r.IntN(d.KW)
			h, w := (f.H+2*f.PadTop-f.KH)/f.SH+1, (f.W+2*f.PadLeft-f.KW)/f.SW+1
			oh, ow := (h+2*d.PadTop-(d.KH-1)*d.DH-1)/d.SH+1, (w+2*d.PadLeft-(d.KW-1)*d.DW-1)/d.SW+1
			if h+2*d.PadTop < (d.KH-1)*d.DH+1 || w+2*d.PadLeft < (d.KW-1)*d.DW+1 {
				continue
			}
			oc := pick(r, 6, 8, 16, 40, 64)
			m := &memory{double: r.IntN(3) == 0}
			if r.IntN(3) == 0 {
				f.C = 1 + r.IntN(12)
				f.Image = m.image(r, f.N, f.C, f.H, f.W, 0, 0, 0, 0, 0, true)
			} else {
				f.Src = m.put(random(r, f.N*f.C*f.H*f.W))
			}
			f.Wt, f.Bias = m.put(pack.First(random(r, oc*f.C*f.KH*f.KW), oc, f.C, f.KH, f.KW)), m.put(padded16(random(r, oc)))
			d.W, d.Bias = m.put(pack.Depthwise(random(r, oc*d.KH*d.KW), oc, d.KH, d.KW)), m.put(padded16(random(r, oc)))
			f.Dst = m.image(r, f.N, oc, h, w, d.PadTop+r.IntN(2), d.PadLeft+r.IntN(2), d.PadTop+d.DH*d.KH, d.PadLeft, 0, false)
			d.Src, d.Dst = f.Dst, m.image(r, f.N, oc, oh, ow, r.IntN(2), r.IntN(2), 0, 1, r.IntN(2), false)
			d.Dst.Clear = true
			f.Run(m.context(&f, 1))
			d.Run(m.context(&d, 1))
			want := m.clone()
			k := ConvFirstDepthwise{First: f, Depth: d}
			k.First.Dst.Ref = Ref{}
			k.Depth.Src = k.First.Dst
			clear(m.slice(f.Dst.Ref))
			clear(m.slice(d.Dst.Ref))
			m.run(t, &k)
			for i := range f.N {
				for o := range oc {
					for y := range oh {
						for x := range ow {
							if got, want := m.at(&d.Dst, i, o, y, x), want.at(&d.Dst, i, o, y, x); got != want {
								t.Fatalf("seed %d: [%d,%d,%d,%d] is %g, want %g\n%+v", seed, i, o, y, x, got, want, k)
							}
						}
					}
				}
			}
			checkBorder(t, m, &d.Dst)
			checkUnused(t, m, &d.Dst)
		}
	})
}

// TestConvDepthwise compares ConvDepthwise with loops in float64, in one band and in
// several.
func TestConvDepthwise(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(30) {
			r := rand.New(rand.NewPCG(seed, 11))
			k := ConvDepthwise{
				Point: Conv{KH: 1, KW: 1, SH: 1, SW: 1, DH: 1, DW: 1, Act: pick(r, someActs...)},
				Depth: Depthwise{KH: pick(r, 3, 5, 1), KW: pick(r, 3, 5, 2), SH: pick(r, 1, 2), SW: pick(r, 1, 2), DH: pick(r, 1, 2), DW: pick(r, 1, 2), Act: pick(r, someActs...)},
			}
			p, d := &k.Point, &k.Depth
			n, ic, c, h, w := pick(r, 1, 2), pick(r, 5, 24, 32), pick(r, 8, 40, 70), 5+r.IntN(10), pick(r, 9+r.IntN(20), 9+r.IntN(20), 250)
			if w == 250 {
				n, h, ic, c = 1, 24, 5, 8 // more than a band
			}
			d.PadTop, d.PadLeft = r.IntN(d.KH), r.IntN(d.KW)
			oh := (h+2*d.PadTop-(d.KH-1)*d.DH-1)/d.SH + 1
			ow := (w+2*d.PadLeft-(d.KW-1)*d.DW-1)/d.SW + 1
			if oh < 1 || ow < 1 {
				continue
			}
			m := &memory{double: r.IntN(3) == 0}
			p.Src = m.image(r, n, ic, h, w, r.IntN(2), r.IntN(2), 0, 0, 0, true)
			p.Dst = Image{N: n, C: c, H: h, W: w, Top: d.PadTop, Left: d.PadLeft + r.IntN(2), Bottom: d.PadTop, Right: d.PadLeft}
			d.Src = p.Dst
			d.Dst = m.image(r, n, c, oh, ow, 1, 0, 0, 1, r.IntN(2), false)
			d.Dst.Clear = true
			pw, pb, dw, db := random(r, c*ic), random(r, c), random(r, c*d.KH*d.KW), random(r, c)
			p.W, p.Bias = m.put(pack.Conv(pw, c, ic, 1, 1)), m.put(padded16(pb))
			d.W, d.Bias = m.put(pack.Depthwise(dw, c, d.KH, d.KW)), m.put(padded16(db))
			m.run(t, &k)
			between := make([]float64, h*w)
			for i := range n {
				for ch := range c {
					for px := range between {
						sum := float64(pb[ch])
						for f := range ic {
							sum += m.at(&p.Src, i, f, px/w, px%w) * float64(pw[ch*ic+f])
						}
						between[px] = Eval(p.Act.Fn, sum, float64(p.Act.Alpha), float64(p.Act.Beta))
					}
					for y := range oh {
						for x := range ow {
							if spared(r) {
								continue
							}
							sum := float64(db[ch])
							size := 1.0
							for ky := range d.KH {
								for kx := range d.KW {
									sy, sx := y*d.SH-d.PadTop+ky*d.DH, x*d.SW-d.PadLeft+kx*d.DW
									if sy >= 0 && sy < h && sx >= 0 && sx < w {
										v := between[sy*w+sx] * float64(dw[(ch*d.KH+ky)*d.KW+kx])
										sum += v
										size += math.Abs(v)
									}
								}
							}
							want := Eval(d.Act.Fn, sum, float64(d.Act.Alpha), float64(d.Act.Beta))
							if got := m.at(&d.Dst, i, ch, y, x); math.Abs(got-want) > 1e-5*size {
								t.Fatalf("seed %d: [%d,%d,%d,%d] is %g, want %g\n%+v", seed, i, ch, y, x, got, want, k)
							}
						}
					}
				}
			}
			checkBorder(t, m, &d.Dst)
		}
	})
}
