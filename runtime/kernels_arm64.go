//go:build !purego

package runtime

// available returns the tiers of every arm64.
func available() []tier { return []tier{generic, neon} }

// Never called: amd64 alone has these kernels, or AVX-512 alone.
func transposeSquares(dst, src *float32, dstRow, srcRow, dstStep, srcStep, n int) {}
func softmaxRows(dst, src *float32, n, rows int)                                  {}
func gatherLanes(dst *float32, pixels int, groups *laneGroup, n int, keep bool)   {}
func normalizePixels(dst, src *float32, pixels, blocks, dstBlock, srcBlock int, scale, shift *float32, inverse, epsilon float32) {
}
func doubleTile(a *tileArgs, out *float32, width, step int)                     {}
func winogradWeights(m int, w, dst *float32, g *float64, n, row, posStride int) {}

func run8(*tileArgs)       {} // narrowPixels is 0
func poolMax8(*tileArgs)   {}
func poolSum8(*tileArgs)   {}
func depthwise3(*tileArgs) {} // the tile is never neighbours
