package bfloat

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// MaxPool computes the maxima of windows. Elements outside Src do not count.
type MaxPool struct {
	Src, Dst        kernel.Image // BFloat16
	KH, KW          int
	SH, SW          int
	DH, DW          int
	PadTop, PadLeft int
}

// Check declares the memory of the step.
func (k *MaxPool) Check(v *kernel.Verifier) {
	image(v, "Src", &k.Src, false)
	image(v, "Dst", &k.Dst, true)
	v.Require(k.Src.N == k.Dst.N && k.Src.Blocks() == k.Dst.Blocks(), "the extents of the operands differ")
	v.Windows(kernel.Filter{KH: k.KH, KW: k.KW, SH: k.SH, SW: k.SW, DH: k.DH, DW: k.DW, PadTop: k.PadTop, PadLeft: k.PadLeft}, k.Dst.H, k.Dst.W, &k.Src)
	if v.Failed() {
		return
	}
	v.Scratch(2 * (kernel.Product(k.KH, k.cols(), pixelBytes) + kernel.Product(k.Dst.W, pixelBytes)))
}

// cols returns the number of columns that the windows of a row cover.
func (k *MaxPool) cols() int { return (k.Dst.W-1)*k.SW + (k.KW-1)*k.DW + 1 }

// ScratchBytes is the size of the rows that the windows of a row of results cover, and of
// that row, in float32.
func (k *MaxPool) ScratchBytes() int { return 2 * (k.KH*k.cols() + k.Dst.W) * pixelBytes }

// Run computes the step.
func (k *MaxPool) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Dst.N*k.Dst.Blocks()*k.Dst.H, k.Dst.Size()*k.KH*k.KW/8, k)
}

// Part computes a row of a block.
func (k *MaxPool) Part(c *kernel.Context, i, worker int) {
	y := i % k.Dst.H
	i /= k.Dst.H
	n, b := i/k.Dst.Blocks(), i%k.Dst.Blocks()
	s, row := floats(c.Scratch(worker)), k.cols()*lanes
	var windows, out [2][]float32
	for h := range 2 {
		windows[h], s = s[:k.KH*row], s[k.KH*row:]
		out[h], s = s[:k.Dst.W*lanes], s[k.Dst.W*lanes:]
	}
	if k.rounded(c, n, b, y) {
		return
	}
	first := min(max(0, k.PadLeft), k.cols())
	last := max(first, min(k.cols(), k.Src.W+k.PadLeft))
	src := pairs(c, k.Src.Ref)
	for r := range k.KH {
		at0, lower, upper := y*k.SH-k.PadTop+r*k.DH, windows[0][r*row:][:row], windows[1][r*row:][:row]
		if at0 < 0 || at0 >= k.Src.H || first == last {
			lowest(lower)
			lowest(upper)
			continue
		}
		for _, v := range [2][]float32{lower, upper} {
			lowest(v[:first*lanes])
			lowest(v[last*lanes:])
		}
		simd.WidenPairs(lower[first*lanes:last*lanes], upper[first*lanes:last*lanes], src[at(&k.Src, n, b, at0, first-k.PadLeft):][:(last-first)*lanes])
	}
	for h := range 2 {
		if !simd.PoolLine(true, out[h], windows[h], k.Dst.W, lanes, k.SW, k.KH, row, k.KW, k.DW) {
			k.maxima(out[h], windows[h], row)
		}
	}
	simd.Narrow(pairs(c, k.Dst.Ref)[at(&k.Dst, n, b, y, 0):][:k.Dst.W*lanes], out[0], out[1], nil, -kernel.Inf32, kernel.Inf32)
}

// rounded computes a row from the pixels of the image. Windows that leave it are smaller. It
// reports whether it did the work.
func (k *MaxPool) rounded(c *kernel.Context, n, b, y int) bool {
	top, rows := taps(y*k.SH-k.PadTop, k.KH, k.DH, k.Src.H)
	// Columns lo ≤ x < hi have whole windows.
	lo := min(max(0, team.Split(k.PadLeft, k.SW)), k.Dst.W)
	hi := lo
	if most := k.Src.W - 1 - (k.KW-1)*k.DW + k.PadLeft; most >= 0 {
		hi = max(lo, min(most/k.SW+1, k.Dst.W))
	}
	a := simd.NewTile(false)
	a.Pix, a.Rows = k.SW*pixelBytes, rows
	a.RowStride, a.ColStride = k.DH*k.Src.RowBytes(), k.DW*pixelBytes
	src, dst := pairs(c, k.Src.Ref), pairs(c, k.Dst.Ref)[at(&k.Dst, n, b, y, 0):][:k.Dst.W*lanes]
	for x := 0; x < k.Dst.W; {
		left, cols := taps(x*k.SW-k.PadLeft, k.KW, k.DW, k.Src.W)
		pixels := 1
		if x >= lo && x < hi {
			pixels = hi - x
		}
		a.Cols = cols
		if rows == 0 || a.Cols == 0 {
			return false // a window without pixels
		}
		if !a.RoundMax(unsafe.Pointer(&src[at(&k.Src, n, b, top, left)]), unsafe.Pointer(&dst[x*lanes]), pixels) {
			return false
		}
		x += pixels
	}
	return true
}

// taps returns the first position inside an extent, and the number of such positions, of n
// that are step apart and start at the given one.
func taps(start, n, step, extent int) (first, count int) {
	skip := 0
	if start < 0 {
		skip = team.Split(-start, step)
	}
	first = start + skip*step
	if skip >= n || first >= extent {
		return 0, 0
	}
	return first, min(n-skip, (extent-1-first)/step+1)
}

// maxima is [simd.PoolLine] in Go.
func (k *MaxPool) maxima(out, windows []float32, row int) {
	for x := range out {
		best := -kernel.Inf32
		for r := range k.KH {
			for j := range k.KW {
				if v := windows[r*row+(x/lanes*k.SW+j*k.DW)*lanes+x%lanes]; v > best || v != v {
					best = v
				}
			}
		}
		out[x] = best
	}
}

func lowest(x []float32) {
	for i := range x {
		x[i] = -kernel.Inf32
	}
}

// Uses lists the micro-kernels that the pool calls.
func (*MaxPool) Uses(_ *simd.Tier, use func(micro string, pixels int)) {
	use("PoolMax", kernel.AnyPixels)
}
