package runtime

import "unsafe"

// ConvLast is a convolution to few output channels, those of a picture, NC16
// to NC16: vectors hold input channels, whose products are added up at the end,
// so that no lane works on an output channel that does not exist. Operands as
// in Conv, without a prologue.
type ConvLast struct {
	Src, Dst        Image
	W               Ref // [OC][ceil(IC/16)][KH][KW][16]
	Bias            Ref
	Residual        Image
	Act             Act
	KH, KW          int
	SH, SW          int
	DH, DW          int
	PadTop, PadLeft int
}

// ScratchBytes holds the sums of a row.
func (k *ConvLast) ScratchBytes() int { return k.Dst.W * 64 }

// Run computes the convolution.
func (k *ConvLast) Run(c *Context) {
	k.Dst.clearBorder(c)
	c.do(k.Dst.N*k.Dst.H, tileWork(k.Dst.N*k.Dst.H*k.Dst.W*k.Dst.C*k.Src.C*k.KH*k.KW), k)
}

// part computes one row.
func (k *ConvLast) part(c *Context, i, worker int) {
	n, y := i/k.Dst.H, i%k.Dst.H
	src := c.f32(k.Src.Ref)
	w, bias := c.f32(k.W), c.f32(k.Bias)
	out := k.Dst.row(c.f32(k.Dst.Ref), n, 0, y)
	var res []float32
	if k.Residual.N > 0 {
		res = k.Residual.row(c.f32(k.Residual.Ref), n, 0, y)
	}
	sums := floats(c.scratch[worker])
	row := k.Src.Row()
	in := n*k.Src.BatchStride + k.Src.Origin() + (y*k.SH-k.PadTop)*row - k.PadLeft*16
	a := newTile(false)
	a.pix, a.outPix, a.resPix, a.bias = k.SW*64, 64, 64, unsafe.Pointer(&zeros[0])
	a.rows, a.rowStride, a.cols, a.colStride = k.KH, k.DH*row*4, k.KW, k.DW*64
	pieces := split(k.Dst.W, channelPixels())
	taps := k.KH * k.KW * 16
	for o := range k.Dst.C {
		for p := range pieces {
			x := cut(k.Dst.W, pieces, p)
			a.pixels = cut(k.Dst.W, pieces, p+1) - x
			a.out, a.res = unsafe.Pointer(&sums[x*16]), nil
			for b := range k.Src.Blocks() {
				a.in, a.w = unsafe.Pointer(&src[in+b*k.Src.Plane()+x*k.SW*16]), unsafe.Pointer(&w[(o*k.Src.Blocks()+b)*taps])
				a.depthwise()
				a.res = a.out // the blocks before
			}
		}
		start := float32(0)
		if bias != nil {
			start = bias[o]
		}
		for x := range k.Dst.W {
			s := (*[16]float32)(sums[x*16:])
			v := start + (((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7])) + ((s[8] + s[9]) + (s[10] + s[11])) + ((s[12] + s[13]) + (s[14] + s[15])))
			if res != nil {
				v += res[x*16+o]
			}
			out[x*16+o] = v
		}
	}
	for x := range k.Dst.W {
		clear(out[x*16+k.Dst.C : x*16+16])
	}
	applyAct(out, k.Act)
}
