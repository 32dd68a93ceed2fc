//go:build (!amd64 && !arm64) || purego

package runtime

func available() []tier { return []tier{generic} }

// Never called: the generic tier is the active one.
func tile32(a *tileArgs)                                                         {}
func tile16(a *tileArgs)                                                         {}
func run32(a *tileArgs)                                                          {}
func run16(a *tileArgs)                                                          {}
func run8(a *tileArgs)                                                           {}
func poolMax8(a *tileArgs)                                                       {}
func poolSum8(a *tileArgs)                                                       {}
func depthwise3(a *tileArgs)                                                     {}
func depthwiseTile(a *tileArgs)                                                  {}
func poolMaxTile(a *tileArgs)                                                    {}
func poolSumTile(a *tileArgs)                                                    {}
func affineRows(dst, src *float32, n int, scale, shift *float32, lo, hi float32) {}
func addRows(dst, a, b *float32, n, bStep int, lo, hi float32)                   {}
func mulRows(dst, a, b *float32, n, bStep int, lo, hi float32)                   {}
func strassenRows(s *float32, stride int, a11, a12, a21, a22 *float32, n int)    {}
func interleaveRows(dst, a, b, c *float32, n int)                                {}
func tanhRow(x *float32, n int)                                                  {}
func sigmoidRow(x *float32, n int)                                               {}
func expRow(x *float32, n int)                                                   {}
func hardSwishRow(x *float32, n int)                                             {}
func geluRow(x *float32, n int)                                                  {}
func leakyReluRow(x *float32, n int, alpha float32)                              {}
func siluRow(x *float32, n int, alpha float32)                                   {}
func winogradIn2(in, out *float32, rowStride, posStride, n int)                  {}
func winogradOut2(a *winogradOut)                                                {}
func winogradIn4(in, out *float32, rowStride, posStride, n int)                  {}
func winogradOut4(a *winogradOut)                                                {}
func winogradIn6(in, out *float32, rowStride, posStride, n int)                  {}
func winogradOut6(a *winogradOut)                                                {}
func peakRounds(n int)                                                           {}

// Never called: amd64 alone has these kernels, or AVX-512 alone.
func transposeSquares(dst, src *float32, dstRow, srcRow, dstStep, srcStep, n int) {}
func softmaxRows(dst, src *float32, n, rows int)                                  {}
func gatherLanes(dst *float32, pixels int, groups *laneGroup, n int, keep bool)   {}
func normalizePixels(dst, src *float32, pixels, blocks, dstBlock, srcBlock int, scale, shift *float32, inverse, epsilon float32) {
}
func doubleTile(a *tileArgs, out *float32, width, step int)                     {}
func winogradWeights(m int, w, dst *float32, g *float64, n, row, posStride int) {}
