package runtime

// PoolKind is what a pool computes.
type PoolKind uint8

// The kinds of pooling.
const (
	PoolMax PoolKind = iota
	PoolAvg
)

// Pool is a maximum or average over windows, NC16 to NC16. It never reads
// the border of Src: windows are clipped to the image.
type Pool struct {
	Kind            PoolKind
	Src, Dst        Image
	Scale, Shift    Ref // prologue as in Conv, absent for none
	Pre             Act
	KH, KW          int
	SH, SW          int
	DH, DW          int
	PadTop, PadLeft int
	// PadBottom and PadRight bound the padded image that an average with
	// CountPad divides by.
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

// ScratchBytes is one transformed block of an image when there is a prologue.
func (k *Pool) ScratchBytes() int {
	if !k.prologue() {
		return 0
	}
	return k.Src.H * k.Src.W * 64
}

func (k *Pool) prologue() bool {
	return k.Scale.Present() || k.Shift.Present() || k.Pre.Fn != ActIdentity
}

// Run computes the pool.
func (k *Pool) Run(c *Context) {
	k.Dst.clearBorder(c)
	c.do(k.Dst.N*k.Dst.Blocks(), k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W*k.KH*k.KW, k)
}

// part computes one block of 16 channels of one image.
func (k *Pool) part(c *Context, i, worker int) {
	n, b := i/k.Dst.Blocks(), i%k.Dst.Blocks()
	src := c.f32(k.Src.Ref)[n*k.Src.BatchStride+b*k.Src.Plane():]
	row, in := k.Src.Row(), k.Src.Origin()
	if k.prologue() {
		one := k.Src
		one.C = 16
		pr := prologue{src: src, img: &one, scale: blockOf(c.f32(k.Scale), b), shift: blockOf(c.f32(k.Shift), b), act: k.Pre}
		scratch := floats(c.scratch[worker])
		pr.window(scratch, 0, 0, k.Src.H, k.Src.W)
		src, row, in = scratch, k.Src.W*16, 0
	}
	dst := c.f32(k.Dst.Ref)
	for y := range k.Dst.H {
		k.row(k.Dst.row(dst, n, b, y), src, in, 16, row, y)
	}
}

// row computes output row y of a block; row r of the operand is at in + r·row
// of src. Its pixels are 16 floats apart, or 8 where narrowPixels is not 0 and
// all columns are inside.
func (k *Pool) row(out, src []float32, in, pitch, row, y int) {
	y0, y1 := clip(y*k.SH-k.PadTop, k.KH, k.DH, k.Src.H)
	lo, hi := 0, 0 // the pixels done at once
	if active != generic && y1 > y0 {
		lo, hi = k.inside()
		k.rowVector(out, src, in, pitch, row, y, y0, y1, lo, hi)
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
			count = counted(y*k.SH-k.PadTop, k.KH, k.DH, k.Src.H+k.PadBottom) * counted(x*k.SW-k.PadLeft, k.KW, k.DW, k.Src.W+k.PadRight)
		}
		poolAvg(o, src[in+y0*row+x0*16:], k.DH*row, k.DW*16, ny, nx, float32(count))
	}
}

// inside returns the output columns whose windows lie inside the image.
func (k *Pool) inside() (lo, hi int) {
	lo = (k.PadLeft + k.SW - 1) / k.SW
	last := k.Src.W - (k.KW-1)*k.DW - 1 + k.PadLeft
	if last < 0 {
		return 0, 0
	}
	return min(lo, k.Dst.W), max(min(lo, k.Dst.W), min(k.Dst.W, last/k.SW+1))
}

// rowVector computes columns lo … hi−1 of output row y.
func (k *Pool) rowVector(out, src []float32, in, pitch, row, y, y0, y1, lo, hi int) {
	if lo == hi {
		return
	}
	ny := (y1 - y0) / k.DH
	at := in + y0*row + (lo*k.SW-k.PadLeft)*pitch
	out = out[lo*16 : hi*16]
	poolRowVector(k.Kind, out, src[at:], hi-lo, pitch, k.SW, ny, k.DH*row, k.KW, k.DW)
	if k.Kind == PoolMax {
		return
	}
	rows := ny
	if k.CountPad {
		rows = counted(y*k.SH-k.PadTop, k.KH, k.DH, k.Src.H+k.PadBottom)
	}
	scale := [16]float32{}
	for c := range scale {
		scale[c] = 1 / float32(rows*k.KW)
	}
	affineRow(out, out, scale[:], nil, Act{})
}

// clip returns the part of a window of size taps, dil apart, from start that
// lies in [0,n): its first position, and the first position after it in steps
// of dil.
func clip(start, size, dil, n int) (lo, hi int) {
	lo, hi = start, start+size*dil
	for lo < 0 {
		lo += dil
	}
	for hi-dil >= n {
		hi -= dil
	}
	if hi <= lo {
		return 0, 0
	}
	return lo, hi
}

// counted returns how many taps of a window lie below end.
func counted(start, size, dil, end int) int {
	for size > 0 && start+(size-1)*dil >= end {
		size--
	}
	return size
}

// poolMax writes the maximum of ny×nx pixels to o. NaN wins.
func poolMax(o, src []float32, dy, dx, ny, nx int) {
	for c := range o {
		o[c] = -inf32
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

// maxOfWindows writes the maxima of size×size windows side by side to the
// pixels of out; row is the distance between rows of src.
func maxOfWindows(out, src []float32, row, size int) {
	if active != generic {
		poolRowVector(PoolMax, out, src, len(out)/16, 16, size, size, row, size, 1)
		return
	}
	for x := 0; x < len(out); x += 16 {
		poolMax(out[x:x+16], src[x*size:], row, 16, size, size)
	}
}

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

// ScratchBytes is one transformed row.
func (k *GlobalPool) ScratchBytes() int { return k.Src.W * 64 }

// Run computes the pool.
func (k *GlobalPool) Run(c *Context) {
	k.Dst.clearBorder(c)
	c.do(k.Dst.N*k.Dst.Blocks(), k.Src.N*k.Src.C*k.Src.H*k.Src.W, k)
}

func (k *GlobalPool) part(c *Context, i, worker int) {
	n, b := i/k.Dst.Blocks(), i%k.Dst.Blocks()
	src := c.f32(k.Src.Ref)
	scale, shift := blockOf(c.f32(k.Scale), b), blockOf(c.f32(k.Shift), b)
	scratch := floats(c.scratch[worker])[:k.Src.W*16]
	var acc [16]float64
	top := [16]float32{}
	for ch := range top {
		top[ch] = -inf32
	}
	var sum [16]float32
	for y := range k.Src.H {
		row := k.Src.row(src, n, b, y)
		if scale != nil || shift != nil || k.Pre.Fn != ActIdentity {
			affineRow(scratch, row, scale, shift, k.Pre)
			row = scratch
		}
		if active != generic {
			if k.Kind == PoolMax {
				accumulateVector(k.Kind, &top, row)
				continue
			}
			sum = [16]float32{}
			accumulateVector(k.Kind, &sum, row)
			for ch, v := range sum {
				acc[ch] += float64(v)
			}
			continue
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
	out := k.Dst.row(c.f32(k.Dst.Ref), n, b, 0)
	for ch := range out {
		out[ch] = top[ch]
		if k.Kind == PoolAvg {
			out[ch] = float32(acc[ch] / float64(k.Src.H*k.Src.W))
		}
	}
}
