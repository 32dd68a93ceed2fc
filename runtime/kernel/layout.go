package kernel

import "modelc/runtime/internal/simd"

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
// starting at DstChannel. The images have the same rows and columns. Dst may have
// another border, or be a slice of the buffer of a concatenation. SrcChannel and
// DstChannel need not be multiples of 16. Other channels of Dst keep their values. If
// the range ends at C, the channels beyond C in the last block become zero.
type Copy struct {
	Src, Dst               Image
	SrcChannel, DstChannel int
	Channels               int
}

// ResizeImage interpolates H and W, NC16 to NC16. The compiler computes the tables of
// rows and columns. Result row y is Σ_k RowWeight[y·RowTaps+k] · source row
// RowIndex[y·RowTaps+k]. The tables of columns have the same form. Nearest
// neighbours have one tap.
type ResizeImage struct {
	Src, Dst             Image
	RowTaps, ColTaps     int
	RowIndex, ColIndex   []int32
	RowWeight, ColWeight []float32
}

// PadImage copies an image to one with other rows and columns, for every mode of
// padding and for crops. Result row y is source row Rows[y], or Value if Rows[y] is
// −1. Cols has the same form.
type PadImage struct {
	Src, Dst   Image
	Rows, Cols []int32
	Value      float32
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
			if x := m.W &^ 7; ch%8 == 0 && ch+8 <= channels && x > 0 && simd.Transpose(&out[ch], &plane[ch*m.H*m.W], pixelBytes, m.H*m.W*4, 8*pixelBytes, 8*4, x/8) {
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
			if x := m.W &^ 7; ch%8 == 0 && ch+8 <= channels && x > 0 && simd.Transpose(&plane[ch*m.H*m.W], &in[ch], m.H*m.W*4, pixelBytes, 8*4, 8*pixelBytes, x/8) {
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
	src, dst := c.F32(k.Src.Ref), c.F32(k.Dst.Ref)
	end := k.DstChannel + k.Channels
	first := k.DstChannel / 16
	blocks := (end-1)/16 - first + 1
	n, b := i/blocks, first+i%blocks
	lo, hi := max(k.DstChannel, b*16), min(end, b*16+16)
	from := k.SrcChannel + lo - k.DstChannel
	// The channels beyond C become zero.
	tail := hi == end && end == k.Dst.C
	if from%16 == 0 && lo == b*16 && (hi == b*16+16) {
		for y := range k.Dst.H {
			copy(k.Dst.row(dst, n, b, y), k.Src.row(src, n, from/16, y))
		}
		return
	}
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
	out := k.Dst.row(c.F32(k.Dst.Ref), n, b, y)
	if k.Rows[y] < 0 {
		for j := range out {
			out[j] = k.Value
		}
		return
	}
	in := k.Src.row(c.F32(k.Src.Ref), n, b, int(k.Rows[y]))
	for x, from := range k.Cols {
		o := out[x*16 : x*16+16]
		if from >= 0 {
			copy(o, in[from*16:])
			continue
		}
		for ch := range o {
			o[ch] = k.Value
		}
	}
}
