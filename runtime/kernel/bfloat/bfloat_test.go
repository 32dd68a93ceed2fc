package bfloat

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"modelc/backend/cpu/pack"
	"modelc/runtime/internal/mem"
	"modelc/runtime/internal/simd"
	"modelc/runtime/kernel"
)

// tiers runs f on every tier that this machine has, or with -short, which is for the race
// detector, on the first and the last.
func tiers(t *testing.T, f func(t *testing.T)) {
	defer simd.Use(simd.Active())
	available := simd.Available()
	for i, tier := range available {
		if testing.Short() && 0 < i && i < len(available)-1 {
			continue
		}
		simd.Use(tier)
		t.Run(tier.Name, f)
	}
}

const canary = 0xa5

// memory lays operands out with canaries between them.
type memory struct {
	data  []byte
	guard []int // positions that must keep the canary
}

// alloc returns n elements of the given size.
func (m *memory) alloc(n, size int) kernel.Ref {
	for range 64 + -len(m.data)&63 {
		m.guard = append(m.guard, len(m.data))
		m.data = append(m.data, canary)
	}
	r := kernel.Ref{Space: kernel.Arena, Off: len(m.data), Len: n}
	m.data = append(m.data, make([]byte, n*size)...)
	return r
}

func view[T any](data []byte, r kernel.Ref) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(&data[r.Off])), r.Len)
}

func put[T any](m *memory, v []T) kernel.Ref {
	if v == nil {
		return kernel.Ref{}
	}
	var z T
	r := m.alloc(len(v), int(unsafe.Sizeof(z)))
	copy(view[T](m.data, r), v)
	return r
}

// image allocates an image with a border in a concatenation. Values outside the border,
// also of unused channels, are random; the border and unused channels of operands are zero.
func (m *memory) image(r *rand.Rand, elem kernel.Elem, n, c, h, w, top, left, bottom, right int) kernel.Image {
	img := kernel.Image{Elem: elem, N: n, C: c, H: h, W: w, Top: top, Left: left, Bottom: bottom, Right: right, Clear: true}
	if elem == kernel.BFloat16 {
		img.Block = block
	}
	img.BatchStride = (img.Blocks() + r.IntN(2)) * img.Plane()
	img.Ref = m.alloc(img.Size(), elem.Bytes())
	return img
}

// fill gives all pixels random values.
func (m *memory) fill(r *rand.Rand, img *kernel.Image) {
	for n := range img.N {
		for c := range img.C {
			for y := range img.H {
				for x := range img.W {
					m.set(img, n, c, y, x, float32(r.NormFloat64()))
				}
			}
		}
	}
}

func element(img *kernel.Image, n, c, y, x int) int {
	return img.At(n, c/img.Lanes(), y, x) + img.Lane(c)
}

func (m *memory) set(img *kernel.Image, n, c, y, x int, v float32) {
	at := element(img, n, c, y, x)
	if img.Elem == kernel.Float32 {
		view[float32](m.data, img.Ref)[at] = v
	} else {
		view[uint16](m.data, img.Ref)[at] = simd.ToBFloat16(v)
	}
}

// get returns an element, zero outside the image.
func get(data []byte, img *kernel.Image, n, c, y, x int) float64 {
	if y < 0 || x < 0 || y >= img.H || x >= img.W {
		return 0
	}
	at := element(img, n, c, y, x)
	if img.Elem == kernel.Float32 {
		return float64(view[float32](data, img.Ref)[at])
	}
	return float64(widened(view[uint16](data, img.Ref)[at]))
}

func widened(h uint16) float32  { return math.Float32frombits(uint32(h) << 16) }
func rounded(x float32) float32 { return widened(simd.ToBFloat16(x)) }

// run checks k and runs it with several numbers of threads. It requires that all results
// have the same bits, that the canaries are unchanged and that k allocates nothing. It
// returns the memory after the run.
func (m *memory) run(t *testing.T, k kernel.Kernel) []byte {
	t.Helper()
	v, err := kernel.NewVerifier([]kernel.Memory{{Bytes: len(m.data), Read: true, Write: true}})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Verify(k); err != nil {
		t.Fatalf("%v\n%+v", err, k)
	}
	var first []byte
	for _, threads := range []int{1, 2, 3} {
		data := mem.Aligned(len(m.data))
		copy(data, m.data)
		c := kernel.NewContext([][]byte{data}, threads, k.ScratchBytes(), false, nil)
		for i := range threads {
			for j := range c.Scratch(i) {
				c.Scratch(i)[j] = 0xff // NaN
			}
		}
		k.Run(c)
		for _, g := range m.guard {
			if data[g] != canary {
				t.Fatalf("%d threads: wrote outside an operand, byte %d\n%+v", threads, g, k)
			}
		}
		if first == nil {
			first = bytes.Clone(data)
		} else if !bytes.Equal(first, data) {
			t.Fatalf("%d threads: other bits than with one thread\n%+v", threads, k)
		}
		if threads == 2 && !testing.Short() {
			a := 1.0
			for try := 0; a > 0 && try < 5; try++ {
				a = testing.AllocsPerRun(1, func() { copy(data, m.data); k.Run(c) })
			}
			if a > 0 {
				t.Fatalf("%g allocations\n%+v", a, k)
			}
		}
		c.Closer()()
	}
	return first
}

func floatsOf(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// padded returns v with zeros up to whole blocks of 16.
func padded(v []float32) []float32 { return append(v, make([]float32, -len(v)&15)...) }

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// layer is a random convolution with its operands.
type layer struct {
	Conv
	memory
	filters, bias, scale, shift []float32
}

func newLayer(r *rand.Rand, winograd bool) *layer {
	l := &layer{}
	k := &l.Conv
	ic, oc := 1+r.IntN(70), 1+r.IntN(50)
	h, w := 3+r.IntN(7), 3+r.IntN(20)
	k.KH, k.KW, k.SH, k.SW, k.DH, k.DW = 1+r.IntN(3), 1+r.IntN(3), 1+r.IntN(2), 1+r.IntN(2), 1+r.IntN(2), 1+r.IntN(2)
	if r.IntN(3) == 0 {
		k.KH, k.KW, k.SH, k.SW = 1, 1, 1, 1
	}
	if winograd {
		k.KH, k.KW, k.SH, k.SW, k.DH, k.DW = 3, 3, 1, 1, 1, 1
	}
	k.PadTop, k.PadLeft = r.IntN(2), r.IntN(2)
	bottom, right := r.IntN(2), r.IntN(2)
	oh := (h+k.PadTop+bottom-(k.KH-1)*k.DH-1)/k.SH + 1
	ow := (w+k.PadLeft+right-(k.KW-1)*k.DW-1)/k.SW + 1
	if oh < 1 || ow < 1 || h+k.PadTop+bottom < (k.KH-1)*k.DH+1 || w+k.PadLeft+right < (k.KW-1)*k.DW+1 {
		return newLayer(r, winograd)
	}
	n := 1 + r.IntN(2)
	k.Src = l.image(r, kernel.BFloat16, n, ic, h, w, k.PadTop, k.PadLeft, bottom, right)
	l.fill(r, &k.Src)
	for n := range k.Src.N { // unused channels hold any finite values
		for ch := ic; ch < k.Src.Blocks()*block; ch++ {
			l.set(&k.Src, n, ch, r.IntN(h), r.IntN(w), float32(r.NormFloat64()))
		}
	}
	b := r.IntN(2)
	k.Dst = l.image(r, kernel.BFloat16, n, oc, oh, ow, b, b, b, b)
	if r.IntN(3) == 0 {
		k.Residual = l.image(r, kernel.BFloat16, n, oc, oh, ow, 0, b, b, 0)
		l.fill(r, &k.Residual)
	}
	l.filters = floatsOf(r, oc*ic*k.KH*k.KW)
	for i, f := range l.filters {
		l.filters[i] = rounded(f)
	}
	bits := pack.Pairs(l.filters, oc, ic, k.KH, k.KW, Folds(ic))
	half := make([]uint16, len(bits))
	for i, f := range bits {
		half[i] = simd.ToBFloat16(f)
	}
	k.W = put(&l.memory, half)
	if r.IntN(3) > 0 {
		l.bias = floatsOf(r, oc)
		k.Bias = put(&l.memory, padded(l.bias))
	}
	if r.IntN(3) == 0 {
		l.scale, l.shift = floatsOf(r, ic), floatsOf(r, ic)
		k.Pre = kernel.Act{Fn: kernel.ActRelu}
		if r.IntN(3) == 0 {
			for i := range l.scale {
				l.scale[i] = 1
			}
		} else {
			k.Scale = put(&l.memory, padded(l.scale))
		}
		if r.IntN(3) == 0 {
			clear(l.shift)
		} else {
			k.Shift = put(&l.memory, padded(l.shift))
		}
	}
	k.Act = pick(r, kernel.Act{}, kernel.Act{Fn: kernel.ActRelu}, kernel.Act{Fn: kernel.ActClip, Alpha: -3, Beta: 6}, kernel.Act{Fn: kernel.ActTanh})
	return l
}

// want returns the element of the result before it is rounded, computed in float64, and
// the sum of the magnitudes that it adds.
func (l *layer) want(n, o, y, x int) (sum, size float64) {
	k := &l.Conv
	if l.bias != nil {
		sum = float64(l.bias[o])
	}
	for c := range k.Src.C {
		for i := range k.KH {
			for j := range k.KW {
				iy, ix := y*k.SH-k.PadTop+i*k.DH, x*k.SW-k.PadLeft+j*k.DW
				v := get(l.data, &k.Src, n, c, iy, ix)
				if l.scale != nil && iy >= 0 && ix >= 0 && iy < k.Src.H && ix < k.Src.W {
					v = float64(rounded(float32(max(0, v*float64(l.scale[c])+float64(l.shift[c])))))
				}
				f := float64(l.filters[((o*k.Src.C+c)*k.KH+i)*k.KW+j])
				sum += v * f
				size += math.Abs(v * f)
			}
		}
	}
	if k.Residual.N > 0 {
		sum += get(l.data, &k.Residual, n, o, y, x)
	}
	return sum, size
}

// check compares an image with the layer. tol is the tolerance of sums, relative to their
// terms, beside the rounding of the result.
func (l *layer) check(t *testing.T, data []byte, dst *kernel.Image, pool int, tol float64) {
	t.Helper()
	k := &l.Conv
	for n := range dst.N {
		for o := range dst.C {
			for y := range dst.H {
				for x := range dst.W {
					want, size := math.Inf(-1), 0.0
					for i := range pool * pool {
						s, m := l.want(n, o, y*pool+i/pool, x*pool+i%pool)
						want, size = max(want, s), max(size, m)
					}
					want = kernel.Eval(k.Act.Fn, want, float64(k.Act.Alpha), float64(k.Act.Beta))
					got := get(data, dst, n, o, y, x)
					if math.IsNaN(got) || math.Abs(got-want) > math.Abs(want)/256+tol*size+1e-6 {
						t.Fatalf("image %d, channel %d, pixel (%d,%d) is %g, want %g\n%+v", n, o, y, x, got, want, k)
					}
				}
			}
			for _, p := range [][2]int{{-dst.Top, 0}, {dst.H + dst.Bottom - 1, 0}} { // the border is zero
				if p[0] < 0 || p[0] >= dst.H {
					if v := view[uint16](data, dst.Ref)[element(dst, n, o, p[0], p[1])]; v != 0 {
						t.Fatalf("the border is %x\n%+v", v, k)
					}
				}
			}
		}
		// Unused channels are finite.
		for o := dst.C; o < dst.Blocks()*block; o++ {
			if v := widened(view[uint16](data, dst.Ref)[element(dst, n, o, 0, 0)]); v-v != 0 {
				t.Fatalf("unused channel %d is %g\n%+v", o, v, k)
			}
		}
	}
}

// TestConv compares convolutions with sums in float64. All tiers give the same bits, unless
// arithmetic in float32 other than sums of products takes part.
func TestConv(t *testing.T) {
	first := map[uint64][]byte{}
	tiers(t, func(t *testing.T) {
		for seed := range uint64(40) {
			l := newLayer(rand.New(rand.NewPCG(seed, 1)), false)
			data := l.run(t, &l.Conv)
			l.check(t, data, &l.Dst, 1, 1e-6)
			if l.scale != nil || l.Act.Fn == kernel.ActTanh {
				continue
			}
			if got := data[l.Dst.Off:][:l.Dst.Bytes()]; first[seed] == nil {
				first[seed] = bytes.Clone(got)
			} else if !bytes.Equal(got, first[seed]) {
				t.Fatalf("seed %d: other bits than the first tier", seed)
			}
		}
	})
}

// TestConvFirst compares first layers with sums in float64. All tiers give the same bits.
func TestConvFirst(t *testing.T) {
	first := map[uint64][]byte{}
	tiers(t, func(t *testing.T) {
		for seed := range uint64(40) {
			r := rand.New(rand.NewPCG(seed, 7))
			m := &memory{}
			k := &ConvFirst{NHWC: r.IntN(2) == 0, N: 1 + r.IntN(2), C: 1 + r.IntN(4), H: 5 + r.IntN(9), W: 5 + r.IntN(40), KH: 1 + r.IntN(5), KW: 1 + r.IntN(5),
				SH: 1 + r.IntN(3), SW: 1 + r.IntN(3), DH: 1, PadTop: r.IntN(3), PadLeft: r.IntN(3)}
			if k.KH < 3 {
				k.DH += r.IntN(3)
			}
			k.Act = pick(r, kernel.Act{}, kernel.Act{Fn: kernel.ActRelu}, kernel.Act{Fn: kernel.ActClip, Alpha: -3, Beta: 6})
			oc := 1 + r.IntN(70)
			x, filters, bias := floatsOf(r, k.N*k.C*k.H*k.W), floatsOf(r, oc*k.C*k.KH*k.KW), floatsOf(r, oc)
			k.Src = put(m, x)
			h, w := max(1, (k.H+2*k.PadTop-(k.KH-1)*k.DH-1)/k.SH+1), max(1, (k.W+k.PadLeft-k.KW)/k.SW+1)
			k.Dst = m.image(r, kernel.BFloat16, k.N, oc, h, w, 1, 0, 0, 1)
			half := make([]uint16, 0)
			for _, f := range pack.FirstPairs(filters, oc, k.C, k.KH, k.KW) {
				half = append(half, simd.ToBFloat16(f))
			}
			k.Wt = put(m, half)
			if r.IntN(3) > 0 {
				k.Bias = put(m, padded(bias))
			} else {
				clear(bias)
			}
			data := m.run(t, k)
			in := func(n, c, y, x0 int) float64 {
				switch {
				case y < 0 || x0 < 0 || y >= k.H || x0 >= k.W:
					return 0
				case k.NHWC:
					return float64(rounded(x[((n*k.H+y)*k.W+x0)*k.C+c]))
				}
				return float64(rounded(x[((n*k.C+c)*k.H+y)*k.W+x0]))
			}
			for n := range k.N {
				for o := range oc {
					for y := range h {
						for x := range w {
							want := float64(bias[o])
							for i := range k.C * k.KH * k.KW {
								c, iy, ix := i/k.KW/k.KH, i/k.KW%k.KH, i%k.KW
								want += in(n, c, y*k.SH-k.PadTop+iy*k.DH, x*k.SW-k.PadLeft+ix) * float64(rounded(filters[o*k.C*k.KH*k.KW+i]))
							}
							want = kernel.Eval(k.Act.Fn, want, float64(k.Act.Alpha), float64(k.Act.Beta))
							if got := get(data, &k.Dst, n, o, y, x); math.IsNaN(got) || math.Abs(got-want) > math.Abs(want)/256+1e-4 {
								t.Fatalf("seed %d: channel %d of pixel (%d,%d) is %g, want %g\n%+v", seed, o, y, x, got, want, k)
							}
						}
					}
				}
			}
			if got := data[k.Dst.Off:][:k.Dst.Bytes()]; first[seed] == nil {
				first[seed] = bytes.Clone(got)
			} else if !bytes.Equal(got, first[seed]) {
				t.Fatalf("seed %d: other bits than the first tier", seed)
			}
		}
	})
}

// TestDepthwise compares depthwise convolutions with sums in float64. All tiers give the same
// bits.
func TestDepthwise(t *testing.T) {
	first := map[uint64][]byte{}
	tiers(t, func(t *testing.T) {
		for seed := range uint64(40) {
			r := rand.New(rand.NewPCG(seed, 6))
			l := newLayer(r, false)
			c := &l.Conv
			chans := c.Src.C
			k := &Depthwise{Src: c.Src, Act: c.Act, KH: c.KH, KW: c.KW, SH: c.SH, SW: c.SW, DH: c.DH, DW: c.DW, PadTop: c.PadTop, PadLeft: c.PadLeft}
			k.Dst = l.image(r, kernel.BFloat16, c.Dst.N, chans, c.Dst.H, c.Dst.W, 1, 0, 0, 1)
			if r.IntN(3) == 0 {
				k.Residual = l.image(r, kernel.BFloat16, c.Dst.N, chans, c.Dst.H, c.Dst.W, 0, 1, 1, 0)
				l.fill(r, &k.Residual)
			}
			bias := floatsOf(r, chans)
			if r.IntN(3) > 0 {
				k.Bias = put(&l.memory, padded(bias))
			} else {
				clear(bias)
			}
			whole := (chans + block - 1) / block * block
			filters := make([]float32, whole*k.KH*k.KW)
			for i := range chans * k.KH * k.KW {
				filters[i] = rounded(float32(r.NormFloat64()))
			}
			k.W = put(&l.memory, pack.Depthwise(filters, whole, k.KH, k.KW))
			data := l.run(t, k)
			for n := range k.Dst.N {
				for ch := range chans {
					for y := range k.Dst.H {
						for x := range k.Dst.W {
							want := float64(bias[ch])
							for i := range k.KH * k.KW {
								want += get(l.data, &k.Src, n, ch, y*k.SH-k.PadTop+i/k.KW*k.DH, x*k.SW-k.PadLeft+i%k.KW*k.DW) * float64(filters[ch*k.KH*k.KW+i])
							}
							if k.Residual.N > 0 {
								want += get(l.data, &k.Residual, n, ch, y, x)
							}
							want = kernel.Eval(k.Act.Fn, want, float64(k.Act.Alpha), float64(k.Act.Beta))
							if got := get(data, &k.Dst, n, ch, y, x); math.IsNaN(got) || math.Abs(got-want) > math.Abs(want)/256+1e-5 {
								t.Fatalf("seed %d: channel %d of pixel (%d,%d) is %g, want %g\n%+v", seed, ch, y, x, got, want, k)
							}
						}
					}
				}
			}
			if k.Act.Fn == kernel.ActTanh {
				continue
			}
			if got := data[k.Dst.Off:][:k.Dst.Bytes()]; first[seed] == nil {
				first[seed] = bytes.Clone(got)
			} else if !bytes.Equal(got, first[seed]) {
				t.Fatalf("seed %d: other bits than the first tier", seed)
			}
		}
	})
}

// TestConvDepthwise requires that a step of two convolutions has the bits of two steps.
func TestConvDepthwise(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(40) {
			r := rand.New(rand.NewPCG(seed, 8))
			m := &memory{}
			n, ic, oc, h, w := 1+r.IntN(2), 1+r.IntN(100), 1+r.IntN(100), 3+r.IntN(30), 3+r.IntN(20)
			b := 1 + r.IntN(2)
			clamp := func() kernel.Act {
				return pick(r, kernel.Act{}, kernel.Act{Fn: kernel.ActRelu}, kernel.Act{Fn: kernel.ActClip, Alpha: 1, Beta: 6})
			}
			p := Conv{KH: 1, KW: 1, SH: 1, SW: 1, DH: 1, DW: 1, Act: clamp()}
			p.Src = m.image(r, kernel.BFloat16, n, ic, h, w, 0, r.IntN(2), 1, 0)
			m.fill(r, &p.Src)
			var half []uint16
			for _, f := range pack.Pairs(floatsOf(r, oc*ic), oc, ic, 1, 1, Folds(ic)) {
				half = append(half, simd.ToBFloat16(f))
			}
			p.W, p.Bias = put(m, half), put(m, padded(floatsOf(r, oc)))
			p.Dst = m.image(r, kernel.BFloat16, n, oc, h, w, b, b, b, b)
			d := Depthwise{Src: p.Dst, KH: 3, KW: 1 + r.IntN(3), SH: 1 + r.IntN(2), SW: 1 + r.IntN(2), DH: 1 + r.IntN(2), DW: 1, PadTop: r.IntN(b + 1), PadLeft: r.IntN(b + 1), Act: clamp()}
			if r.IntN(4) == 0 {
				d.Act = kernel.Act{Fn: kernel.ActTanh}
			}
			oh, ow := (h+d.PadTop+b-(d.KH-1)*d.DH-1)/d.SH+1, (w+d.PadLeft+b-d.KW)/d.SW+1
			if h+d.PadTop+b < (d.KH-1)*d.DH+1 {
				continue
			}
			filters := make([]float32, (oc+block-1)/block*block*d.KH*d.KW)
			for i := range oc * d.KH * d.KW {
				filters[i] = rounded(float32(r.NormFloat64()))
			}
			d.W = put(m, pack.Depthwise(filters, len(filters)/d.KH/d.KW, d.KH, d.KW))
			d.Dst = m.image(r, kernel.BFloat16, n, oc, oh, ow, 1, 0, 0, 1)
			got := m.run(t, &ConvDepthwise{Point: p, Depth: d})
			m.data = m.run(t, &p)
			want := m.run(t, &d)
			if !bytes.Equal(got[d.Dst.Off:][:d.Dst.Bytes()], want[d.Dst.Off:][:d.Dst.Bytes()]) {
				t.Fatalf("seed %d: other bits than in two steps\n%+v\n%+v", seed, p, d)
			}
		}
	})
}

// TestWinograd compares Winograd's algorithms, with their transformed weights, with sums in
// float64. The transformed operands are rounded to bfloat16, so that the tolerance is that
// of a product. Tiers with vectors transform in the same order, so that they give the same
// bits, unless the float32 arithmetic of a prologue or an activation takes part.
func TestWinograd(t *testing.T) {
	first := map[uint64][]byte{}
	tiers(t, func(t *testing.T) {
		for seed := range uint64(24) {
			r := rand.New(rand.NewPCG(seed, 2))
			l := newLayer(r, true)
			c, m := &l.Conv, pick(r, 2, 2, 4)
			k := &Winograd{M: m, Src: c.Src, Dst: c.Dst, Bias: c.Bias, Residual: c.Residual, Scale: c.Scale, Shift: c.Shift, Pre: c.Pre, Act: c.Act,
				PadTop: c.PadTop, PadLeft: c.PadLeft, Tiles: 1 + r.IntN(40), OutBlocks: 1 + r.IntN(3)}
			pool := 1
			if _, _, clamps := k.Act.Clamp(); clamps && k.Residual.N == 0 && c.Dst.H > 1 && c.Dst.W > 1 && r.IntN(2) == 0 {
				pool, k.Pool = 2, 2
				k.Dst = l.image(r, kernel.BFloat16, c.Dst.N, c.Dst.C, c.Dst.H/2, c.Dst.W/2, 1, 0, 1, 0)
			}
			w := &WinogradWeights{M: m, IC: c.Src.C, OC: c.Dst.C, W: c.W}
			w.Dst = l.alloc(2*pack.WinogradLen(m, c.Dst.C, (c.Src.C+31)/32*16), 2)
			k.W = w.Dst
			l.data = l.run(t, w)
			data := l.run(t, k)
			l.check(t, data, &k.Dst, pool, map[int]float64{2: 8e-3, 4: 6e-2}[m])
			if m == 4 || l.scale != nil || k.Act.Fn == kernel.ActTanh || simd.Active().Lanes == 1 {
				continue
			}
			if got := data[k.Dst.Off:][:k.Dst.Bytes()]; first[seed] == nil {
				first[seed] = bytes.Clone(got)
			} else if !bytes.Equal(got, first[seed]) {
				t.Fatalf("seed %d: other bits than the first tier", seed)
			}
		}
	})
}

// TestConversions narrows images and widens them again.
func TestConversions(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(30) {
			r := rand.New(rand.NewPCG(seed, 3))
			m := &memory{}
			n, c, h, w := 1+r.IntN(2), 1+r.IntN(70), 1+r.IntN(20), 1+r.IntN(9)
			from := m.image(r, kernel.Float32, n, c, h, w, r.IntN(2), 0, 1, 0)
			m.fill(r, &from)
			half := m.image(r, kernel.BFloat16, n, c, h, w, 0, 1, r.IntN(2), 1)
			joined := m.image(r, kernel.BFloat16, n, c+block, h, w, 1, 0, 0, 0)
			back := m.image(r, kernel.Float32, n, c, h, w, 0, r.IntN(2), 0, 1)
			m.data = m.run(t, &Narrow{Src: from, Dst: half})
			m.data = m.run(t, &Copy{Src: half, Dst: joined, Block: 1})
			m.data = m.run(t, &Widen{Src: half, Dst: back})
			for i := range n {
				for ch := range c {
					for y := range h {
						for x := range w {
							want := float64(rounded(float32(get(m.data, &from, i, ch, y, x))))
							a, b := get(m.data, &back, i, ch, y, x), get(m.data, &joined, i, block+ch, y, x)
							if a != want || b != want {
								t.Fatalf("seed %d: channel %d of pixel (%d,%d) is %g and %g, want %g", seed, ch, y, x, a, b, want)
							}
						}
					}
				}
			}
		}
	})
}

// TestDense compares fully connected layers with sums in float64.
func TestDense(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(30) {
			r := rand.New(rand.NewPCG(seed, 4))
			m := &memory{}
			n, in, out := 1+r.IntN(5), pick(r, 1, 16, 50, 1+r.IntN(3000)), 1+r.IntN(100)
			x, w, bias := floatsOf(r, n*in), floatsOf(r, in*out), floatsOf(r, out)
			var half []uint16
			for part := range pack.DenseParts(w, in, out, false, nil) {
				for _, v := range pack.PairColumns(part) {
					half = append(half, simd.ToBFloat16(v))
				}
			}
			k := &Dense{X: put(m, x), Y: m.alloc(n*out, 4), W: put(m, half), N: n, K: in, M: out, Act: kernel.Act{Fn: kernel.ActRelu}}
			if r.IntN(2) == 0 {
				k.Bias = put(m, padded(bias))
			} else {
				clear(bias)
			}
			got := view[float32](m.run(t, k), k.Y)
			for i := range n {
				for o := range out {
					want, size := float64(bias[o]), 0.0
					for j := range in {
						p := float64(x[i*in+j]) * float64(rounded(w[j*out+o]))
						want += p
						size += math.Abs(p)
					}
					if math.Abs(float64(got[i*out+o])-max(0, want)) > 1e-5*(1+size) {
						t.Fatalf("seed %d: output %d of row %d is %g, want %g\n%+v", seed, o, i, got[i*out+o], max(0, want), k)
					}
				}
			}
		}
	})
}

// TestMaxPool compares maxima with those of the elements.
func TestMaxPool(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(30) {
			r := rand.New(rand.NewPCG(seed, 5))
			m := &memory{}
			k := &MaxPool{KH: 1 + r.IntN(3), KW: 1 + r.IntN(3), SH: 1 + r.IntN(2), SW: 1 + r.IntN(2), DH: 1 + r.IntN(2), DW: 1 + r.IntN(2)}
			h, w := 6+r.IntN(6), 6+r.IntN(20)
			k.PadTop, k.PadLeft = r.IntN(k.KH), r.IntN(k.KW)
			bottom, right := r.IntN(k.KH), r.IntN(k.KW)
			n, c := 1+r.IntN(2), 1+r.IntN(70)
			k.Src = m.image(r, kernel.BFloat16, n, c, h, w, r.IntN(2), 1, 0, r.IntN(2))
			m.fill(r, &k.Src)
			k.Dst = m.image(r, kernel.BFloat16, n, c, (h+k.PadTop+bottom-(k.KH-1)*k.DH-1)/k.SH+1, (w+k.PadLeft+right-(k.KW-1)*k.DW-1)/k.SW+1, 1, 0, 1, 1)
			data := m.run(t, k)
			for i := range n {
				for ch := range c {
					for y := range k.Dst.H {
						for x := range k.Dst.W {
							want := math.Inf(-1)
							for a := range k.KH {
								for b := range k.KW {
									if iy, ix := y*k.SH-k.PadTop+a*k.DH, x*k.SW-k.PadLeft+b*k.DW; iy >= 0 && ix >= 0 && iy < h && ix < w {
										want = max(want, get(m.data, &k.Src, i, ch, iy, ix))
									}
								}
							}
							if got := get(data, &k.Dst, i, ch, y, x); got != want {
								t.Fatalf("seed %d: channel %d of pixel (%d,%d) is %g, want %g\n%+v", seed, ch, y, x, got, want, k)
							}
						}
					}
				}
			}
		}
	})
}
