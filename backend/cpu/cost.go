package cpu

import "modelc/ir"

// The cost of a convolution is its time in nanoseconds on one core of the target:
//
//	direct    = MACs/peak + weights/stream
//	winograd  = products/peak + transforms/bandwidth + weights/stream + calls
//	strassen  = 7/8·MACs/peak + sums/bandwidth + weights/stream
//
// The constants were measured on a 2.6 GHz AVX-512 core. Only their ratios affect
// a choice. They are wrong for cores with much less than 1 MB of L2 cache.
const (
	macsPerNs      = 56.0 // multiply-adds: 112 GFLOP/s
	transformPerNs = 11.0 // floats moved by a transform of an input or output
	sumPerNs       = 32.0 // floats in L1 that a sum reads or writes
	streamPerNs    = 5.0  // floats of weights read from memory
	cachedPerNs    = 15.0 // floats of weights read from a cache that holds all weights of the network
	tileNs         = 15.0 // overhead of a register tile
	runNs          = 30.0 // overhead of a run of tiles in a transform
	windowShare    = 0.93 // share of the peak that kernels larger than 1×1 reach
	gatherShare    = 0.8  // share of the peak with few input channels, which are gathered
	imagePerNs     = 8.0  // floats of a batch's images that a step reads from, or writes to, a cache beyond L2
	// tilePixels is the number of pixels of a register tile. A tile with fewer
	// pixels loads the same weight vectors.
	tilePixels = 14
	// cachedBytes is the size of a network's weights below which the caches hold
	// the transformed weights between runs.
	cachedBytes = 4 << 20
	// batchBytes is the size of the operands and results of a step that L2 keeps.
	batchBytes = 1 << 20
)

// tileEfficiency returns the efficiency of register tiles for a row of n pixels:
// the ratio of the time for n pixels in full tiles to the actual time.
func tileEfficiency(n int) float64 {
	tiles := (n + tilePixels - 1) / tilePixels
	// A tile of p pixels takes about as long as max(p, 5).
	return float64(n) / float64(max(n, 5*tiles))
}

// batchGain returns the time for each example that n gains if it runs for a whole batch:
// it reads its weights once, but the images of the batch may leave L2 between two steps.
func (b *builder) batchGain(n *ir.Node) float64 {
	weights, pixels := 0, 1
	if _, ok := n.Op.(ir.Conv); ok {
		pixels = n.Out[0].Type.Shape[2:].Len()
		if s := n.In[ir.Weights].Type.Shape; s[2:].Len() == 9 {
			weights = s.Len() // Winograd's algorithm reads more weights
		}
	}
	images, bytes := 0, 0
	for _, v := range append(n.In[:len(n.In):len(n.In)], n.Out...) {
		switch {
		case v == nil || betweenConvAndDepth(v):
		case v.Const != nil:
			weights += v.Type.Shape.Len()
		default:
			images += v.Type.Shape.Len()
			bytes += v.Type.Bytes()
		}
	}
	size := float64(batchOf(b.g))
	gain := (&conv{cached: b.cached}).streamCost(weights, pixels) * (1 - 1/size)
	if bytes > batchBytes {
		gain -= float64(images) / size / imagePerNs
	}
	return gain
}

// batchOf returns the number of examples of g, if it is a batch.
func batchOf(g *ir.Graph) int {
	if len(g.Inputs) == 0 || g.Inputs[0].Type.Rank() == 0 {
		return 1
	}
	return g.Inputs[0].Type.Shape[0]
}

// betweenConvAndDepth reports whether one step computes v, by a first layer or a 1×1
// convolution, and the depthwise convolution that reads it. The step keeps v in L1 and L2.
// See leaveToDepthwise for the rarer conditions.
func betweenConvAndDepth(v *ir.Value) bool {
	if v.Def() == nil || depthwiseReader(v) == nil {
		return false
	}
	c, ok := v.Def().Op.(ir.Conv)
	return ok && c.Groups == 1 && (isFirst(v.Def(), v.Def().In[0]) || v.Def().In[ir.Weights].Type.Shape[2:].Len() == 1)
}

// streamCost returns the part of the time to read weights that the arithmetic on
// the given number of pixels does not hide. It is small for many pixels.
func (o *conv) streamCost(weights, pixels int) float64 {
	rate := streamPerNs
	if o.cached {
		rate = cachedPerNs
	}
	return float64(weights) / rate / (1 + float64(pixels)/32)
}

// productCost returns the time of the products of ic input and oc output channels
// of all pixels, at a share of the peak. ic and oc are rounded up to the numbers
// of channels that the kernel computes.
func (o *conv) productCost(ic, oc int, share float64) float64 {
	d := o.out
	macs := float64(d.n*d.h*d.w) * float64(ic*oc*o.win.Taps())
	return macs/macsPerNs/share + o.streamCost(d.c*o.in.c*o.win.Taps(), d.h*d.w)
}
