package kernel

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
)

// Strassen is a 1×1 convolution computed by one step of Strassen's algorithm (1969) in
// Winograd's form, which has fewer additions. It halves the pixels, the input channels
// and the output channels, and computes seven products of halves instead of eight.
// Operands are as in [Conv]. The number of input channels is a multiple of 32, that of
// output channels a multiple of 64. There is no padding. [StrassenWeights] prepares
// the weights.
//
// Let A be the pixels by input channels, B the weights and C the result, each in
// quarters. Then
//
//	S1 = A21 + A22   S2 = S1 − A11   S3 = A11 − A21   S4 = A12 − S2
//	T1 = B12 − B11   T2 = B22 − T1   T3 = B22 − B12   T4 = B21 − T2
//
//	X  = A11·B11         C11 = X + A12·B21
//	X += S2·T2           Y   = X + S1·T1     C12 = Y + S4·B22
//	Z  = S3·T3           C22 = Y + Z
//	X += Z               C21 = X + A22·T4
//
// X, Y and Z hold 32 output channels of each half and stay in the caches.
type Strassen struct {
	Src, Dst     Image
	W            Ref // in Prepared, see StrassenLen in backend/cpu/pack
	Bias         Ref
	Residual     Image
	Scale, Shift Ref
	Pre, Act     Act
	SH, SW       int
	// Pixels is the approximate number of pixels of a region, which are computed
	// together. Span is the number of blocks of input channels of a span, an even
	// number. Between spans, Dst holds the partial sums.
	Pixels, Span int
}

// StrassenWeights prepares the weights of a [Strassen] step at load.
type StrassenWeights struct {
	IC, OC, Span int
	W            Ref // as Conv.W with KH = KW = 1
	Format       Format
	Dst          Ref // in Prepared
}

// Check declares the memory of the step.
func (k *StrassenWeights) Check(v *Verifier) {
	v.strassen(k.IC, k.OC, k.Span)
	v.weights("W", k.W, k.Format, Product(k.IC, k.OC))
	v.Write("Dst", k.Dst, 4, Product(k.IC/4, k.OC, 7))
}

// strassen requires channels that have halves of whole blocks, in spans of an even
// number of blocks.
func (v *Verifier) strassen(ic, oc, span int) {
	v.Positive("channels and span", ic, oc, span)
	v.Require(ic%32 == 0 && oc%64 == 0 && span%2 == 0 && span <= ic/lanes, "the channels have no halves of whole blocks")
}

// ScratchBytes is the size of the weights of a part in float32 if they are stored in
// half precision, otherwise zero.
func (k *StrassenWeights) ScratchBytes() int {
	if k.Format == F32 {
		return 0
	}
	return 2 * k.IC * 32 * 4
}

// Run computes the sums.
func (k *StrassenWeights) Run(c *Context) { c.DoAll(k.OC/64, k) }

// Source returns the weights that the step reads, and their format.
func (k *StrassenWeights) Source() (Ref, Format) { return k.W, k.Format }

// Prepares returns the weights that the step writes.
func (k *StrassenWeights) Prepares() Ref { return k.Dst }

// Part prepares the weights of a pair of blocks of 32 output channels.
func (k *StrassenWeights) Part(c *Context, u, worker int) {
	pairs, unit := k.OC/64, k.IC*32
	scratch := c.scratch[worker]
	first := c.floatsOf(k.W, k.Format, u*unit, unit, c.scratch[worker])
	if k.Format != F32 {
		scratch = scratch[unit*4:]
	}
	second := c.floatsOf(k.W, k.Format, (u+pairs)*unit, unit, scratch)
	dst := c.F32(k.Dst)
	for from := 0; from < k.IC; from += k.Span * 16 {
		n := min(k.Span*16, k.IC-from) / 2 * 32
		b11, b21 := first[from*32:][:n], first[from*32+n:][:n]
		b12, b22 := second[from*32:][:n], second[from*32+n:][:n]
		d := dst[from/2*32*7*pairs+u*7*n:][:7*n]
		copy(d, b11)
		copy(d[n:], b21)
		copy(d[4*n:], b22)
		for i := range n {
			t1 := b12[i] - b11[i]
			t2 := b22[i] - t1
			d[2*n+i], d[3*n+i] = t2, t1
			d[5*n+i] = b22[i] - b12[i]
			d[6*n+i] = b21[i] - t2
		}
	}
}

// flat reports whether the pixels of the result are contiguous.
func (k *Strassen) flat() bool {
	return k.Dst.tight() && (k.Residual.N == 0 || k.Residual.tight())
}

// inOrder reports whether the pixels that the step reads are contiguous.
func (k *Strassen) inOrder() bool { return k.Src.tight() && k.SH == 1 && k.SW == 1 }

// copies reports whether parts read pixels from a copy in scratch.
func (k *Strassen) copies() bool {
	return k.Scale.Present() || k.Shift.Present() || k.Pre.Fn != ActIdentity || !k.inOrder()
}

// row returns the number of consecutive pixels that belong to the same half. It is a
// whole row, unless the pixels that the step reads are contiguous.
func (k *Strassen) row() int {
	if k.inOrder() {
		return 1
	}
	return k.Dst.W
}

func (k *Strassen) pairs() int { return k.Dst.C / 64 }

// lines returns the number of pairs of lines of an image. A line has row pixels. Both
// halves of a region have the same number of lines, except that the last region may
// have one line more in the top half.
func (k *Strassen) lines() (pairs int) { return team.Split(k.Dst.H*k.Dst.W/k.row(), 2) }

// regions returns the number of regions of an image. It is one or, if there are enough
// lines, an even number, which an even number of workers can share equally.
func (k *Strassen) regions() int {
	n := team.Split(k.lines(), max(1, k.Pixels/(2*k.row())))
	if n > 1 {
		n += n & 1
	}
	return min(n, k.lines())
}

// Check declares the memory of the step.
func (k *Strassen) Check(v *Verifier) {
	v.reads("Src", &k.Src)
	v.writes("Dst", &k.Dst)
	v.residual(&k.Residual, &k.Dst)
	v.strassen(k.Src.C, k.Dst.C, k.Span)
	v.floats("W", k.W, Product(k.Src.C/4, k.Dst.C, 7))
	v.channels("Bias", k.Bias, k.Dst.Blocks())
	v.prologue(k.Scale, k.Shift, k.Pre, k.Src.Blocks())
	v.Act(k.Act.Fn)
	v.Positive("Pixels", k.Pixels)
	_, bottom := v.Window(k.Dst.H, k.SH, 1, 1, 0)
	_, right := v.Window(k.Dst.W, k.SW, 1, 1, 0)
	v.Require(k.Src.N == k.Dst.N && bottom < int64(k.Src.H) && right < int64(k.Src.W) && (!k.inOrder() || k.Src.W == k.Dst.W), "the pixels lie outside the operand")
	v.Require(Product(4*k.Span+8, k.Dst.H, k.Dst.W, pixelBytes) <= maxMemory, "the scratch memory is too large")
}

// ScratchBytes is the size of the memory of a part: S1 … S4 with the layout
// [4][blocks of half a span][top][16], X, Y, Z and another buffer [2][top][16], and the
// copy of the pixels [span][pixels][16].
func (k *Strassen) ScratchBytes() int {
	top := team.Split(k.lines(), k.regions()) * k.row()
	n := 4*k.Span/2*top*16 + 4*2*top*16
	if k.copies() {
		n += k.Span * 2 * top * 16
	}
	return n * 4
}

// slices returns the number of ranges of output channels into which a region is cut,
// so that few regions occupy every worker. Each slice repeats the sums.
func (k *Strassen) slices(c *Context) int { return c.slices(k.Dst.N*k.regions(), k.pairs()) }

// Run computes the convolution.
func (k *Strassen) Run(c *Context) {
	k.Dst.ClearBorder(c)
	c.DoAll(k.Dst.N*k.regions()*k.slices(c), k)
}

// strassenPart is the state of a part.
type strassenPart struct {
	*Strassen
	c          *Context
	a          simd.Tile // arguments of the current product; W advances with each product
	n, p0      int       // the image, and the first pixel of the region
	top        int       // the number of pixels of the top half
	onto, last bool      // whether the span is not the first, and whether it is the last
	spare      []float32
}

// quarter is half of the channels of half of the pixels. Its pixels are contiguous.
type quarter struct {
	at          unsafe.Pointer
	blockStride int // bytes
}

// Part computes a range of the output channels of a region.
func (k *Strassen) Part(c *Context, i, worker int) {
	slices, regions := k.slices(c), k.regions()
	slice, region, n := i%slices, i/slices%regions, i/slices/regions
	l0, l1 := team.Cut(k.lines(), regions, region), team.Cut(k.lines(), regions, region+1)
	p0, top := 2*l0*k.row(), (l1-l0)*k.row()
	bottom := min(2*top, k.Dst.H*k.Dst.W-p0) - top

	all := Floats(c.scratch[worker])
	take := func(n int) (s []float32) { s, all = all[:n], all[n:]; return s }
	sums := take(4 * k.Span / 2 * top * 16)
	x, y, z := take(2*top*16), take(2*top*16), take(2*top*16)
	j := strassenPart{Strassen: k, c: c, a: simd.NewTile(c.double), n: n, p0: p0, top: top, spare: take(2 * top * 16)}
	j.a.Pix, j.a.Rows, j.a.Cols = pixelBytes, 1, 1
	src, w := c.F32(k.Src.Ref)[n*k.Src.BatchStride:], c.F32(k.W)
	for from := 0; from < k.Src.Blocks(); from += k.Span {
		h := min(k.Span, k.Src.Blocks()-from) / 2
		in, plane := all, (top+bottom)*16
		if k.copies() {
			k.copyPixels(c, src, in, from, 2*h, p0, top+bottom)
		} else {
			plane = k.Src.Plane()
			in = src[from*plane+p0*16:]
		}
		for b := range h {
			strassenSums(sums[b*top*16:], h*top*16, in[b*plane:], in[(b+h)*plane:], top, bottom)
		}
		s := func(i int) quarter { return quarter{unsafe.Pointer(&sums[(i-1)*h*top*16]), top * pixelBytes} }
		a := func(half, second int) quarter {
			return quarter{unsafe.Pointer(&in[(second-1)*h*plane+(half-1)*top*16]), plane * 4}
		}
		j.a.Blocks, j.onto, j.last = h, from > 0, from+k.Span >= k.Src.Blocks()
		for u := team.Cut(k.pairs(), slices, slice); u < team.Cut(k.pairs(), slices, slice+1); u++ {
			j.a.W = unsafe.Pointer(&w[(from/2*k.pairs()+u*h)*16*32*7])
			first, second := 2*u, 2*(u+k.pairs()) // blocks of output channels
			j.product(a(1, 1), x, nil, -1)
			j.result(a(1, 2), x, first, first, 0, top)
			j.product(s(2), x, x, -1)
			j.product(s(1), y, x, second)
			j.result(s(4), y, second, -1, 0, top)
			j.product(s(3), z, nil, -1)
			if bottom == 0 {
				continue
			}
			j.add(y, z, second, top, bottom)
			binaryRow(x, x, z, -1, BinAdd, Act{})
			j.result(a(2, 2), x, first, first, top, bottom)
		}
	}
}

// copyPixels writes blocks of pixels, starting at block first and pixel p0, to dst
// [blocks][pixels][16].
func (k *Strassen) copyPixels(c *Context, src, dst []float32, first, blocks, p0, pixels int) {
	part := k.Src
	part.C = blocks * 16
	pr := prologue{src: src[first*k.Src.Plane():], img: &part, scale: blocksOf(c.F32(k.Scale), first), shift: blocksOf(c.F32(k.Shift), first), act: k.Pre,
		skipRows: k.SH - 1, skipCols: k.SW - 1}
	if pr.flat = k.inOrder(); pr.flat {
		pr.window(dst, 0, p0, 1, pixels)
	} else {
		pr.window(dst, p0/k.Dst.W*k.SH, 0, pixels/k.Dst.W, k.Dst.W)
	}
}

// start sets the operands of a product, but not its results. bias is the block of
// output channels whose bias it adds, −1 for none.
func (j *strassenPart) start(in quarter, sum []float32, bias, pixels int) {
	a := &j.a
	a.In, a.BlockStride = in.at, in.blockStride
	a.Bias = unsafe.Pointer(&zeroBias[0])
	if bias >= 0 && !j.onto {
		a.Bias = biasOf(j.c, j.Bias, bias)
	}
	a.Res, a.ResPix, a.ResBlock = unsafe.Pointer(unsafe.SliceData(sum)), pixelBytes, j.top*pixelBytes
	setAct(a, Act{})
	a.AheadOf(32, team.Split(pixels, simd.Active().TilePixels))
}

// product writes in·W + bias + sum of the pixels of the top half to out. sum may be
// nil.
func (j *strassenPart) product(in quarter, out, sum []float32, bias int) {
	j.start(in, sum, bias, j.top)
	j.a.Out, j.a.OutPix, j.a.OutBlock = unsafe.Pointer(&out[0]), pixelBytes, j.top*pixelBytes
	j.a.Line(32, j.top)
	j.a.W = unsafe.Add(j.a.W, j.a.WeightBytes(32))
}

// result writes in·W + bias + sum, with residual and activation, to two blocks of the
// image, starting at block. It writes the given number of pixels, starting at pixel p
// of the region.
func (j *strassenPart) result(in quarter, sum []float32, block, bias, p, pixels int) {
	sum = j.whole(sum, block, p, pixels)
	j.start(in, sum, bias, pixels)
	a, known := &j.a, true
	if j.last {
		known = setAct(a, j.Act)
	}
	a.OutPix, a.OutBlock = pixelBytes, j.Dst.PlaneBytes()
	dst := j.c.F32(j.Dst.Ref)
	for at, run := 0, 0; at < pixels; at += run {
		run = j.run(p+at, pixels-at)
		o := j.offset(&j.Dst, block, p+at)
		a.In, a.Out, a.Res = unsafe.Add(in.at, at*pixelBytes), unsafe.Pointer(&dst[o]), unsafe.Pointer(&sum[at*16])
		a.Line(32, run)
		for b := 0; b < 2 && !known; b++ {
			Apply(dst[o+b*j.Dst.Plane():][:run*16], j.Act)
		}
	}
	a.W = unsafe.Add(a.W, a.WeightBytes(32))
}

// add is like result, with a + b instead of a product.
func (j *strassenPart) add(a, b []float32, block, p, pixels int) {
	a = j.whole(a, block, p, pixels)
	act := Act{}
	if j.last {
		act = j.Act
	}
	dst := j.c.F32(j.Dst.Ref)
	for at, run := 0, 0; at < pixels; at += run {
		run = j.run(p+at, pixels-at)
		o := j.offset(&j.Dst, block, p+at)
		for v := range 2 {
			s := (v*j.top + at) * 16
			binaryRow(dst[o+v*j.Dst.Plane():][:run*16], a[s:][:run*16], b[s:][:run*16], -1, BinAdd, act)
		}
	}
}

// whole returns sum plus the residual in the first span, and sum plus the partial sums
// in the image in later spans.
func (j *strassenPart) whole(sum []float32, block, p, pixels int) []float32 {
	m := &j.Residual
	if j.onto {
		m = &j.Dst
	}
	if m.N == 0 {
		return sum
	}
	src := j.c.F32(m.Ref)
	for at, run := 0, 0; at < pixels; at += run {
		run = j.run(p+at, pixels-at)
		o := j.offset(m, block, p+at)
		for v := range 2 {
			s := (v*j.top + at) * 16
			binaryRow(j.spare[s:][:run*16], sum[s:][:run*16], src[o+v*m.Plane():][:run*16], -1, BinAdd, Act{})
		}
	}
	return j.spare
}

// run returns the number of contiguous pixels of the result, starting at pixel p of the
// region. It is at most pixels.
func (j *strassenPart) run(p, pixels int) int {
	if j.flat() {
		return pixels
	}
	return min(pixels, j.Dst.W-(j.p0+p)%j.Dst.W)
}

// offset returns the offset of pixel p of the region in a block of an image.
func (j *strassenPart) offset(m *Image, block, p int) int {
	p += j.p0
	return m.At(j.n, block, p/m.W, p%m.W)
}

// strassenSums writes S1 … S4, stride floats apart, of a block of the first half of the
// channels and a block of the second half. The bottom half may have fewer pixels than
// the top half; the missing ones count as zero.
func strassenSums(s []float32, stride int, first, second []float32, top, bottom int) {
	if bottom > 0 {
		simd.StrassenSums(s, stride, first, second, first[top*16:], second[top*16:], bottom)
	}
	for p := bottom; p < top; p++ {
		simd.StrassenSums(s[p*16:], stride, first[p*16:], second[p*16:], zeros[:], zeros[:], 1)
	}
}

func (k *Strassen) uses(_ *simd.Tier, use useFunc) { usesTiles(&k.Dst, use) }
