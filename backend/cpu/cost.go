package cpu

// The cost of a convolution in nanoseconds on the target, one core:
//
//	direct    = MACs/peak + weights/stream
//	winograd  = products/peak + transforms/bandwidth + weights/stream + calls
//	strassen  = 7/8·MACs/peak + sums/bandwidth + weights/stream
//
// The constants were measured on a 2.6 GHz AVX-512 core; only their ratios
// matter to a choice. They are wrong where a cache is much smaller than 1 MB of
// L2 for each core.
const (
	macsPerNs      = 56.0 // multiply-adds: 112 GFLOP/s
	transformPerNs = 11.0 // floats moved through a transform, input or output
	sumPerNs       = 32.0 // floats that a sum reads or writes, in L1
	streamPerNs    = 5.0  // floats of weights read from memory once
	cachedPerNs    = 15.0 // the same where a cache keeps all of the network's weights
	tileNs         = 15.0 // a register tile before and after its products
	runNs          = 30.0 // a run of tiles before and after its transform
	windowShare    = 0.93 // of the peak, kernels larger than 1×1
	gatherShare    = 0.8  // of the peak, few input channels, gathered
	// tilePixels is the number of pixels of a register tile. A product of fewer,
	// or of a remainder, costs as much for each weight vector loaded.
	tilePixels = 14
	// cachedBytes is the size of a network's weights below which the caches keep
	// them, transformed, from run to run.
	cachedBytes = 4 << 20
)

// tileEfficiency returns the share of a product's time that is spent on pixels
// that exist, for n pixels in a row of tiles.
func tileEfficiency(n int) float64 {
	tiles := (n + tilePixels - 1) / tilePixels
	// A tile of p pixels takes about as long as max(p, 5).
	return float64(n) / float64(max(n, 5*tiles))
}

// streamCost returns the time that reading weights takes beyond the arithmetic
// on the given number of pixels, which hides it unless they are few.
func (o *conv) streamCost(weights, pixels int) float64 {
	rate := streamPerNs
	if o.cached {
		rate = cachedPerNs
	}
	return float64(weights) / rate / (1 + float64(pixels)/32)
}

// productCost returns the time of multiplying every input channel and every
// output channel of each pixel, both rounded up to what a kernel computes, at a
// share of the peak.
func (o *conv) productCost(ic, oc int, share float64) float64 {
	d := o.out
	macs := float64(d.n*d.h*d.w) * float64(ic*oc*o.win.Taps())
	return macs/macsPerNs/share + o.streamCost(d.c*o.in.c*o.win.Taps(), d.h*d.w)
}
