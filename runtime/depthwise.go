package runtime

// Depthwise is a convolution with one filter per channel, NC16 to NC16.
// Operands as in Conv.
type Depthwise struct {
	Src, Dst        Image
	W               Ref // [ceil(C/16)][KH][KW][16]
	Bias            Ref
	Residual        Image
	Scale, Shift    Ref
	Pre, Act        Act
	KH, KW          int
	SH, SW          int
	DH, DW          int
	PadTop, PadLeft int
}

// ScratchBytes is one transformed input window when there is a prologue.
func (k *Depthwise) ScratchBytes() int {
	if !k.prologue() {
		return 0
	}
	return k.inRows() * k.inCols() * 64
}

func (k *Depthwise) prologue() bool {
	return k.Scale.Present() || k.Shift.Present() || k.Pre.Fn != ActIdentity
}

func (k *Depthwise) inRows() int { return (k.Dst.H-1)*k.SH + (k.KH-1)*k.DH + 1 }
func (k *Depthwise) inCols() int { return (k.Dst.W-1)*k.SW + (k.KW-1)*k.DW + 1 }

// Run computes the convolution.
func (k *Depthwise) Run(c *Context) {
	k.Dst.clearBorder(c)
	c.team.do(k.Dst.N*k.Dst.Blocks(), c, k)
}

// part computes one block of 16 channels of one image.
func (k *Depthwise) part(c *Context, i, worker int) {
	n, b := i/k.Dst.Blocks(), i%k.Dst.Blocks()
	src := c.f32(k.Src.Ref)[n*k.Src.BatchStride+b*k.Src.Plane():]
	row := k.Src.Row()
	in := k.Src.Origin() - k.PadTop*row - k.PadLeft*16
	if k.prologue() {
		one := k.Src
		one.C = 16
		pr := prologue{src: src, img: &one, scale: blockOf(c.f32(k.Scale), b), shift: blockOf(c.f32(k.Shift), b), act: k.Pre}
		scratch := floats(c.scratch[worker])
		pr.window(scratch, -k.PadTop, -k.PadLeft, k.inRows(), k.inCols())
		src, row, in = scratch, k.inCols()*16, 0
	}
	dst := c.f32(k.Dst.Ref)[n*k.Dst.BatchStride+b*k.Dst.Plane():]
	var res []float32
	if k.Residual.N > 0 {
		res = c.f32(k.Residual.Ref)[n*k.Residual.BatchStride+b*k.Residual.Plane():]
	}
	w := c.f32(k.W)[b*k.KH*k.KW*16:][:k.KH*k.KW*16]
	var bias [16]float32
	copy(bias[:], blockOf(c.f32(k.Bias), b))
	for y := range k.Dst.H {
		out := dst[k.Dst.Origin()+y*k.Dst.Row():][:k.Dst.W*16]
		var r []float32
		if res != nil {
			r = res[k.Residual.Origin()+y*k.Residual.Row():][:k.Dst.W*16]
		}
		k.row(out, src[in+y*k.SH*row:], w, &bias, r, row)
		applyAct(out, k.Act)
	}
}

// blockOf returns block b of a per-channel operand, nil for an absent one.
func blockOf(v []float32, b int) []float32 {
	if v == nil {
		return nil
	}
	return v[b*16 : b*16+16]
}

// row computes one output row, without the activation.
func (k *Depthwise) row(out, in, w []float32, bias *[16]float32, res []float32, inRow int) {
	if useAVX512 {
		k.rowAVX512(out, in, w, bias, res, inRow)
		return
	}
	k.rowGo(out, in, w, bias, res, inRow)
}

func (k *Depthwise) rowGo(out, in, w []float32, bias *[16]float32, res []float32, inRow int) {
	for x := 0; x*16 < len(out); x++ {
		acc := *bias
		for y := range k.KH {
			for t := range k.KW {
				v := in[y*k.DH*inRow+(x*k.SW+t*k.DW)*16:][:16]
				f := w[(y*k.KW+t)*16:][:16]
				for o := range acc {
					acc[o] += v[o] * f[o]
				}
			}
		}
		if res != nil {
			for o, r := range res[x*16 : x*16+16] {
				acc[o] += r
			}
		}
		copy(out[x*16:x*16+16], acc[:])
	}
}
