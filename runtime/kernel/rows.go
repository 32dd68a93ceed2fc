package kernel

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
)

var (
	ones  = splat(1)
	zeros [16]float32
)

func splat(x float32) (v [16]float32) {
	for i := range v {
		v[i] = x
	}
	return v
}

// callFloats is the maximum number of floats that one call of a micro-kernel computes.
// A garbage collection waits for the end of a call, because no goroutine can be stopped
// inside assembly. A call takes at most about 50 µs. Tests change it.
var callFloats = 1 << 15

// setAct makes the micro-kernel apply act if it is a clamp, and reports whether it is.
// The caller applies other activations to the stored tile.
func setAct(a *simd.Tile, act Act) (ok bool) {
	a.Lo, a.Hi, ok = act.Clamp()
	a.Clamp = 0
	if ok && act.Fn != ActIdentity {
		a.Clamp = 1
	}
	return ok
}

// affineRow computes dst = act(src·scale+shift) over pixels of 16 channels. scale
// and shift may be nil. dst may be src.
func affineRow(dst, src, scale, shift []float32, act Act) {
	for len(src) > callFloats {
		affineRow(dst, src[:callFloats], scale, shift, act)
		dst, src = dst[callFloats:], src[callFloats:]
	}
	if len(src) == 0 {
		return
	}
	s, t := &ones[0], &zeros[0]
	if scale != nil {
		s = &scale[0]
	}
	if shift != nil {
		t = &shift[0]
	}
	lo, hi, clamp := act.Clamp()
	if !simd.Affine(&dst[0], &src[0], len(src)/16, s, t, lo, hi) {
		affineRowGo(dst, src, scale, shift, act)
	} else if !clamp {
		Apply(dst[:len(src)], act)
	}
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
	Apply(dst[:len(src)], act)
}

// binaryRow computes dst = act(fn(a, b)). It combines element i of a with element
// i&mask of b. mask is −1, or 15 if b is one pixel.
func binaryRow(dst, a, b []float32, mask int, fn BinaryFn, act Act) {
	for len(a) > callFloats {
		binaryRow(dst, a[:callFloats], b, mask, fn, act)
		dst, a = dst[callFloats:], a[callFloats:]
		if mask == -1 {
			b = b[callFloats:]
		}
	}
	if len(a) == 0 {
		return
	}
	step := pixelBytes
	if mask == 15 {
		step = 0
	}
	lo, hi, clamp := act.Clamp()
	done := false
	switch fn {
	case BinAdd:
		done = simd.AddRow(&dst[0], &a[0], &b[0], len(a)/16, step, lo, hi)
	case BinMul:
		done = simd.MulRow(&dst[0], &a[0], &b[0], len(a)/16, step, lo, hi)
	}
	if !done {
		binaryRowGo(dst, a, b, mask, fn, act)
	} else if !clamp {
		Apply(dst[:len(a)], act)
	}
}

func binaryRowGo(dst, a, b []float32, mask int, fn BinaryFn, act Act) {
	switch fn {
	case BinAdd:
		for i, v := range a {
			dst[i] = v + b[i&mask]
		}
	case BinSub:
		for i, v := range a {
			dst[i] = v - b[i&mask]
		}
	case BinMul:
		for i, v := range a {
			dst[i] = v * b[i&mask]
		}
	default:
		for i, v := range a {
			dst[i] = EvalBinary(fn, v, b[i&mask])
		}
	}
	Apply(dst[:len(a)], act)
}

// transpose transposes eight rows of src and n columns, and returns the number of
// columns that it did. Rows and columns are dstRow, srcRow, dstCol and srcCol floats
// apart; a square of 8×8 has rows of eight adjacent floats.
func transpose(dst, src []float32, dstRow, srcRow, dstCol, srcCol, n int) (done int) {
	for n-done >= 8 {
		squares := min((n-done)/8, callFloats/64)
		if !simd.Transpose(&dst[done*dstCol], &src[done*srcCol], dstRow*4, srcRow*4, 8*dstCol*4, 8*srcCol*4, squares) {
			break
		}
		done += squares * 8
	}
	return done
}

// copyPixels copies n pixels of 16 channels. Pixels are dstStep floats apart in dst and
// srcStep floats in src.
func copyPixels(dst, src []float32, n, dstStep, srcStep int) {
	if n == 0 {
		return
	}
	_, _ = dst[(n-1)*dstStep+15], src[(n-1)*srcStep+15]
	to, from := unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0])
	for range n {
		p, q := (*[4][4]float32)(to), (*[4][4]float32)(from)
		p[0] = q[0] // one instruction
		p[1] = q[1]
		p[2] = q[2]
		p[3] = q[3]
		to, from = unsafe.Add(to, dstStep*4), unsafe.Add(from, srcStep*4)
	}
}

// blocksOf returns a per-channel operand starting at block b, nil if it is absent.
func blocksOf(v []float32, b int) []float32 {
	if v == nil {
		return nil
	}
	return v[b*16:]
}

// blockOf returns block b of a per-channel operand, nil if it is absent.
func blockOf(v []float32, b int) []float32 {
	if v == nil {
		return nil
	}
	return v[b*16 : b*16+16]
}

var zeroBias [32]float32

// biasOf returns the bias starting at a block of 16 channels, zeros if it is absent.
func biasOf(c *Context, bias Ref, block int) unsafe.Pointer {
	if !bias.Present() {
		return unsafe.Pointer(&zeroBias[0])
	}
	return unsafe.Pointer(&c.F32(bias)[block*16])
}

// prologue reads an image through x·scale+shift and an activation.
type prologue struct {
	src                []float32 // of one image
	img                *Image
	scale, shift       []float32 // nil for 1 and 0
	act                Act
	flat               bool // the pixels are one row
	skipRows, skipCols int  // the numbers of rows and columns to skip after each one that is read
}

// window writes all blocks of h×w pixels, starting at row y and column x, to dst
// [blocks][h][w][16]. Pixels outside the image become zero.
func (p *prologue) window(dst []float32, y, x, h, w int) {
	m := p.img
	rows, cols := m.H, m.W
	if p.flat {
		rows, cols = 1, m.H*m.W
	}
	step := 1 + p.skipCols
	// The columns inside the image.
	lo, hi := min(team.Split(max(0, -x), step), w), min(w, team.Split(max(0, cols-x), step))
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
			src := p.src[m.At(0, b, at, x+lo*step):]
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

// AffineRow computes dst = act(src·scale+shift) over pixels of 16 channels. scale and
// shift may be nil. dst may be src.
func AffineRow(dst, src, scale, shift []float32, act Act) { affineRow(dst, src, scale, shift, act) }
