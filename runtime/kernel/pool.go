package kernel

import "modelc/runtime/internal/simd"

// PoolKind names the function of a pool.
type PoolKind uint8

// The kinds of pooling.
const (
	PoolMax PoolKind = iota
	PoolAvg
)

// Pool is a maximum or average over windows, NC16 to NC16. It clips windows to the
// image, so it never reads the border of Src.
type Pool struct {
	Kind            PoolKind
	Src, Dst        Image
	Scale, Shift    Ref // prologue as in Conv, absent for none
	Pre             Act
	KH, KW          int
	SH, SW          int
	DH, DW          int
	PadTop, PadLeft int
	// PadBottom and PadRight are the padding whose pixels an average with CountPad
	// counts.
	PadBottom, PadRight int
	CountPad            bool
}

// GlobalPool reduces H×W to 1×1, NC16 to NC16.
type GlobalPool struct {
	Kind         PoolKind
	Src, Dst     Image
	Scale, Shift Ref
	Pre          Act
}

// Check declares the memory of the step.
func (k *Pool) Check(v *Verifier) {
	v.reads("Src", &k.Src)
	v.writes("Dst", &k.Dst)
	v.Require(k.Src.N == k.Dst.N && k.Src.Blocks() == k.Dst.Blocks(), "the extents of the operands differ")
	v.prologue(k.Scale, k.Shift, k.Pre, k.Src.Blocks())
	k.checkWindows(v)
}

// checkWindows checks the windows, which may leave the image.
func (k *Pool) checkWindows(v *Verifier) {
	v.Require(k.Kind <= PoolAvg, "there is no such pool")
	v.Window(k.Dst.H, k.SH, k.KH, k.DH, k.PadTop)
	v.Window(k.Dst.W, k.SW, k.KW, k.DW, k.PadLeft)
	v.Window(1, 1, 1, 1, k.PadBottom)
	v.Window(1, 1, 1, 1, k.PadRight)
}

// ScratchBytes is the size of one transformed block of an image, zero without a
// prologue.
func (k *Pool) ScratchBytes() int {
	if !k.prologue() {
		return 0
	}
	return k.Src.H * k.Src.W * pixelBytes
}

func (k *Pool) prologue() bool {
	return k.Scale.Present() || k.Shift.Present() || k.Pre.Fn != ActIdentity
}

// Run computes the pool.
func (k *Pool) Run(c *Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Dst.N*k.Dst.Blocks(), k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W*k.KH*k.KW, k)
}

// Part computes one block of 16 channels of one image.
func (k *Pool) Part(c *Context, i, worker int) {
	n, b := i/k.Dst.Blocks(), i%k.Dst.Blocks()
	src := c.F32(k.Src.Ref)[n*k.Src.BatchStride+b*k.Src.Plane():]
	row, in := k.Src.Row(), k.Src.Origin()
	if k.prologue() {
		one := k.Src
		one.C = 16
		pr := prologue{src: src, img: &one, scale: blockOf(c.F32(k.Scale), b), shift: blockOf(c.F32(k.Shift), b), act: k.Pre}
		scratch := Floats(c.scratch[worker])
		pr.window(scratch, 0, 0, k.Src.H, k.Src.W)
		src, row, in = scratch, k.Src.W*16, 0
	}
	dst := c.F32(k.Dst.Ref)
	for y := range k.Dst.H {
		k.row(k.Dst.row(dst, n, b, y), src, in, 16, row, y)
	}
}

// row computes output row y of a block. Row r of the operand starts at src[in+r·row].
// Its pixels are pitch floats apart: 16, or 8 if the tier has narrow kernels and all
// columns are inside the image.
func (k *Pool) row(out, src []float32, in, pitch, row, y int) {
	y0, y1 := clip(y*k.SH-k.PadTop, k.KH, k.DH, k.Src.H)
	lo, hi := 0, 0 // the pixels that rowVector computed
	if y1 > y0 {
		if lo, hi = k.inside(); !k.rowVector(out, src, in, pitch, row, y, y0, y1, lo, hi) {
			lo, hi = 0, 0
		}
	}
	for x := 0; x < k.Dst.W; x++ {
		if x == lo && lo < hi {
			x = hi - 1
			continue
		}
		x0, x1 := clip(x*k.SW-k.PadLeft, k.KW, k.DW, k.Src.W)
		o := out[x*16 : x*16+16]
		if k.Kind == PoolMax {
			poolMax(o, src[in+y0*row+x0*16:], k.DH*row, k.DW*16, (y1-y0)/k.DH, (x1-x0)/k.DW)
			continue
		}
		ny, nx := (y1-y0)/k.DH, (x1-x0)/k.DW
		count := ny * nx
		if k.CountPad {
			count = Counted(y*k.SH-k.PadTop, k.KH, k.DH, k.Src.H+k.PadBottom) * Counted(x*k.SW-k.PadLeft, k.KW, k.DW, k.Src.W+k.PadRight)
		}
		poolAvg(o, src[in+y0*row+x0*16:], k.DH*row, k.DW*16, ny, nx, float32(count))
	}
}

// inside returns the range of output columns whose windows lie inside the image.
func (k *Pool) inside() (lo, hi int) {
	lo = max(0, (k.PadLeft+k.SW-1)/k.SW) // padding may crop
	last := k.Src.W - (k.KW-1)*k.DW - 1 + k.PadLeft
	if last < 0 {
		return 0, 0
	}
	return min(lo, k.Dst.W), max(min(lo, k.Dst.W), min(k.Dst.W, last/k.SW+1))
}

// rowVector computes columns lo ≤ x < hi of output row y. It reports whether the tier
// in use has a kernel for them.
func (k *Pool) rowVector(out, src []float32, in, pitch, row, y, y0, y1, lo, hi int) bool {
	if lo == hi {
		return true
	}
	ny := (y1 - y0) / k.DH
	at := in + y0*row + (lo*k.SW-k.PadLeft)*pitch
	out = out[lo*16 : hi*16]
	if !simd.PoolLine(k.Kind == PoolMax, out, src[at:], hi-lo, pitch, k.SW, ny, k.DH*row, k.KW, k.DW) {
		return false
	}
	if k.Kind == PoolMax {
		return true
	}
	rows := ny
	if k.CountPad {
		rows = Counted(y*k.SH-k.PadTop, k.KH, k.DH, k.Src.H+k.PadBottom)
	}
	scale := [16]float32{}
	for c := range scale {
		scale[c] = 1 / float32(rows*k.KW)
	}
	affineRow(out, out, scale[:], nil, Act{})
	return true
}

// clip returns the taps of a window that lie in [0,n), as positions lo ≤ p < hi in
// steps of dil. The window has size taps, dil apart, starting at start.
func clip(start, size, dil, n int) (lo, hi int) {
	lo, hi = start, start+size*dil
	if lo < 0 {
		lo += (dil - 1 - lo) / dil * dil
	}
	if last := hi - dil; last >= n {
		hi -= ((last-n)/dil + 1) * dil
	}
	if hi <= lo {
		return 0, 0
	}
	return lo, hi
}

// Counted returns the number of taps of a window that lie below end. The first
// tap is at start, the others dil apart.
func Counted(start, size, dil, end int) int {
	switch {
	case start+(size-1)*dil < end:
	case start >= end:
		return 0
	default:
		size = (end-start-1)/dil + 1
	}
	return size
}

// poolMax writes the maximum of ny×nx pixels to o. The maximum of NaN and a number is
// NaN.
func poolMax(o, src []float32, dy, dx, ny, nx int) {
	if ny*nx > 0 && simd.PoolLine(true, o, src, 1, 16, 1, ny, dy, nx, dx/16) {
		return
	}
	for c := range o {
		o[c] = -Inf32
	}
	for y := range ny {
		for x := range nx {
			for c, v := range src[y*dy+x*dx:][:16] {
				if v > o[c] || v != v {
					o[c] = v
				}
			}
		}
	}
}

// maxOfWindows writes the maxima of adjacent windows of size×size pixels to the
// pixels of out. row is the distance between rows of src in floats.
func maxOfWindows(out, src []float32, row, size int) {
	if simd.PoolLine(true, out, src, len(out)/16, 16, size, size, row, size, 1) {
		return
	}
	for x := 0; x < len(out); x += 16 {
		poolMax(out[x:x+16], src[x*size:], row, 16, size, size)
	}
}

// MaxOfWindows is for kernels of other packages that pool their results. It writes the
// maxima of adjacent windows of size×size pixels of 16 channels to the pixels of out. row is
// the distance between rows of src in floats.
func MaxOfWindows(out, src []float32, row, size int) { maxOfWindows(out, src, row, size) }

func poolAvg(o, src []float32, dy, dx, ny, nx int, count float32) {
	clear(o)
	for y := range ny {
		for x := range nx {
			for c, v := range src[y*dy+x*dx:][:16] {
				o[c] += v
			}
		}
	}
	for c := range o {
		o[c] /= count
	}
}

// Check declares the memory of the step.
func (k *GlobalPool) Check(v *Verifier) {
	v.reads("Src", &k.Src)
	v.writes("Dst", &k.Dst)
	v.Require(k.Src.N == k.Dst.N && k.Src.Blocks() == k.Dst.Blocks() && k.Dst.H == 1 && k.Dst.W == 1, "the result is not one pixel of each image")
	v.prologue(k.Scale, k.Shift, k.Pre, k.Src.Blocks())
}

// ScratchBytes is the size of the transformed rows.
func (k *GlobalPool) ScratchBytes() int { return k.together() * k.Src.W * pixelBytes }

// together returns the number of rows that are summed as one: those of up to 64 pixels,
// if no border lies between them. More pixels would gain little, and cost accuracy: the
// sums of rows are added in float64.
func (k *GlobalPool) together() int {
	if k.Src.Row() != k.Src.W*16 {
		return 1
	}
	return min(k.Src.H, max(1, 64/max(1, k.Src.W)))
}

// Run computes the pool.
func (k *GlobalPool) Run(c *Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Dst.N*k.Dst.Blocks(), k.Src.N*k.Src.C*k.Src.H*k.Src.W, k)
}

// Part computes one block of 16 channels of one image.
func (k *GlobalPool) Part(c *Context, i, worker int) {
	n, b := i/k.Dst.Blocks(), i%k.Dst.Blocks()
	src := c.F32(k.Src.Ref)
	scale, shift := blockOf(c.F32(k.Scale), b), blockOf(c.F32(k.Shift), b)
	together := k.together()
	scratch := Floats(c.scratch[worker])[:together*k.Src.W*16]
	var acc [16]float64
	top := [16]float32{}
	for ch := range top {
		top[ch] = -Inf32
	}
	var sum [16]float32
	for y := 0; y < k.Src.H; y += together {
		row := src[k.Src.At(n, b, y, 0):][:min(together, k.Src.H-y)*k.Src.W*16]
		if scale != nil || shift != nil || k.Pre.Fn != ActIdentity {
			affineRow(scratch, row, scale, shift, k.Pre)
			row = scratch[:len(row)]
		}
		for len(row) > 0 {
			part := row[:min(len(row), callFloats)]
			if k.Kind == PoolMax && !simd.Accumulate(true, &top, part) {
				break
			}
			if k.Kind == PoolAvg {
				if sum = [16]float32{}; !simd.Accumulate(false, &sum, part) {
					break
				}
				for ch, v := range sum {
					acc[ch] += float64(v)
				}
			}
			row = row[len(part):]
		}
		for x := 0; x < len(row); x += 16 {
			px := row[x : x+16]
			if k.Kind == PoolMax {
				for ch, v := range px {
					if v > top[ch] || v != v {
						top[ch] = v
					}
				}
				continue
			}
			for ch, v := range px {
				acc[ch] += float64(v)
			}
		}
	}
	out := k.Dst.row(c.F32(k.Dst.Ref), n, b, 0)
	for ch := range out {
		out[ch] = top[ch]
		if k.Kind == PoolAvg {
			out[ch] = float32(acc[ch] / float64(k.Src.H*k.Src.W))
		}
	}
}

func (k *Pool) uses(t *simd.Tier, use useFunc) { k.usesPixels(t, lanes, use) }

// usesPixels is uses for pixels pitch floats apart.
func (k *Pool) usesPixels(t *simd.Tier, pitch int, use useFunc) {
	most := t.ChannelPixels
	if pitch == 8 {
		most = t.NarrowPixels
	}
	lo, hi := k.inside()
	pieces(hi-lo, most, k.Kind.micro(pitch), use)
	if k.Kind == PoolMax && hi-lo < k.Dst.W {
		use(k.Kind.micro(lanes), 1) // poolMax, at the borders
	}
}

func (k *GlobalPool) uses(_ *simd.Tier, use useFunc) {
	use(k.Kind.micro(lanes), 1)
	if min(k.together()*k.Src.W, callFloats/lanes) >= 2*simd.PoolSums {
		use(k.Kind.micro(lanes), simd.PoolSums)
	}
}

// micro returns the name of the micro-kernel for pixels that are pitch floats apart.
func (k PoolKind) micro(pitch int) string {
	name := "PoolSum"
	if k == PoolMax {
		name = "PoolMax"
	}
	if pitch == 8 {
		name += "8"
	}
	return name
}
