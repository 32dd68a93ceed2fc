package runtime

// prologue reads an image through x·scale+shift and an activation.
type prologue struct {
	src                []float32 // of one image
	img                *Image
	scale, shift       []float32 // nil for 1 and 0
	act                Act
	flat               bool // the pixels are one row
	skipRows, skipCols int  // how many rows and columns are left out after each
}

// window writes all blocks of h×w pixels from row y, column x on to
// dst [blocks][h][w][16]. Pixels outside the image become zero.
func (p *prologue) window(dst []float32, y, x, h, w int) {
	m := p.img
	rows, cols := m.H, m.W
	if p.flat {
		rows, cols = 1, m.H*m.W
	}
	step := 1 + p.skipCols
	// The columns inside the image.
	lo, hi := min(split(max(0, -x), step), w), min(w, split(max(0, cols-x), step))
	hi = max(hi, lo)
	for b := range m.Blocks() {
		var scale, shift []float32
		if p.scale != nil {
			scale = p.scale[b*16 : b*16+16]
		}
		if p.shift != nil {
			shift = p.shift[b*16 : b*16+16]
		}
		for r := range h {
			row := dst[(b*h+r)*w*16 : (b*h+r+1)*w*16]
			at := y + r*(1+p.skipRows)
			if at < 0 || at >= rows {
				clear(row)
				continue
			}
			clear(row[:lo*16])
			clear(row[hi*16:])
			if hi == lo {
				continue
			}
			src := p.src[b*m.Plane()+m.Origin()+at*m.Row()+(x+lo*step)*16:]
			row = row[lo*16 : hi*16]
			if step > 1 {
				copyPixels(row, src, hi-lo, 16, step*16)
				if scale != nil || shift != nil || p.act.Fn != ActIdentity {
					affineRow(row, row, scale, shift, p.act)
				}
				continue
			}
			affineRow(row, src[:len(row)], scale, shift, p.act)
		}
	}
}
