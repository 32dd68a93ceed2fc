package integer

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
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

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

const canary = 0xa5

// memory lays operands out with canaries between them.
type memory struct {
	data  []byte
	guard []int // positions that must keep the canary
}

func (m *memory) pad(n int) {
	for range n {
		m.guard = append(m.guard, len(m.data))
		m.data = append(m.data, canary)
	}
}

// alloc returns n elements of the given size.
func (m *memory) alloc(n, size int) kernel.Ref {
	m.pad(64 + -len(m.data)&63)
	r := kernel.Ref{Space: kernel.Arena, Off: len(m.data), Len: n}
	m.data = append(m.data, make([]byte, n*size)...)
	m.pad(1)
	return r
}

func put[T any](m *memory, v []T) kernel.Ref {
	r := m.alloc(len(v), int(unsafe.Sizeof(v[0])))
	copy(view[T](m, r), v)
	return r
}

func view[T any](m *memory, r kernel.Ref) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(&m.data[r.Off])), r.Len)
}

// image allocates an image in a concatenation with extra blocks. All its bytes are random,
// those of the border too.
func (m *memory) image(r *rand.Rand, elem kernel.Elem, block, n, c, h, w, top, left, bottom, right int) kernel.Image {
	img := kernel.Image{Elem: elem, Block: block, N: n, C: c, H: h, W: w, Top: top, Left: left, Bottom: bottom, Right: right}
	img.BatchStride = (img.Blocks() + r.IntN(2)) * img.Plane()
	img.Ref = m.alloc(img.Size(), elem.Bytes())
	for i := range img.Bytes() {
		m.data[img.Off+i] = byte(r.Uint32())
	}
	return img
}

// run executes k with several numbers of threads. It checks that all results have the same
// bits, that the canaries are unchanged and, without -short, that k allocates nothing.
func (m *memory) run(t *testing.T, k kernel.Kernel) {
	t.Helper()
	before := bytes.Clone(m.data)
	var first []byte
	for _, threads := range []int{1, 2, 3} {
		data := mem.Aligned(len(before))
		copy(data, before)
		c := kernel.NewContext([][]byte{data}, threads, k.ScratchBytes(), false, nil)
		for i := range threads {
			for j := range c.Scratch(i) { // values of another kernel
				c.Scratch(i)[j] = canary
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
		if !testing.Short() && threads == 2 {
			// Other goroutines of the test may allocate during a run, but not during each.
			a := 1.0
			for try := 0; a > 0 && try < 5; try++ {
				a = testing.AllocsPerRun(1, func() { copy(data, before); k.Run(c) })
			}
			if a > 0 {
				t.Fatalf("%g allocations\n%+v", a, k)
			}
		}
		c.Closer()()
	}
	copy(m.data, first)
}

// quantised has the random operands of a result.
type quantised struct {
	Result
	bias       []int32
	multiplier []float32
	shift      []float32
	zero       byte   // of x
	before     []byte // the memory before the run, if a residual is added
}

var someActs = []kernel.Act{{}, {Fn: kernel.ActRelu}, {Fn: kernel.ActClip, Alpha: -0.5, Beta: 1}, {Fn: kernel.ActAbs}}

// result allocates random operands for the weights w [oc,…].
func result(r *rand.Rand, m *memory, w []int16, oc int) quantised {
	q := quantised{zero: byte(pick(r, 0, 128, 255, r.IntN(256))), bias: make([]int32, oc), multiplier: make([]float32, pick(r, 1, oc))}
	for o := range q.bias {
		q.bias[o] = int32(r.IntN(20001) - 10000)
	}
	scale := 1.0
	for _, x := range pack.IntRanges(w, oc, int(q.zero)) {
		scale = max(scale, float64(max(x.Hi, -x.Lo)))
	}
	for i := range q.multiplier {
		q.multiplier[i] = float32(2000 / scale * r.Float64())
		if r.IntN(4) == 0 { // products halfway between integers
			q.multiplier[i] = float32(math.Exp2(math.Round(math.Log2(1000 / scale))))
		}
	}
	sums := pack.IntSums(w, oc)
	q.Sums, q.Multiplier = put(m, sums), put(m, q.multiplier)
	q.Zero, q.Lo = int16(r.IntN(256)), byte(r.IntN(100))
	q.Hi = q.Lo + byte(r.IntN(256-int(q.Lo)))
	if r.IntN(2) == 0 {
		q.Lo, q.Hi = 0, 255
	}
	if r.IntN(3) == 0 {
		q.XZero, q.Bias = put(m, []byte{q.zero}), put(m, q.bias)
	} else {
		folded, ok := pack.IntBias(q.bias, sums, int(q.zero))
		if !ok {
			panic("bias")
		}
		q.Bias = put(m, folded)
	}
	if r.IntN(2) == 0 {
		q.shift = make([]float32, oc)
		for o := range q.shift {
			q.shift[o] = float32(r.NormFloat64())
		}
		q.Shift = put(m, q.shift)
	}
	q.Act = pick(r, someActs...)
	return q
}

// of returns the multiplier of a channel.
func (q *quantised) of(o int) float32 { return q.multiplier[o%len(q.multiplier)] }

// byteOf returns an element of a quantised result. sum is Σ(x−zero)·w.
func (q *quantised) byteOf(sum int, o int) byte {
	v := math.RoundToEven(float64(float32(int32(sum)+q.bias[o]) * q.of(o)))
	return byte(max(int(q.Lo), min(int(q.Hi), int(v)+int(q.Zero))))
}

// addResidual adds a residual to half of the results of bytes, which may be the memory of dst.
func (m *memory) addResidual(r *rand.Rand, q *quantised, dst *kernel.Image) {
	if dst.Elem != kernel.Uint8 || r.IntN(2) == 0 {
		return
	}
	q.Sum = Binary{B: *dst, AScale: pick(r, 0.5, r.Float32()), BScale: pick(r, 0.5, r.Float32()), AZero: int(q.Zero), BZero: r.IntN(256), Zero: r.IntN(256), Lo: r.IntN(100), Hi: 100 + r.IntN(156)}
	q.Sum.B.Clear, q.Sum.B.Fill, q.Sum.B.FillFrom = false, 0, kernel.Ref{}
	if r.IntN(2) == 0 {
		border := r.IntN(2)
		q.Sum.B = m.image(r, kernel.Uint8, 16, dst.N, dst.C, dst.H, dst.W, border, border, border, border)
	}
	q.before = bytes.Clone(m.data)
}

// plus returns the sum of y and the residual at the given place.
func (q *quantised) plus(y byte, n, o, row, x int) byte {
	if q.before == nil {
		return y
	}
	b := q.before[q.Sum.B.Off:][q.Sum.B.At(n, o/16, row, x)+o%16]
	return q.Sum.eval(int(y), int(b))
}

// floatOf returns an element of a result of floats.
func (q *quantised) floatOf(sum int, o int) float32 {
	v := float32(float32(int32(sum)+q.bias[o]) * q.of(o))
	if q.shift != nil {
		v += q.shift[o]
	}
	x := []float32{v}
	kernel.Apply(x, q.Act)
	return x[0]
}

// weights returns random weights of up to bits bits, with many extreme values.
func weights(r *rand.Rand, n, bits int) []int16 {
	w := make([]int16, n)
	lo, hi := -1<<(bits-1), 1<<(bits-1)-1
	for i := range w {
		w[i] = int16(pick(r, lo, hi, lo+r.IntN(hi-lo+1), lo+r.IntN(hi-lo+1)))
	}
	return w
}

// window describes a convolution for the oracle.
type window struct{ kh, kw, sh, sw, dh, dw, top, left int }

// compare checks dst against a convolution of src in plain loops. w is [oc,ic of a
// group,kh,kw].
func (m *memory) compare(t *testing.T, k any, seed uint64, src, dst *kernel.Image, q *quantised, w []int16, icg, groups int, f window) {
	t.Helper()
	in := view[byte](m, src.Ref)
	ocg, plane, lanes := dst.C/groups, src.Plane(), src.Lanes()
	for n := range dst.N {
		for o := range dst.C {
			for y := range dst.H {
				for x := range dst.W {
					sum := 0
					for i := range f.kh {
						for j := range f.kw {
							pixel := in[src.At(n, 0, y*f.sh-f.top+i*f.dh, x*f.sw-f.left+j*f.dw):]
							for c := range icg {
								ch := o/ocg*icg + c
								sum += (int(pixel[ch/lanes*plane+ch%lanes]) - int(q.zero)) * int(w[((o*icg+c)*f.kh+i)*f.kw+j])
							}
						}
					}
					at := dst.At(n, o/16, y, x) + o%16
					if dst.Elem == kernel.Uint8 {
						if got, want := view[byte](m, dst.Ref)[at], q.plus(q.byteOf(sum, o), n, o, y, x); got != want {
							t.Fatalf("seed %d: [%d,%d,%d,%d] is %d, want %d\n%+v", seed, n, o, y, x, got, want, k)
						}
					} else if got, want := view[float32](m, dst.Ref)[at], q.floatOf(sum, o); got != want {
						t.Fatalf("seed %d: [%d,%d,%d,%d] is %g, want %g\n%+v", seed, n, o, y, x, got, want, k)
					}
				}
			}
		}
	}
	if dst.Clear {
		m.checkBorder(t, dst, q.zero)
	}
}

// checkBorder checks that the border of a byte image is v.
func (m *memory) checkBorder(t *testing.T, img *kernel.Image, v byte) {
	t.Helper()
	for n := range img.N {
		for b := range img.Blocks() {
			for y := -img.Top; y < img.H+img.Bottom; y++ {
				for x := -img.Left; x < img.W+img.Right; x++ {
					if y >= 0 && y < img.H && x >= 0 && x < img.W {
						continue
					}
					at := img.At(n, b, y, x)
					if got := view[byte](m, img.Ref)[at]; got != v {
						t.Fatalf("border at %d,%d is %d, want %d", y, x, got, v)
					}
				}
			}
		}
	}
}

// dst allocates a result of bytes or floats. The border of bytes must become the zero
// point of x, for want of another byte.
func (m *memory) dst(r *rand.Rand, q *quantised, n, c, h, w int) kernel.Image {
	if r.IntN(3) == 0 {
		return m.image(r, kernel.Float32, 0, n, c, h, w, r.IntN(2), r.IntN(2), r.IntN(2), r.IntN(2))
	}
	border := r.IntN(2)
	img := m.image(r, kernel.Uint8, 16, n, c, h, w, border*r.IntN(2), border*r.IntN(2), border*r.IntN(2), border*r.IntN(2))
	if img.Clear = r.IntN(2) == 0; img.Clear {
		if img.Fill = q.zero; q.XZero.Present() {
			img.Fill, img.FillFrom = 0, q.XZero
		}
	}
	return img
}

// TestConv compares the convolution with plain loops on random shapes, borders, groups,
// widths of weights, and types of results.
func TestConv(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(150) {
			r := rand.New(rand.NewPCG(seed, 1))
			k := Conv{KH: pick(r, 1, 1, 2, 3, 5), KW: pick(r, 1, 1, 3, 4), SH: pick(r, 1, 1, 2, 3), SW: pick(r, 1, 1, 2), DH: pick(r, 1, 1, 2), DW: pick(r, 1, 1, 2)}
			n, ic, oc, block := pick(r, 1, 1, 2), pick(r, 1, 3, 16, 17, 25, 40), pick(r, 1, 8, 9, 16, 24, 25, 32, 33, 41, 49, 70), 16
			groups := pick(r, 1, 1, 2, 3)
			switch k.Groups = groups; {
			case groups > 1:
				ic, oc = pick(r, 16, 32), groups*pick(r, 16, 32, 48, 64)
			case r.IntN(3) == 0:
				ic, block = 1+r.IntN(4), 4
			}
			h, w := 1+r.IntN(12), 1+r.IntN(33)
			if r.IntN(4) == 0 {
				k.KH, k.KW, k.SH, k.SW = 1, 1, 1, 1
			}
			k.PadTop, k.PadLeft = r.IntN(k.KH), r.IntN(k.KW)
			oh := (h+k.PadTop+r.IntN(k.KH)-(k.KH-1)*k.DH-1)/k.SH + 1
			ow := (w+k.PadLeft+r.IntN(k.KW)-(k.KW-1)*k.DW-1)/k.SW + 1
			if h+k.PadTop < (k.KH-1)*k.DH+1 || w+k.PadLeft < (k.KW-1)*k.DW+1 || oh < 1 || ow < 1 {
				continue
			}
			m := &memory{}
			needB := max(0, (oh-1)*k.SH+(k.KH-1)*k.DH+1-k.PadTop-h)
			needR := max(0, (ow-1)*k.SW+(k.KW-1)*k.DW+1-k.PadLeft-w)
			spare := r.IntN(2)
			k.Src = m.image(r, kernel.Uint8, block, n, groups*ic, h, w, k.PadTop+spare, k.PadLeft+spare, needB+spare, needR)
			wide := weights(r, oc*ic*k.KH*k.KW, pick(r, 8, 8, 9))
			k.Parts = pack.IntParts(wide)
			var packed []int8
			for g := range groups {
				part := wide[g*oc/groups*ic*k.KH*k.KW:][:oc/groups*ic*k.KH*k.KW]
				if block == 4 {
					packed = pack.IntFirst(part, oc, ic, k.KH, k.KW, k.Parts)
				} else {
					packed = append(packed, pack.IntConv(part, oc/groups, ic, k.KH, k.KW, k.Parts)...)
				}
			}
			k.W = put(m, packed)
			q := result(r, m, wide, oc)
			k.Dst = m.dst(r, &q, n, oc, oh, ow)
			if groups == 1 {
				m.addResidual(r, &q, &k.Dst)
			}
			k.Result = q.Result
			m.run(t, &k)
			m.compare(t, &k, seed, &k.Src, &k.Dst, &q, wide, ic, groups, window{k.KH, k.KW, k.SH, k.SW, k.DH, k.DW, k.PadTop, k.PadLeft})
		}
	})
}

func TestDepthwise(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(80) {
			r := rand.New(rand.NewPCG(seed, 3))
			k := Depthwise{KH: pick(r, 3, 3, 5, 1), KW: pick(r, 3, 3, 5, 2), SH: pick(r, 1, 2), SW: pick(r, 1, 1, 2, 3), DH: pick(r, 1, 1, 2), DW: pick(r, 1, 1, 2)}
			n, c, oh, ow := pick(r, 1, 2), pick(r, 3, 16, 40), 1+r.IntN(10), 1+r.IntN(30)
			k.PadTop, k.PadLeft = r.IntN(k.KH), r.IntN(k.KW)
			h, w := (oh-1)*k.SH+(k.KH-1)*k.DH+1-k.PadTop, (ow-1)*k.SW+(k.KW-1)*k.DW+1-k.PadLeft
			if h < 1 || w < 1 {
				continue
			}
			m := &memory{}
			k.Src = m.image(r, kernel.Uint8, 16, n, c, h, w, k.PadTop, k.PadLeft, r.IntN(2), r.IntN(2))
			wide := weights(r, c*k.KH*k.KW, pick(r, 8, 8, 9))
			k.Parts = pack.IntParts(wide)
			k.W = put(m, pack.IntDepthwise(wide, c, k.KH, k.KW, k.Parts))
			q := result(r, m, wide, c)
			k.Result, k.Dst = q.Result, m.dst(r, &q, n, c, oh, ow)
			m.run(t, &k)
			m.compare(t, &k, seed, &k.Src, &k.Dst, &q, wide, 1, c, window{k.KH, k.KW, k.SH, k.SW, k.DH, k.DW, k.PadTop, k.PadLeft})
		}
	})
}

// TestWinograd compares Winograd with plain loops, alone and in a ConvByTier. Inputs and weights of some channels
// have the signs of the transforms, so that transformed values reach their limits.
func TestWinograd(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(40) {
			r := rand.New(rand.NewPCG(seed, 4))
			k := Winograd{PadTop: r.IntN(2), PadLeft: r.IntN(2), Tiles: pick(r, 3, 14, 20), OutBlocks: 1 + r.IntN(2)}
			n, ic, oc := pick(r, 1, 2), pick(r, 3, 16, 40), pick(r, 5, 16, 33, 64, 80)
			h, w := 3+r.IntN(16), 3+r.IntN(26)
			oh, ow := h+k.PadTop+r.IntN(2)-2, w+k.PadLeft+r.IntN(2)-2
			m := &memory{}
			spare := r.IntN(4)
			k.Src = m.image(r, kernel.Uint8, 16, n, ic, h, w, 1, 1, 1+spare, 1+spare)
			wide := weights(r, oc*ic*9, 8)
			if r.IntN(2) == 0 {
				m.extreme(r, &k.Src, wide, oc, ic)
			}
			for _, x := range pack.IntRanges(wide, oc, 0) {
				if !x.FitsWinograd() {
					t.Fatal("weights too large")
				}
			}
			lw := WinogradWeights{IC: ic, OC: oc, W: put(m, pack.IntConv(wide, oc, ic, 3, 3, 1)), Dst: m.alloc(pack.IntWinogradLen(oc, ic), 2), ByTier: r.IntN(3) == 0}
			m.run(t, &lw)
			k.W = lw.Dst
			if untouched := !slices.ContainsFunc(view[int16](m, lw.Dst), func(v int16) bool { return v != 0 }); untouched != (lw.ByTier && !simd.Active().IntWords) {
				t.Fatalf("seed %d: weights untouched: %v\n%+v", seed, untouched, lw)
			}
			q := result(r, m, wide, oc)
			k.Dst = m.dst(r, &q, n, oc, oh, ow)
			m.addResidual(r, &q, &k.Dst)
			k.Result = q.Result
			var step kernel.Kernel = &k
			if lw.ByTier {
				step = &ConvByTier{Words: k, Bytes: Conv{Src: k.Src, Dst: k.Dst, W: lw.W, KH: 3, KW: 3, SH: 1, SW: 1, DH: 1, DW: 1, PadTop: k.PadTop, PadLeft: k.PadLeft, Result: k.Result}}
			}
			m.run(t, step)
			m.compare(t, step, seed, &k.Src, &k.Dst, &q, wide, ic, 1, window{3, 3, 1, 1, 1, 1, k.PadTop, k.PadLeft})
		}
	})
}

// extreme sets bytes to 0 or 255 and weights to −128 or 127, with the signs of a row of
// the transforms.
func (m *memory) extreme(r *rand.Rand, src *kernel.Image, w []int16, oc, ic int) {
	in := [6][6]int{{4, 0, -5, 0, 1, 0}, {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}}
	g := [6][3]int{{6, 0, 0}, {-4, -4, -4}, {-4, 4, -4}, {1, 2, 4}, {1, -2, 4}, {0, 0, 12}}
	x := view[byte](m, src.Ref)
	for c := range ic {
		i, j, sign := r.IntN(6), r.IntN(6), 1-2*r.IntN(2)
		for n := range src.N {
			for y := -src.Top; y < src.H+src.Bottom; y++ {
				for xx := -src.Left; xx < src.W+src.Right; xx++ {
					v := byte(0)
					if sign*in[i][(y+src.Top)%4]*in[j][(xx+src.Left)%4] > 0 {
						v = 255
					}
					x[src.At(n, c/16, y, xx)+c%16] = v
				}
			}
		}
		for o := range oc {
			i, j, sign := r.IntN(6), r.IntN(6), 1-2*r.IntN(2)
			for t := range 9 {
				v := int16(-128)
				if sign*g[i][t/3]*g[j][t%3] > 0 {
					v = 127
				}
				w[(o*ic+c)*9+t] = v
			}
		}
	}
}

func TestDense(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(80) {
			r := rand.New(rand.NewPCG(seed, 5))
			k := Dense{N: pick(r, 1, 1, 2, 7, 15, 60), K: pick(r, 1, 16, 20, 64, 250, 1000), M: pick(r, 1, 10, 16, 32, 50, 80), To: Output(r.IntN(4)), Signed: r.IntN(3) == 0}
			m := &memory{}
			x := make([]byte, k.N*k.K)
			for i := range x {
				x[i] = byte(pick(r, 0, 255, 128, r.IntN(256)))
			}
			k.X = put(m, x)
			wide := weights(r, k.M*k.K, pick(r, 8, 8, 9))
			k.Parts = pack.IntParts(wide)
			k.W = put(m, pack.IntDense(wide, k.K, k.M, true, nil, k.Parts))
			q := result(r, m, wide, k.M)
			k.Result = q.Result
			k.Y = m.alloc(k.N*k.M, map[Output]int{Bytes: 1, SignedBytes: 1, Floats: 4, Integers: 4}[k.To])
			m.run(t, &k)
			for n := range k.N {
				for o := range k.M {
					sum := 0
					for f := range k.K {
						v := x[n*k.K+f]
						if k.Signed {
							v ^= 128
						}
						sum += (int(v) - int(q.zero)) * int(wide[o*k.K+f])
					}
					var got, want any
					switch i := n*k.M + o; k.To {
					case Bytes:
						got, want = view[byte](m, k.Y)[i], q.byteOf(sum, o)
					case SignedBytes:
						got, want = view[byte](m, k.Y)[i], q.byteOf(sum, o)^128
					case Floats:
						got, want = view[float32](m, k.Y)[i], q.floatOf(sum, o)
					case Integers:
						got, want = view[int32](m, k.Y)[i], int32(sum)+q.bias[o]
					}
					if got != want {
						t.Fatalf("seed %d: [%d,%d] is %v, want %v\n%+v", seed, n, o, got, want, k)
					}
				}
			}
		}
	})
}
