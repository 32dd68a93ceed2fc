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

// UnpackWoven turns an image into a dense tensor with fewer channels of more
// pixels: channel c of Dst [N,C,SY·H,SX·W] at row y·SY+i, column x·SX+j is channel
// From[(i·SX+j)·C+c] of pixel (y,x).
type UnpackWoven struct {
	Src    Image
	Dst    Ref
	SY, SX int
	From   []int32
}

// ScratchBytes is zero.
func (k *UnpackWoven) ScratchBytes() int { return 0 }

func (k *UnpackWoven) channels() int { return len(k.From) / (k.SY * k.SX) }

// Run computes the step.
func (k *UnpackWoven) Run(c *Context) {
	c.do(k.Src.N*k.channels()*k.Src.H, k.Dst.Len, k)
}

// part writes the rows of one channel that come from one row of pixels.
func (k *UnpackWoven) part(c *Context, i, worker int) {
	src, channels := c.f32(k.Src.Ref), k.channels()
	n, ch := i/k.Src.H/channels, i/k.Src.H%channels
	rows := c.f32(k.Dst)[i*k.SY*k.SX*k.Src.W:]
	for r := range k.SY {
		row := rows[r*k.SX*k.Src.W:][:k.SX*k.Src.W]
		for j := range k.SX {
			from := int(k.From[(r*k.SX+j)*channels+ch])
			in := k.Src.row(src, n, from/16, i%k.Src.H)[from%16:]
			for x := range k.Src.W {
				row[x*k.SX+j] = in[x*16]
			}
		}
	}
}
