package integer

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// Tiers without dot products of bytes multiply words. A convolution copies the input of a
// region of its output, and the weights of a unit, to scratch as words. A tile multiplies
// pairs of words: steps of 16 channels, or for a first layer whole rows of the filter. Its
// pixels have as many words as channels, so that the words of a row are adjacent.

// words returns memory as words.
func words(b []byte) []int16 {
	return unsafe.Slice((*int16)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/2)
}

// wideLanes returns the number of words of a pixel of one block.
func (k *Conv) wideLanes() int {
	if k.Src.Lanes() == 4 {
		return k.Src.C
	}
	return lanes
}

// wideBytes returns the size of the input of rows and cols of the output, rounded up to
// whole cache lines. Micro-kernels read or write up to 4 words behind it.
func (k *Conv) wideBytes(rows, cols int) int {
	return (2*k.Src.Blocks()*k.inRows(rows)*k.inCols(cols)*k.wideLanes() + 8 + 63) &^ 63
}

// runs returns the number of runs of adjacent words in a row of the filter of a first
// layer, and the number of pairs of words of a run.
func (k *Conv) runs() (n, pairs int) {
	if k.DW > 1 {
		return k.KW, team.Split(k.Src.C, 2)
	}
	return 1, team.Split(k.KW*k.Src.C, 2)
}

// wideWeights returns the size of the weights of a unit, rounded up to whole cache lines.
func (k *Conv) wideWeights() int {
	perChannel := k.Src.Blocks() / max(1, k.Groups) * lanes * k.KH * k.KW
	if k.Src.Lanes() == 4 {
		n, pairs := k.runs()
		perChannel = k.KH * n * pairs * 2
	}
	return (2*max(1, k.Parts)*perChannel*k.unit(0).Width + 63) &^ 63
}

// widen copies to dst the pixels of blocks [first,last) of image n that rows [y0,y1) and
// columns [x0,x1) of the output read.
func (k *Conv) widen(c *kernel.Context, dst []int16, n, first, last, y0, y1, x0, x1 int) {
	rows, cols := k.inRows(y1-y0), k.inCols(x1-x0)
	src := c.Bytes(k.Src.Ref, 1)
	for b := first; b < last; b++ {
		for r := range rows {
			from := src[k.Src.At(n, b, y0*k.SH-k.PadTop+r, x0*k.SW-k.PadLeft):][:cols*k.Src.Lanes()]
			to := dst[((b-first)*rows+r)*cols*k.wideLanes():]
			if k.Src.Lanes() == 4 {
				simd.IntWidenPixels(to, from, k.Src.C)
			} else {
				simd.IntWiden(to, from)
			}
		}
	}
}

// wideWindow sets the window of a for a unit and an input of the given extents.
func (k *Conv) wideWindow(a *simd.IntTile, u kernel.Unit, rows, cols int) {
	pixel := 2 * k.wideLanes()
	row := cols * pixel
	a.Pix = k.SW * pixel
	if k.Groups <= 1 && k.Dst.C-u.Out*lanes <= u.Width-8 {
		a.HalfOut = 1
	}
	if k.Src.Lanes() == 4 {
		n, pairs := k.runs()
		a.Blocks, a.BlockStride, a.Rows, a.RowStride, a.Cols, a.ColStride = k.KH, k.DH*row, n, k.DW*pixel, pairs, 4
		return
	}
	a.Blocks, a.BlockStride, a.Rows, a.RowStride, a.Cols, a.ColStride = u.Blocks, rows*row, k.KH, k.DH*row, k.KW, k.DW*pixel
	a.Half = k.half()
}

// widenWeights writes the weights of a unit to dst, and sets those of a.
func (k *Conv) widenWeights(c *kernel.Context, a *simd.IntTile, u kernel.Unit, dst []int16) {
	a.W, a.Parts = unsafe.Pointer(&dst[0]), max(1, k.Parts)
	w := kernel.View[int8](c, k.W)[k.offset(u):]
	if k.Src.Lanes() == 4 {
		k.widenRuns(dst, w, u.Width)
		return
	}
	simd.IntWidenWeights(dst, w[:a.Parts*u.Blocks*lanes*k.KH*k.KW*u.Width], u.Width)
}

// widenRuns writes the weights s8 [][taps][width][4] of the runs of a unit of a first layer
// as s16 [][pairs][width][2]. The words of a run are those of the channels that exist, tap
// after tap, and a zero if their number is odd.
func (k *Conv) widenRuns(dst []int16, w []int8, width int) {
	n, pairs := k.runs()
	taps := k.KW / n
	for run := range max(1, k.Parts) * k.KH * n {
		to := dst[run*pairs*width*2:][:pairs*width*2]
		clear(to[(pairs-1)*width*2:])
		for t := range taps {
			from := w[(run*taps+t)*width*4:][:width*4]
			for ch := range k.Src.C {
				i := t*k.Src.C + ch
				for o := range width {
					to[(i/2*width+o)*2+i%2] = int16(from[o*4+ch])
				}
			}
		}
	}
}
