//go:build !amd64 || purego

package runtime

func hasAVX512() bool { return false }

// Never called: useAVX512 is false.
func tile32AVX512(a *tileArgs) { a.generic(32, 16) }
func tile16AVX512(a *tileArgs) { a.generic(16, 16) }
func run32AVX512(a *tileArgs)  { a.generic(32, a.run) }
func run16AVX512(a *tileArgs)  { a.generic(16, a.run) }
func peakAVX512(n int)         {}

func depthwiseAVX512(a *tileArgs)                                                  {}
func poolMaxAVX512(a *tileArgs)                                                    {}
func poolSumAVX512(a *tileArgs)                                                    {}
func affineAVX512(dst, src *float32, n int, scale, shift *float32, lo, hi float32) {}
func addRowAVX512(dst, a, b *float32, n, bStep int, lo, hi float32)                {}
func mulRowAVX512(dst, a, b *float32, n, bStep int, lo, hi float32)                {}
func interleave3AVX512(dst, a, b, c *float32, n int)                               {}
func tanhAVX512(x *float32, n int)                                                 {}
func sigmoidAVX512(x *float32, n int)                                              {}
func winogradIn2AVX512(in, out *float32, rowStride, posStride, n int)              {}
func winogradOut2AVX512(a *winogradOut)                                            {}
func winogradIn4AVX512(in, out *float32, rowStride, posStride, n int)              {}
func winogradOut4AVX512(a *winogradOut)                                            {}
func winogradIn6AVX512(in, out *float32, rowStride, posStride, n int)              {}
func winogradOut6AVX512(a *winogradOut)                                            {}
