package runtime

// Spread writes an image to every SY-th row and SX-th column of another, from
// row Y and column X on, NC16 to NC16. Dst has as many channels as Src.
type Spread struct {
	Src, Dst     Image
	SY, SX, Y, X int
}

// ScratchBytes is zero.
func (k *Spread) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Spread) Run(c *Context) {
	k.Dst.clearBorder(c)
	c.do(k.Src.N*k.Src.Blocks(), k.Src.N*k.Src.C*k.Src.H*k.Src.W, k)
}

// part spreads one block of 16 channels of one image.
func (k *Spread) part(c *Context, i, worker int) {
	n, b := i/k.Src.Blocks(), i%k.Src.Blocks()
	src, dst := c.f32(k.Src.Ref), c.f32(k.Dst.Ref)
	for y := range k.Src.H {
		in := k.Src.row(src, n, b, y)
		out := k.Dst.row(dst, n, b, y*k.SY+k.Y)[k.X*16:]
		for x := 0; x < k.Src.W*16; x += 16 {
			*(*[16]float32)(out[x*k.SX:]) = [16]float32(in[x:])
		}
	}
}
