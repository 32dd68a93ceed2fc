package kernel

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
)

// ConvLast is a convolution with few output channels, such as those of a picture,
// NC16 to NC16. Its vectors hold input channels, and their lanes are added at the
// end. So no lane computes an output channel that does not exist. Operands are as in
// [Conv], without a prologue.
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

// Check declares the memory of the step.
func (k *ConvLast) Check(v *Verifier) {
	v.reads("Src", &k.Src)
	v.writes("Dst", &k.Dst)
	v.residual(&k.Residual, &k.Dst)
	v.Require(k.Src.N == k.Dst.N && k.Dst.C <= lanes, "the operands do not fit the convolution")
	v.Require(v.Windows(Filter{k.KH, k.KW, k.SH, k.SW, k.DH, k.DW, k.PadTop, k.PadLeft}, k.Dst.H, k.Dst.W, &k.Src), leaves)
	v.floats("W", k.W, Product(k.Dst.C, k.Src.Blocks(), k.KH, k.KW, lanes))
	v.channels("Bias", k.Bias, 1)
	v.Act(k.Act.Fn)
}

// ScratchBytes is the size of the sums of a row.
func (k *ConvLast) ScratchBytes() int { return k.Dst.W * pixelBytes }

// Run computes the convolution.
func (k *ConvLast) Run(c *Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Dst.N*k.Dst.H, tileWork(k.Dst.N*k.Dst.H*k.Dst.W*k.Dst.C*k.Src.C*k.KH*k.KW), k)
}

// Part computes one row.
func (k *ConvLast) Part(c *Context, i, worker int) {
	n, y := i/k.Dst.H, i%k.Dst.H
	src := c.F32(k.Src.Ref)
	w, bias := c.F32(k.W), c.F32(k.Bias)
	out := k.Dst.row(c.F32(k.Dst.Ref), n, 0, y)
	var res []float32
	if k.Residual.N > 0 {
		res = k.Residual.row(c.F32(k.Residual.Ref), n, 0, y)
	}
	sums := Floats(c.scratch[worker])
	in := k.Src.At(n, 0, y*k.SH-k.PadTop, -k.PadLeft)
	a := simd.NewTile(false)
	a.Pix, a.OutPix, a.ResPix, a.Bias = k.SW*pixelBytes, pixelBytes, pixelBytes, unsafe.Pointer(&zeros[0])
	a.Rows, a.RowStride, a.Cols, a.ColStride = k.KH, k.DH*k.Src.RowBytes(), k.KW, k.DW*pixelBytes
	pieces := team.Split(k.Dst.W, simd.Active().ChannelPixels)
	taps := k.KH * k.KW * 16
	for o := range k.Dst.C {
		for p := range pieces {
			x := team.Cut(k.Dst.W, pieces, p)
			a.Pixels = team.Cut(k.Dst.W, pieces, p+1) - x
			a.Out, a.Res = unsafe.Pointer(&sums[x*16]), nil
			for b := range k.Src.Blocks() {
				a.In, a.W = unsafe.Pointer(&src[in+b*k.Src.Plane()+x*k.SW*16]), unsafe.Pointer(&w[(o*k.Src.Blocks()+b)*taps])
				a.ComputeDepthwise()
				a.Res = a.Out // the sums of the previous blocks
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
	Apply(out, k.Act)
}
