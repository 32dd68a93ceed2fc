package integer

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/kernel"
)

// arena is memory for the operands of one kernel. The bytes between operands must not
// change.
type arena struct {
	r     *rand.Rand
	bytes []byte
	used  int
	owned []bool // bytes that belong to an operand
}

func newArena(r *rand.Rand) *arena {
	return &arena{r: r, bytes: make([]byte, 1<<21), owned: make([]bool, 1<<21)}
}

// take reserves n elements of size bytes.
func (a *arena) take(n, size int) kernel.Ref {
	a.used += 16 + 64
	a.used = a.used / 64 * 64
	r := kernel.Ref{Off: a.used, Len: n}
	for i := range n * size {
		a.owned[a.used+i] = true
		a.bytes[a.used+i] = byte(a.r.Uint32())
	}
	a.used += n * size
	return r
}

// image reserves an image with random borders.
func (a *arena) image(elem kernel.Elem, block, n, c, h, w int) kernel.Image {
	r := a.r
	m := kernel.Image{Elem: elem, N: n, C: c, H: h, W: w, Top: r.IntN(3), Left: r.IntN(3), Bottom: r.IntN(3), Right: r.IntN(3), Fill: byte(r.Uint32()), Clear: true}
	if r.IntN(2) == 0 {
		m.Left, m.Right = 0, 0
	}
	if block != lanes {
		m.Block = block
	}
	if elem == kernel.Float32 {
		m.Fill = 0
	}
	m.BatchStride = m.Blocks()*m.Plane() + r.IntN(2)*lanes
	m.Ref = a.take(m.Size(), elem.Bytes())
	return m
}

func (a *arena) floats(r kernel.Ref) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(&a.bytes[r.Off])), r.Len)
}

// at returns an element of an image of bytes.
func (a *arena) at(m *kernel.Image, n, c, y, x int) byte {
	return a.bytes[m.Off+m.At(n, c/m.Lanes(), y, x)+c%m.Lanes()]
}

func (a *arena) floatAt(m *kernel.Image, n, c, y, x int) *float32 {
	return &a.floats(m.Ref)[m.At(n, c/lanes, y, x)+c%lanes]
}

// run runs k on every tier, and calls check after each run. Bytes that belong to no
// operand stay as they are, and the border of dst becomes its fill.
func (a *arena) run(t *testing.T, k kernel.Kernel, dst *kernel.Image, check func(t *testing.T)) {
	t.Helper()
	defer simd.Use(simd.Active())
	used := a.bytes[:a.used+64]
	before := append([]byte(nil), used...)
	for _, tier := range simd.Available() {
		simd.Use(tier)
		copy(used, before)
		c := kernel.NewContext([][]byte{a.bytes}, 1+a.r.IntN(2), k.ScratchBytes(), false, nil)
		k.Run(c)
		c.Closer()()
		for i, b := range used {
			if !a.owned[i] && b != before[i] {
				t.Fatalf("%s changes byte %d", tier.Name, i)
			}
		}
		if dst != nil {
			a.checkBorder(t, dst)
		}
		t.Run(tier.Name, check)
		if t.Failed() {
			t.Fatalf("%+v", k)
		}
	}
}

func (a *arena) checkBorder(t *testing.T, m *kernel.Image) {
	t.Helper()
	for n := range m.N {
		for b := range m.Blocks() {
			for y := -m.Top; y < m.H+m.Bottom; y++ {
				for x := -m.Left; x < m.W+m.Right; x++ {
					if y >= 0 && y < m.H && x >= 0 && x < m.W {
						continue
					}
					for _, v := range a.bytes[m.Off+m.At(n, b, y, x)*m.Elem.Bytes():][:m.PixelBytes()] {
						if v != m.Fill {
							t.Fatalf("border at %d,%d is %d, want %d", y, x, v, m.Fill)
						}
					}
				}
			}
		}
	}
}

func overImage(m *kernel.Image, f func(n, c, y, x int)) {
	for n := range m.N {
		for c := range m.C {
			for y := range m.H {
				for x := range m.W {
					f(n, c, y, x)
				}
			}
		}
	}
}

// rounded returns round(v) + zero between lo and hi. The sum of v and 1.5·2⁵² is rounded
// half to even, in a way that the kernels do not use.
func rounded(v float64, zero, lo, hi int) byte {
	v = min(max(v, -1e6), 1e6)
	if v != v {
		return byte(lo)
	}
	const magic = 3 << 51
	return byte(min(max(int(v+magic-magic)+zero, lo), hi))
}

var odd = []float32{kernel.NaN32, kernel.Inf32, -kernel.Inf32, 3e38, -3e38, 0, float32(math.Copysign(0, -1)), 1e-40, 0.5, 1.5, 2.5, -0.5, -1.5}

func TestQuantize(t *testing.T) {
	for seed := range uint64(24) {
		r := rand.New(rand.NewPCG(seed, 1))
		a := newArena(r)
		n, h, w := 1+r.IntN(2), 1+r.IntN(20), 1+r.IntN(40)
		block := []int{lanes, 4}[r.IntN(2)]
		c := 1 + r.IntN(4)
		if block == lanes {
			c = 1 + r.IntN(36)
		}
		k := &Quantize{Scale: []float32{0.5, 0.0173, 1, 1e-30}[r.IntN(4)], Zero: r.IntN(256), NHWC: r.IntN(2) == 0}
		k.Dst = a.image(kernel.Uint8, block, n, c, h, w)
		var x func(n, c, y, x int) *float32
		if r.IntN(2) == 0 {
			k.Image = a.image(kernel.Float32, lanes, n, c, h, w)
			k.Image.Clear = false
			x = func(n, c, y, x int) *float32 { return a.floatAt(&k.Image, n, c, y, x) }
		} else {
			k.Src = a.take(n*c*h*w, 4)
			x = func(n, ch, y, x int) *float32 {
				if k.NHWC {
					return &a.floats(k.Src)[((n*h+y)*w+x)*c+ch]
				}
				return &a.floats(k.Src)[((n*c+ch)*h+y)*w+x]
			}
		}
		overImage(&k.Dst, func(n, ch, y, xx int) {
			v := float32(r.NormFloat64()) * 100 * k.Scale
			if r.IntN(8) == 0 {
				v = odd[r.IntN(len(odd))] * k.Scale
			}
			*x(n, ch, y, xx) = v
		})
		a.run(t, k, &k.Dst, func(t *testing.T) {
			overImage(&k.Dst, func(n, ch, y, xx int) {
				v := *x(n, ch, y, xx)
				want := rounded(float64(v/k.Scale), k.Zero, 0, 255)
				if v != v {
					want = 0
				}
				if got := a.at(&k.Dst, n, ch, y, xx); got != want {
					t.Fatalf("seed %d: %g at %d,%d,%d becomes %d, want %d", seed, v, ch, y, xx, got, want)
				}
			})
		})
	}
}

func TestDynamicQuantize(t *testing.T) {
	for seed := range uint64(16) {
		r := rand.New(rand.NewPCG(seed, 2))
		a := newArena(r)
		n, c, h, w := 1+r.IntN(2), 1+r.IntN(20), 1+r.IntN(9), 1+r.IntN(20)
		k := &DynamicQuantize{Scale: a.take(1, 4), Zero: a.take(1, 1)}
		k.Dst = a.image(kernel.Uint8, lanes, n, c, h, w)
		k.Dst.FillFrom = k.Zero
		k.Image = a.image(kernel.Float32, lanes, n, c, h, w)
		shift := r.NormFloat64() * 3
		lo, hi := float32(0), float32(0)
		overImage(&k.Dst, func(n, ch, y, x int) {
			v := float32(r.NormFloat64() + shift)
			if seed == 7 {
				v = 0
			}
			*a.floatAt(&k.Image, n, ch, y, x) = v
			lo, hi = min(lo, v), max(hi, v)
		})
		if seed == 8 {
			*a.floatAt(&k.Image, 0, 0, 0, 0), lo, hi = kernel.NaN32, kernel.NaN32, kernel.NaN32
		}
		scale := (hi - lo) / 255
		if lo == hi {
			scale = 1
		}
		zero := byte(0)
		if scale == scale {
			zero = rounded(float64(-lo/scale), 0, 0, 255)
		}
		a.run(t, k, nil, func(t *testing.T) {
			m := k.Dst
			m.Fill = zero
			a.checkBorder(t, &m)
			if got := a.floats(k.Scale)[0]; got != scale && scale == scale || a.bytes[k.Zero.Off] != zero {
				t.Fatalf("scale %g and zero %d, want %g and %d", got, a.bytes[k.Zero.Off], scale, zero)
			}
			overImage(&k.Dst, func(n, ch, y, x int) {
				want := byte(0)
				if v := *a.floatAt(&k.Image, n, ch, y, x) / scale; v == v {
					want = rounded(float64(v), int(zero), 0, 255)
				}
				if got := a.at(&k.Dst, n, ch, y, x); got != want {
					t.Fatalf("seed %d: got %d, want %d", seed, got, want)
				}
			})
		})
	}
}

func TestDequantize(t *testing.T) {
	for seed := range uint64(16) {
		r := rand.New(rand.NewPCG(seed, 3))
		a := newArena(r)
		n, c, h, w := 1+r.IntN(2), 1+r.IntN(36), 1+r.IntN(20), 1+r.IntN(12)
		block := lanes
		if c <= 4 && r.IntN(2) == 0 {
			block = 4
		}
		k := &Dequantize{Scale: float32(r.ExpFloat64()), Zero: r.IntN(256), NHWC: r.IntN(2) == 0}
		k.Src = a.image(kernel.Uint8, block, n, c, h, w)
		var dst *kernel.Image
		y := func(n, ch, y, x int) float32 {
			if k.NHWC {
				return a.floats(k.Dst)[((n*h+y)*w+x)*c+ch]
			}
			return a.floats(k.Dst)[((n*c+ch)*h+y)*w+x]
		}
		if r.IntN(2) == 0 {
			k.Image = a.image(kernel.Float32, lanes, n, c, h, w)
			dst = &k.Image
			y = func(n, c, y, x int) float32 { return *a.floatAt(dst, n, c, y, x) }
		} else {
			k.Dst = a.take(n*c*h*w, 4)
		}
		a.run(t, k, dst, func(t *testing.T) {
			overImage(&k.Src, func(n, ch, yy, x int) {
				want := k.Scale * float32(int(a.at(&k.Src, n, ch, yy, x))-k.Zero)
				if got := y(n, ch, yy, x); got != want {
					t.Fatalf("seed %d: got %g, want %g", seed, got, want)
				}
			})
		})
	}
}

// Unpack undoes Pack.
func TestPack(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 4))
		a := newArena(r)
		n, c, h, w := 1+r.IntN(2), 1+r.IntN(36), 1+r.IntN(20), 1+r.IntN(12)
		flip := byte(r.IntN(2) * 128)
		p := &Pack{Src: a.take(n*c*h*w, 1), Dst: a.image(kernel.Uint8, lanes, n, c, h, w), NHWC: r.IntN(2) == 0, Flip: flip}
		u := &Unpack{Src: p.Dst, Dst: a.take(n*c*h*w, 1), NHWC: p.NHWC, Flip: flip}
		a.run(t, p, &p.Dst, func(t *testing.T) {
			overImage(&p.Dst, func(n, ch, y, x int) {
				at := ((n*c+ch)*h+y)*w + x
				if p.NHWC {
					at = ((n*h+y)*w+x)*c + ch
				}
				if got, want := a.at(&p.Dst, n, ch, y, x), a.bytes[p.Src.Off+at]+flip; got != want {
					t.Fatalf("seed %d: got %d, want %d", seed, got, want)
				}
			})
		})
		a.run(t, u, nil, func(t *testing.T) {
			if got, want := string(a.bytes[u.Dst.Off:][:u.Dst.Len]), string(a.bytes[p.Src.Off:][:p.Src.Len]); got != want {
				t.Fatalf("seed %d: % x, want % x", seed, got, want)
			}
		})
	}
}

func TestLookup(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	a := newArena(r)
	k := &Lookup{Src: a.image(kernel.Uint8, lanes, 2, 19, 17, 9), Dst: a.image(kernel.Uint8, lanes, 2, 19, 17, 9), Table: a.take(256, 1)}
	a.run(t, k, &k.Dst, func(t *testing.T) {
		overImage(&k.Dst, func(n, c, y, x int) {
			if got, want := a.at(&k.Dst, n, c, y, x), a.bytes[k.Table.Off+int(a.at(&k.Src, n, c, y, x))]; got != want {
				t.Fatalf("got %d, want %d", got, want)
			}
		})
	})
}

func TestBinary(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 6))
		a := newArena(r)
		n, c, h, w := 1+r.IntN(2), 1+r.IntN(36), 1+r.IntN(20), 1+r.IntN(12)
		block := lanes
		if c <= 4 && r.IntN(2) == 0 {
			block = 4
		}
		k := &Binary{Fn: []kernel.BinaryFn{kernel.BinAdd, kernel.BinMul}[r.IntN(2)], AZero: r.IntN(256), BZero: r.IntN(256), Zero: r.IntN(256), Lo: r.IntN(100), Hi: 100 + r.IntN(156),
			AScale: []float32{0.5, 0.37, 0.003, 3e38}[r.IntN(4)], BScale: []float32{0.25, 0.41, 3e38}[r.IntN(3)]}
		k.A = a.image(kernel.Uint8, block, n, c, h, w)
		k.B = a.image(kernel.Uint8, block, n, c, h, w)
		switch r.IntN(3) {
		case 0:
			k.B = a.image(kernel.Uint8, block, []int{1, n}[r.IntN(2)], c, 1, 1)
		case 1:
			k.B = a.image(kernel.Uint8, block, 1, c, h, w)
		}
		k.Dst = a.image(kernel.Uint8, block, n, c, h, w)
		a.run(t, k, &k.Dst, func(t *testing.T) {
			overImage(&k.Dst, func(n, ch, y, x int) {
				p := int(a.at(&k.A, n, ch, y, x)) - k.AZero
				q := int(a.at(&k.B, min(n, k.B.N-1), ch, min(y, k.B.H-1), min(x, k.B.W-1))) - k.BZero
				v := float32(p*q) * k.AScale
				if k.Fn == kernel.BinAdd {
					v = float32(float32(p)*k.AScale) + float32(float32(q)*k.BScale) // not fused
				}
				if got, want := a.at(&k.Dst, n, ch, y, x), rounded(float64(v), k.Zero, k.Lo, k.Hi); got != want {
					t.Fatalf("seed %d: %d and %d give %d, want %d", seed, p, q, got, want)
				}
			})
		})
	}
}

func TestAffine(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 8))
		a := newArena(r)
		c, h, w := 1+r.IntN(36), 1+r.IntN(20), 1+r.IntN(12)
		k := &Affine{XScale: 0.37, YScale: float32(0.1 + r.Float64()), XZero: r.IntN(256), YZero: r.IntN(256),
			Act: []kernel.Act{{}, {Fn: kernel.ActRelu}, {Fn: kernel.ActClip, Alpha: -3, Beta: 20}}[r.IntN(3)]}
		k.Src, k.Dst = a.image(kernel.Uint8, lanes, 2, c, h, w), a.image(kernel.Uint8, lanes, 2, c, h, w)
		scale, shift := make([]float32, 48), make([]float32, 48)
		for i := range scale {
			scale[i], shift[i] = 1, 0
		}
		if seed > 0 {
			k.Scale, k.Shift = a.take(48, 4), a.take(48, 4)
			scale, shift = a.floats(k.Scale), a.floats(k.Shift)
			for i := range scale {
				scale[i], shift[i] = float32(r.NormFloat64()), float32(r.NormFloat64())
			}
		}
		if seed == 1 {
			shift[0] = kernel.NaN32
		}
		lo, hi, _ := k.Act.Clamp()
		a.run(t, k, &k.Dst, func(t *testing.T) {
			overImage(&k.Dst, func(n, ch, y, x int) {
				v := float32(int(a.at(&k.Src, n, ch, y, x))-k.XZero) * k.XScale
				v = float32(math.FMA(float64(v), float64(scale[ch]), float64(shift[ch])))
				want := byte(0)
				if v == v {
					want = rounded(float64(min(max(v, lo), hi)/k.YScale), k.YZero, 0, 255)
				}
				if got := a.at(&k.Dst, n, ch, y, x); got != want {
					t.Fatalf("seed %d: got %d, want %d", seed, got, want)
				}
			})
		})
	}
}

func TestPools(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 7))
		a := newArena(r)
		n, c, h, w := 1+r.IntN(2), 1+r.IntN(36), 3+r.IntN(20), 3+r.IntN(20)
		block := lanes
		if c <= 4 && r.IntN(2) == 0 {
			block = 4
		}
		g := Window{KH: 1 + r.IntN(4), KW: 1 + r.IntN(4), SH: 1 + r.IntN(3), SW: 1 + r.IntN(3), DH: 1 + r.IntN(2), DW: 1 + r.IntN(2)}
		if r.IntN(4) == 0 {
			g = Window{KH: h, KW: w, SH: 1, SW: 1, DH: 1, DW: 1}
		}
		g.PadTop, g.PadLeft = r.IntN(g.KH+2), r.IntN(g.KW+2) // windows may have no pixels
		bottom, right := r.IntN(g.KH+2), r.IntN(g.KW+2)
		tall, wide := h+g.PadTop+bottom-(g.KH-1)*g.DH-1, w+g.PadLeft+right-(g.KW-1)*g.DW-1
		if tall < 0 || wide < 0 {
			continue
		}
		oh, ow := tall/g.SH+1, wide/g.SW+1
		src, dst := a.image(kernel.Uint8, block, n, c, h, w), a.image(kernel.Uint8, block, n, c, oh, ow)
		p := &MaxPool{Src: src, Dst: dst, Window: g, Empty: byte(r.Uint32())}
		q := &AveragePool{Src: src, Dst: dst, Window: g, PadBottom: bottom, PadRight: right, CountPad: r.IntN(2) == 0, XScale: 0.3, YScale: float32(0.1 + r.Float64()), XZero: r.IntN(256), YZero: r.IntN(256)}
		// over calls f with the elements of a window, and returns the number of elements
		// inside the padded image.
		over := func(n, ch, y, x int, f func(v int)) (padded int) {
			for i := range g.KH {
				for j := range g.KW {
					yy, xx := y*g.SH-g.PadTop+i*g.DH, x*g.SW-g.PadLeft+j*g.DW
					if yy >= 0 && yy < h && xx >= 0 && xx < w {
						f(int(a.at(&src, n, ch, yy, xx)))
					}
					if yy < h+bottom && xx < w+right {
						padded++
					}
				}
			}
			return padded
		}
		a.run(t, p, &dst, func(t *testing.T) {
			overImage(&dst, func(n, ch, y, x int) {
				want := 0
				empty := true
				over(n, ch, y, x, func(v int) { want, empty = max(want, v), false })
				if empty {
					want = int(p.Empty)
				}
				if got := a.at(&dst, n, ch, y, x); int(got) != want {
					t.Fatalf("seed %d: maximum is %d, want %d", seed, got, want)
				}
			})
		})
		a.run(t, q, &dst, func(t *testing.T) {
			overImage(&dst, func(n, ch, y, x int) {
				sum, count := 0, 0
				padded := over(n, ch, y, x, func(v int) { sum += v - q.XZero; count++ })
				if q.CountPad {
					count = padded
				}
				want := byte(0)
				if v := float32(sum) * (q.XScale / (q.YScale * float32(count))); v == v {
					want = rounded(float64(v), q.YZero, 0, 255)
				}
				if got := a.at(&dst, n, ch, y, x); got != want {
					t.Fatalf("seed %d: average is %d, want %d", seed, got, want)
				}
			})
		})
	}
}
