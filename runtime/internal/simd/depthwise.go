package simd

import (
	"unsafe"

	"modelc/runtime/internal/team"
)

// ComputeDepthwise computes a tile of one block of 16 channels with one filter per
// channel.
func (a *Tile) ComputeDepthwise() {
	switch {
	case a.Double:
		a.depthwiseDouble()
	case !Depthwise(a):
		a.depthwise()
	}
}

// DepthwiseLines computes lines of adjacent pixels, tile after tile. Their inputs are
// a.InLine bytes apart, their results a.OutLine. res is nil or the residual of a single
// line.
func (a *Tile) DepthwiseLines(in, out, res unsafe.Pointer, pixels, lines int) {
	most, near := active.ChannelPixels, a.neighbours() && res == nil
	if near {
		most = active.NeighbourPixels
	}
	tiles := team.Split(pixels, most)
	for t := range tiles {
		x := team.Cut(pixels, tiles, t)
		a.Pixels = team.Cut(pixels, tiles, t+1) - x
		if a.Res = res; res != nil {
			a.Res = unsafe.Add(res, x*a.ResPix)
		}
		for y := 0; y < lines; y += a.Lines {
			a.In, a.Out = unsafe.Add(in, y*a.InLine+x*a.Pix), unsafe.Add(out, y*a.OutLine+x*a.OutPix)
			a.Lines = 1
			if near {
				a.Lines = min(lines-y, callLines)
			}
			if !near || !Depthwise3(a) {
				a.ComputeDepthwise()
			}
		}
	}
}

// callLines is the maximum number of lines that one call computes, see callBytes.
const callLines = 256

// neighbours reports whether Depthwise3 can compute the tile, provided that it has
// no residual.
func (a *Tile) neighbours() bool {
	return active.NeighbourPixels > 0 && !a.Double && a.Rows == 3 && a.Cols == 3 && (a.Pix == 64 || a.Pix == 128) && a.ColStride == 64
}

// depthwise is the micro-kernel in Go.
func (a *Tile) depthwise() {
	for p := range a.Pixels {
		acc := *(*[16]float32)(a.Bias)
		w := 0 // bytes read
		for y := range a.Rows {
			for x := range a.Cols {
				in := (*[16]float32)(unsafe.Add(a.In, p*a.Pix+y*a.RowStride+x*a.ColStride))
				for o, f := range (*[16]float32)(unsafe.Add(a.W, w)) {
					acc[o] += in[o] * f
				}
				w += 64
			}
		}
		a.finish(p, acc[:])
	}
}
