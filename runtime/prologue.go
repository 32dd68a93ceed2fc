package runtime

// prologue reads an image through x·scale+shift and an activation.
type prologue struct {
	src          []float32 // of one image
	img          *Image
	scale, shift []float32 // nil for 1 and 0
	act          Act
	flat         bool // the pixels are one row
	// How many rows and columns are left out after each; where columns are, all
	// that are read lie in the image.
	skipRows, skipCols int
}

// window writes all blocks of h×w pixels from row y, column x on to
// dst [blocks][h][w][16]. Pixels outside the image become zero.
func (p *prologue) window(dst []float32, y, x, h, w int) {
	m := p.img
	rows, cols := m.H, m.W
	if p.flat {
		rows, cols = 1, m.H*m.W
	}
	// The columns inside the image.
	lo, hi := min(max(0, -x), w), min(w, cols-x)
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
			from := b*m.Plane() + m.Origin() + at*m.Row() + (x+lo)*16
			if p.skipCols > 0 {
				for c := range w {
					*(*[16]float32)(row[c*16:]) = *(*[16]float32)(p.src[from+c*(1+p.skipCols)*16:])
				}
				if scale != nil || shift != nil || p.act.Fn != ActIdentity {
					affineRow(row, row, scale, shift, p.act)
				}
				continue
			}
			affineRow(row[lo*16:hi*16], p.src[from:from+(hi-lo)*16], scale, shift, p.act)
		}
	}
}
