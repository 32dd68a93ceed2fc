package kernel

// Pack converts a dense float32 tensor to an image. The channels beyond C in the last
// block become zero.
type Pack struct {
	Src  Ref // [N,C,H,W], or [N,H,W,C] when NHWC is set
	NHWC bool
	Dst  Image
}

// Unpack converts an image to a dense float32 tensor.
type Unpack struct {
	Src  Image
	Dst  Ref // [N,C,H,W], or [N,H,W,C] when NHWC is set
	NHWC bool
}

// Copy copies Channels channels of Src, starting at SrcChannel, to channels of Dst,
// starting at DstChannel. The images have the same element type, rows and columns. Dst may have
// another border, or be a slice of the buffer of a concatenation. SrcChannel and
// DstChannel need not be multiples of 16. Other channels of Dst keep their values. If
// the range ends at C, the channels beyond C in the last block become zero.
type Copy struct {
	Src, Dst               Image
	SrcChannel, DstChannel int
	Channels               int
}

// ResizeImage interpolates H and W of an image of floats. Images of bytes must have one
// tap of weight 1, as nearest neighbours have. The compiler computes the tables of
// rows and columns. Result row y is Σ_k RowWeight[y·RowTaps+k] · source row
// RowIndex[y·RowTaps+k]. The tables of columns have the same form. Nearest
// neighbours have one tap.
type ResizeImage struct {
	Src, Dst             Image
	RowTaps, ColTaps     int
	RowIndex, ColIndex   []int32
	RowWeight, ColWeight []float32
}

// PadImage copies an image of any element type to one with other rows and columns, for
// every mode of padding and for crops. Result row y is source row Rows[y], or Value if Rows[y] is
// −1. Cols has the same form.
type PadImage struct {
	Src, Dst   Image
	Rows, Cols []int32
	Value      float32
}

// Check declares the memory of the step.
func (k *Pack) Check(v *Verifier) {
	v.writes("Dst", &k.Dst)
	v.floats("Src", k.Src, Product(k.Dst.N, k.Dst.C, k.Dst.H, k.Dst.W))
}

// ScratchBytes is zero.
func (k *Pack) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Pack) Run(c *Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Dst.N*k.Dst.Blocks(), k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W, k)
}

// Part writes one block of 16 channels of one image.
func (k *Pack) Part(c *Context, i, worker int) {
	m := &k.Dst
	n, b := i/m.Blocks(), i%m.Blocks()
	src, dst := c.F32(k.Src)[n*m.C*m.H*m.W:], c.F32(m.Ref)
	channels := min(16, m.C-b*16)
	for y := range m.H {
		out := m.row(dst, n, b, y)
		if channels < 16 {
			clear(out)
		}
		if k.NHWC {
			for x := range m.W {
				copy(out[x*16:x*16+channels], src[(y*m.W+x)*m.C+b*16:])
			}
			continue
		}
		plane := src[(b*16*m.H+y)*m.W:]
		for ch := 0; ch < channels; {
			x := 0
			if ch%8 == 0 && ch+8 <= channels {
				x = transpose(out[ch:], plane[ch*m.H*m.W:], 16, m.H*m.W, 16, 1, m.W)
			}
			if x > 0 {
				for ; x < m.W; x++ {
					for i := ch; i < ch+8; i++ {
						out[x*16+i] = plane[i*m.H*m.W+x]
					}
				}
				ch += 8
				continue
			}
			for x, v := range plane[ch*m.H*m.W:][:m.W] {
				out[x*16+ch] = v
			}
			ch++
		}
	}
}

// Check declares the memory of the step.
func (k *Unpack) Check(v *Verifier) {
	v.reads("Src", &k.Src)
	v.Write("Dst", k.Dst, 4, Product(k.Src.N, k.Src.C, k.Src.H, k.Src.W))
}

// ScratchBytes is zero.
func (k *Unpack) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Unpack) Run(c *Context) {
	c.Do(k.Src.N*k.Src.Blocks(), k.Src.N*k.Src.C*k.Src.H*k.Src.W, k)
}

// Part reads one block of 16 channels of one image.
func (k *Unpack) Part(c *Context, i, worker int) {
	m := &k.Src
	n, b := i/m.Blocks(), i%m.Blocks()
	src, dst := c.F32(m.Ref), c.F32(k.Dst)[n*m.C*m.H*m.W:]
	channels := min(16, m.C-b*16)
	for y := range m.H {
		in := m.row(src, n, b, y)
		if k.NHWC {
			for x := range m.W {
				copy(dst[(y*m.W+x)*m.C+b*16:][:channels], in[x*16:])
			}
			continue
		}
		plane := dst[(b*16*m.H+y)*m.W:]
		for ch := 0; ch < channels; {
			x := 0
			if ch%8 == 0 && ch+8 <= channels {
				x = transpose(plane[ch*m.H*m.W:], in[ch:], m.H*m.W, 16, 1, 16, m.W)
			}
			if x > 0 {
				for ; x < m.W; x++ {
					for i := ch; i < ch+8; i++ {
						plane[i*m.H*m.W+x] = in[x*16+i]
					}
				}
				ch += 8
				continue
			}
			row := plane[ch*m.H*m.W:][:m.W]
			for x := range row {
				row[x] = in[x*16+ch]
			}
			ch++
		}
	}
}

// Check declares the memory of the step.
func (k *Copy) Check(v *Verifier) {
	v.moves(&k.Src, &k.Dst)
	v.Require(k.Dst.Lanes() == lanes && k.Src.Lanes() == lanes, "the layouts of the operands differ")
	v.Require(k.Src.N == k.Dst.N && k.Src.H == k.Dst.H && k.Src.W == k.Dst.W, "the extents of the operands differ")
	v.Positive("Channels", k.Channels)
	v.Require(k.SrcChannel >= 0 && k.SrcChannel <= k.Src.C-k.Channels && k.DstChannel >= 0 && k.DstChannel <= k.Dst.C-k.Channels, "the channels are outside the images")
}

// ScratchBytes is zero.
func (k *Copy) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Copy) Run(c *Context) {
	k.Dst.ClearBorder(c)
	first, last := k.DstChannel/16, (k.DstChannel+k.Channels-1)/16
	c.Do(k.Dst.N*(last-first+1), k.Dst.N*k.Channels*k.Dst.H*k.Dst.W, k)
}

// Part copies the channels of the range that lie in one block of Dst.
func (k *Copy) Part(c *Context, i, worker int) {
	end := k.DstChannel + k.Channels
	first := k.DstChannel / 16
	blocks := (end-1)/16 - first + 1
	n, b := i/blocks, first+i%blocks
	lo, hi := max(k.DstChannel, b*16), min(end, b*16+16)
	from := k.SrcChannel + lo - k.DstChannel
	// The channels beyond C become zero.
	tail := hi == end && end == k.Dst.C
	if from%16 == 0 && lo == b*16 && (hi == b*16+16) {
		src, dst := k.Src.bytes(c), k.Dst.bytes(c)
		for y := range k.Dst.H {
			Move(k.Dst.line(dst, n, b, y), k.Src.line(src, n, from/16, y))
		}
		return
	}
	if k.Dst.Elem != Float32 {
		for ch := lo; ch < hi; ch++ {
			copyLane(c, &k.Dst, &k.Src, n, ch, from+ch-lo)
		}
		return
	}
	dst := c.F32(k.Dst.Ref)
	var s laneSources
	for ch := lo; ch < hi; ch++ {
		s.add(c, ch-b*16, &k.Src, n, from+ch-lo)
	}
	s.gather(c, &k.Dst, n, b, lo > b*16 || !tail)
	if tail && lo > b*16 {
		for y := range k.Dst.H {
			out := k.Dst.row(dst, n, b, y)
			for x := range k.Dst.W {
				clear(out[x*16+hi-b*16 : x*16+16])
			}
		}
	}
}

// Check declares the memory of the step.
func (k *ResizeImage) Check(v *Verifier) {
	v.moves(&k.Src, &k.Dst)
	v.Require(k.Src.N == k.Dst.N && k.Src.Blocks() == k.Dst.Blocks() && k.Src.Lanes() == k.Dst.Lanes(), "the extents of the operands differ")
	v.Require(k.Dst.Elem == Float32 || k.RowTaps == 1 && k.ColTaps == 1, "bytes are interpolated")
	v.Table("rows", k.RowIndex, k.RowWeight, k.Dst.H, k.RowTaps, k.Src.H)
	v.Table("columns", k.ColIndex, k.ColWeight, k.Dst.W, k.ColTaps, k.Src.W)
}

// ScratchBytes is the size of a source row.
func (k *ResizeImage) ScratchBytes() int { return k.Src.W * pixelBytes }

// Run computes the step.
func (k *ResizeImage) Run(c *Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Dst.N*k.Dst.Blocks()*k.Dst.H, k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W*(1+k.ColTaps), k)
}

// Part computes one row of one block. It combines source rows in scratch, and then the
// columns of the combined row.
func (k *ResizeImage) Part(c *Context, i, worker int) {
	y := i % k.Dst.H
	i /= k.Dst.H
	n, b := i/k.Dst.Blocks(), i%k.Dst.Blocks()
	if k.Dst.Elem != Float32 {
		in := k.Src.line(k.Src.bytes(c), n, b, int(k.RowIndex[y]))
		copyColumns(k.Dst.line(k.Dst.bytes(c), n, b, y), in, k.ColIndex[:k.Dst.W], k.Dst.PixelBytes(), nil)
		return
	}
	src := c.F32(k.Src.Ref)
	out := k.Dst.row(c.F32(k.Dst.Ref), n, b, y)
	row := Floats(c.scratch[worker])[:k.Src.W*16]
	if k.RowTaps == 1 && k.RowWeight[y] == 1 {
		row = k.Src.row(src, n, b, int(k.RowIndex[y]))
	} else {
		clear(row)
		for t := range k.RowTaps {
			w := k.RowWeight[y*k.RowTaps+t]
			for j, v := range k.Src.row(src, n, b, int(k.RowIndex[y*k.RowTaps+t])) {
				row[j] += w * v
			}
		}
	}
	for x := range k.Dst.W {
		o := out[x*16 : x*16+16]
		if k.ColTaps == 1 && k.ColWeight[x] == 1 {
			copy(o, row[k.ColIndex[x]*16:])
			continue
		}
		clear(o)
		for t := range k.ColTaps {
			w := k.ColWeight[x*k.ColTaps+t]
			for ch, v := range row[k.ColIndex[x*k.ColTaps+t]*16:][:16] {
				o[ch] += w * v
			}
		}
	}
}

// Check declares the memory of the step.
func (k *PadImage) Check(v *Verifier) {
	v.moves(&k.Src, &k.Dst)
	v.Require(k.Src.N == k.Dst.N && k.Src.Blocks() == k.Dst.Blocks() && k.Src.Lanes() == k.Dst.Lanes() && len(k.Rows) == k.Dst.H && len(k.Cols) == k.Dst.W, "the extents of the operands differ")
	v.Indices("rows", k.Rows, -1, k.Src.H)
	v.Indices("columns", k.Cols, -1, k.Src.W)
}

// ScratchBytes is zero.
func (k *PadImage) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *PadImage) Run(c *Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Dst.N*k.Dst.Blocks()*k.Dst.H, k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W, k)
}

// Part writes one row of one block of one image.
func (k *PadImage) Part(c *Context, i, worker int) {
	y := i % k.Dst.H
	i /= k.Dst.H
	n, b := i/k.Dst.Blocks(), i%k.Dst.Blocks()
	out, pixel := k.Dst.line(k.Dst.bytes(c), n, b, y), k.Dst.PixelBytes()
	var many [pixelBytes]byte // a pixel of Value
	value := many[:pixel]
	if k.Dst.Elem == Float32 {
		for i := range lanes {
			Floats(value)[i] = k.Value
		}
	} else {
		fill(value, byte(k.Value))
	}
	if k.Rows[y] < 0 {
		for ; len(out) > 0; out = out[pixel:] {
			copy(out, value)
		}
		return
	}
	copyColumns(out, k.Src.line(k.Src.bytes(c), n, b, int(k.Rows[y])), k.Cols, pixel, value)
}

// copyColumns writes column from[x] of in to column x of out. A column of −1 becomes
// value. Columns have the given size in bytes.
func copyColumns(out, in []byte, from []int32, pixel int, value []byte) {
	for x, f := range from {
		o := out[x*pixel : (x+1)*pixel]
		if f < 0 {
			copy(o, value)
		} else {
			copy(o, in[int(f)*pixel:])
		}
	}
}

// copyLane copies channel from of src to channel to of dst. The images have elements of
// one byte and the same rows and columns.
func copyLane(c *Context, dst, src *Image, n, to, from int) {
	in, out := src.bytes(c), dst.bytes(c)
	sl, dl := src.Lanes(), dst.Lanes()
	for y := range dst.H {
		a, b := src.line(in, n, from/sl, y)[from%sl:], dst.line(out, n, to/dl, y)[to%dl:]
		for x := range dst.W {
			b[x*dl] = a[x*sl]
		}
	}
}
