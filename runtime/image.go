package runtime

import "unsafe"

// clearBorder zeroes the border of m if the plan asks for it.
func (m *Image) clearBorder(c *Context) {
	if !m.Clear {
		return
	}
	data := c.f32(m.Ref)
	row := m.Row()
	for n := range m.N {
		for b := range m.Blocks() {
			p := data[n*m.BatchStride+b*m.Plane():][:m.Plane()]
			clear(p[:m.Top*row])
			clear(p[(m.Top+m.H)*row:])
			for y := m.Top; y < m.Top+m.H; y++ {
				clear(p[y*row : y*row+m.Left*16])
				clear(p[y*row+(m.Left+m.W)*16 : (y+1)*row])
			}
		}
	}
}

// row returns row y of block b of image n, without the border.
func (m *Image) row(data []float32, n, b, y int) []float32 {
	o := n*m.BatchStride + b*m.Plane() + m.Origin() + y*m.Row()
	return data[o : o+m.W*16]
}

// small is how many floats of work are not worth waking a worker for. It is
// zero in tests.
var small = 1 << 14

// do runs n parts of j on the team, or all on the caller when the work in all
// is small.
func (c *Context) do(n, work int, j job) {
	if work < small {
		for i := range n {
			j.part(c, i, 0)
		}
		return
	}
	c.team.do(n, c, j)
}

// affineRow computes dst = act(src·scale+shift) over pixels of 16 channels.
// scale and shift may be nil. dst may be src.
func affineRow(dst, src, scale, shift []float32, act Act) {
	if active != generic && affineRowVector(dst, src, scale, shift, act) {
		return
	}
	affineRowGo(dst, src, scale, shift, act)
}

func affineRowGo(dst, src, scale, shift []float32, act Act) {
	switch {
	case scale == nil && shift == nil:
		copy(dst, src)
	case shift == nil:
		for i, v := range src {
			dst[i] = v * scale[i&15]
		}
	case scale == nil:
		for i, v := range src {
			dst[i] = v + shift[i&15]
		}
	default:
		for i, v := range src {
			dst[i] = v*scale[i&15] + shift[i&15]
		}
	}
	applyAct(dst[:len(src)], act)
}

// wholeBlocks is the next multiple of 16: so many channels fill blocks.
func wholeBlocks(n int) int { return (n + 15) &^ 15 }

// copyPixels copies n pixels of 16 channels, dstStep and srcStep floats apart,
// one after the other.
func copyPixels(dst, src []float32, n, dstStep, srcStep int) {
	if n == 0 {
		return
	}
	_, _ = dst[(n-1)*dstStep+15], src[(n-1)*srcStep+15]
	to, from := unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0])
	for range n {
		p, q := (*[4][4]float32)(to), (*[4][4]float32)(from)
		p[0] = q[0] // an instruction
		p[1] = q[1]
		p[2] = q[2]
		p[3] = q[3]
		to, from = unsafe.Add(to, dstStep*4), unsafe.Add(from, srcStep*4)
	}
}
