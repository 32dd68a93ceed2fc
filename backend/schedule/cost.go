package schedule

import "modelc/ir"

// The cost of a convolution in nanoseconds on the target, one core:
//
//	direct    = MACs/peak + weights/stream
//	winograd  = products/peak + transforms/bandwidth + weights/stream + calls
//	strassen  = 7/8·MACs/peak + sums/bandwidth + weights/stream
//
// The constants were measured on a 2.6 GHz AVX-512 core; only their ratios
// matter to a choice. They are wrong where a cache is much smaller than 1 MB
// of L2 per core.
const (
	macsPerNs      = 56.0 // multiply-adds: 112 GFLOP/s
	transformPerNs = 11.0 // floats moved through a transform, input or output
	sumPerNs       = 32.0 // floats that a sum reads or writes, in L1
	streamPerNs    = 5.0  // floats of weights read from memory once
	cachedPerNs    = 15.0 // the same where a cache keeps all of the network's
	tileNs         = 15.0 // what a register tile costs before and after its products
	runNs          = 30.0 // what a run of tiles costs before and after its transform
	windowShare    = 0.93 // of the peak, kernels larger than 1×1
	gatherShare    = 0.8  // of the peak, few input channels, gathered
	// A register tile holds 14 pixels; a product of fewer, or a remainder,
	// costs as much as a full one costs per weight vector loaded.
	tilePixels = 14
)

// tileEfficiency is the share of a product's time spent on pixels that exist,
// for n pixels in a row of tiles.
func tileEfficiency(n int) float64 {
	tiles := (n + tilePixels - 1) / tilePixels
	// A tile of p pixels takes about as long as max(p, 5).
	return float64(n) / float64(max(n, 5*tiles))
}

func directCost(o convOperands) float64 {
	d, s := o.dst.dims, o.src.dims
	taps := o.geo.kh * o.geo.kw
	ic, oc, share := alignTo(s.c, 8), alignTo(d.c, 16), tileEfficiency(d.h*d.w)
	switch {
	case o.gathers():
		ic, oc, share = s.c, alignTo(d.c, 8), gatherShare
	case taps > 1:
		share *= windowShare
	}
	macs := float64(d.n*d.h*d.w) * float64(ic*oc*taps)
	return macs/macsPerNs/share + o.streamCost(d.c*s.c*taps, d.h*d.w)
}

// cachedBytes is how large all weights of a network are from which on no cache
// keeps them, transformed, from run to run.
const cachedBytes = 4 << 20

// streamCost is how long reading weights takes beyond the arithmetic on so many
// pixels, which hides it but where they are few.
func (o *convOperands) streamCost(weights, pixels int) float64 {
	rate := streamPerNs
	if o.cached {
		rate = cachedPerNs
	}
	return float64(weights) / rate / (1 + float64(pixels)/32)
}

// tiles returns how many tiles of m×m an image has: with a dilation, those of
// all phases, see runtime.Winograd.
func (o *convOperands) tiles(m int) int {
	return o.geo.dh * tilesAlong(o.dst.dims.h, o.geo.dh, m) * o.geo.dw * tilesAlong(o.dst.dims.w, o.geo.dw, m)
}

// tileRows returns how many rows these tiles lie in.
func (o *convOperands) tileRows(m int) int {
	return o.geo.dh * o.geo.dw * tilesAlong(o.dst.dims.h, o.geo.dh, m)
}

// tilesAlong is how many tiles of m there are along an axis of a phase.
func tilesAlong(n, dilation, m int) int { return ((n+dilation-1)/dilation + m - 1) / m }

func winogradCost(o convOperands, a ir.Algorithm) float64 {
	d, s := o.dst.dims, o.src.dims
	m := winogradTile(a)
	tiles := o.tiles(m)
	products, sums := o.winogradPositions(a)
	ic, oc := alignTo(s.c, 16), alignTo(d.c, 16)
	macs := float64(d.n*tiles*products) * float64(alignTo(s.c, 8)) * float64(oc)
	calls := float64(d.n*products*alignTo(oc, 32)/32*((tiles+tilePixels-1)/tilePixels))*tileNs +
		float64(d.n*o.tileRows(m)*(ic+oc)/16)*runNs
	moved := float64(d.n*tiles) * float64(products*ic+sums*oc) * 2
	if o.geo.dh > 1 { // pixels are gathered and spread
		moved += float64(d.n*tiles) * float64(products*ic+m*m*oc) * 2
	}
	return macs/macsPerNs/tileEfficiency(tiles*d.n) + moved/transformPerNs + o.streamCost(products*ic*oc, tiles*d.n) + calls
}

// strassenSpan is the most blocks of input channels, strassenPixels about how
// many pixels are computed together: these and their sums fill less than half a
// megabyte.
const (
	strassenSpan   = 32
	strassenPixels = 112
)

// strassenSpans returns into how many ranges Strassen's algorithm cuts the input
// channels, and of how many blocks.
func strassenSpans(channels int) (spans, blocks int) {
	spans = (channels/16 + strassenSpan - 1) / strassenSpan
	return spans, alignTo((channels/16+spans-1)/spans, 2)
}

func strassenCost(o convOperands) float64 {
	d, s := o.dst.dims, o.src.dims
	spans, _ := strassenSpans(s.c)
	pixels := float64(d.n * d.h * d.w)
	if d.h%2 == 1 && o.geo.sh*o.geo.sw > 1 { // a half has a row more than the other
		pixels *= float64(d.h+1) / float64(d.h)
	}
	moved := 3*s.c + 3*d.c*spans + 3*d.c*(spans-1) // those of pixels go to L2
	if o.residual != nil {
		moved += 3 * d.c
	}
	return pixels*float64(s.c*d.c)*7/8/macsPerNs/tileEfficiency(d.h*d.w/2) + pixels*float64(moved)/sumPerNs +
		o.streamCost(d.c*s.c*7/4, d.h*d.w/2)
}

// winogradBlocking returns how many tiles are transformed together, so that
// the transformed input stays in half of L2, and how many blocks of 32 output
// channels are multiplied before their output transform.
func winogradBlocking(a ir.Algorithm, o convOperands) (tiles, outBlocks int) {
	const l2Floats = 1 << 17
	m := winogradTile(a)
	products, sums := o.winogradPositions(a)
	all := o.tiles(m)
	per := products * alignTo(o.src.dims.c, 16)
	// With fewer than two register tiles the weights, read once per block of
	// tiles, take longer than the products.
	tiles = max(2*tilePixels, l2Floats/per/tilePixels*tilePixels)
	blocks := (all + tiles - 1) / tiles
	tiles = (all + blocks - 1) / blocks
	outBlocks = 1
	for outBlocks < 4 && outBlocks*2 <= alignTo(o.dst.dims.c, 32)/32 && sums*tiles*outBlocks*64 < l2Floats/2 {
		outBlocks *= 2
	}
	return tiles, outBlocks
}
