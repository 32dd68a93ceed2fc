//go:build !purego

package runtime

// The vector kernels of the active tier.

func tile32(a *tileArgs) {
	if active == avx512 {
		tile32AVX512(a)
	} else {
		tile32AVX2(a)
	}
}

func tile16(a *tileArgs) {
	if active == avx512 {
		tile16AVX512(a)
	} else {
		tile16AVX2(a)
	}
}

func run32(a *tileArgs) {
	if active == avx512 {
		run32AVX512(a)
	} else {
		run32AVX2(a)
	}
}

func run16(a *tileArgs) {
	if active == avx512 {
		run16AVX512(a)
	} else {
		run16AVX2(a)
	}
}

func run8(a *tileArgs) { run8AVX2(a) }

func poolMax8(a *tileArgs) { poolMax8AVX2(a) }

func poolSum8(a *tileArgs) { poolSum8AVX2(a) }

func depthwise3(a *tileArgs) { depthwise3AVX2(a) }

func depthwiseTile(a *tileArgs) {
	if active == avx512 {
		depthwiseAVX512(a)
	} else {
		depthwiseAVX2(a)
	}
}

func poolMaxTile(a *tileArgs) {
	if active == avx512 {
		poolMaxAVX512(a)
	} else {
		poolMaxAVX2(a)
	}
}

func poolSumTile(a *tileArgs) {
	if active == avx512 {
		poolSumAVX512(a)
	} else {
		poolSumAVX2(a)
	}
}

func affineRows(dst, src *float32, n int, scale, shift *float32, lo, hi float32) {
	if active == avx512 {
		affineAVX512(dst, src, n, scale, shift, lo, hi)
	} else {
		affineAVX2(dst, src, n, scale, shift, lo, hi)
	}
}

func strassenRows(s *float32, stride int, a11, a12, a21, a22 *float32, n int) {
	if active == avx512 {
		strassenAVX512(s, stride, a11, a12, a21, a22, n)
	} else {
		strassenAVX2(s, stride, a11, a12, a21, a22, n)
	}
}

func addRows(dst, a, b *float32, n, bStep int, lo, hi float32) {
	if active == avx512 {
		addRowAVX512(dst, a, b, n, bStep, lo, hi)
	} else {
		addRowAVX2(dst, a, b, n, bStep, lo, hi)
	}
}

func mulRows(dst, a, b *float32, n, bStep int, lo, hi float32) {
	if active == avx512 {
		mulRowAVX512(dst, a, b, n, bStep, lo, hi)
	} else {
		mulRowAVX2(dst, a, b, n, bStep, lo, hi)
	}
}

func interleaveRows(dst, a, b, c *float32, n int) {
	if active == avx512 {
		interleave3AVX512(dst, a, b, c, n)
	} else {
		interleave3AVX2(dst, a, b, c, n)
	}
}

func tanhRow(x *float32, n int) {
	if active == avx512 {
		tanhAVX512(x, n)
	} else {
		tanhAVX2(x, n)
	}
}

func sigmoidRow(x *float32, n int) {
	if active == avx512 {
		sigmoidAVX512(x, n)
	} else {
		sigmoidAVX2(x, n)
	}
}

func expRow(x *float32, n int) {
	if active == avx512 {
		expAVX512(x, n)
	} else {
		expAVX2(x, n)
	}
}

func hardSwishRow(x *float32, n int) {
	if active == avx512 {
		hardSwishAVX512(x, n)
	} else {
		hardSwishAVX2(x, n)
	}
}

func geluRow(x *float32, n int) {
	if active == avx512 {
		geluAVX512(x, n)
	} else {
		geluAVX2(x, n)
	}
}

func leakyReluRow(x *float32, n int, alpha float32) {
	if active == avx512 {
		leakyReluAVX512(x, n, alpha)
	} else {
		leakyReluAVX2(x, n, alpha)
	}
}

func siluRow(x *float32, n int, alpha float32) {
	if active == avx512 {
		siluAVX512(x, n, alpha)
	} else {
		siluAVX2(x, n, alpha)
	}
}

func normalizePixels(dst, src *float32, pixels, blocks, dstBlock, srcBlock int, scale, shift *float32, inverse, epsilon float32) {
	normalizeAVX2(dst, src, pixels, blocks, dstBlock, srcBlock, scale, shift, inverse, epsilon)
}

func gatherLanes(dst *float32, pixels int, groups *laneGroup, n int, keep bool) {
	gatherLanesAVX2(dst, pixels, groups, n, keep)
}

func transposeSquares(dst, src *float32, dstRow, srcRow, dstStep, srcStep, n int) {
	transposeAVX2(dst, src, dstRow, srcRow, dstStep, srcStep, n)
}

func softmaxRows(dst, src *float32, n, rows int) { softmaxAVX2(dst, src, n, rows) }

func winogradIn2(in, out *float32, rowStride, posStride, n int) {
	if active == avx512 {
		winogradIn2AVX512(in, out, rowStride, posStride, n)
	} else {
		winogradIn2AVX2(in, out, rowStride, posStride, n)
	}
}

func winogradOut2(a *winogradOut) {
	if active == avx512 {
		winogradOut2AVX512(a)
	} else {
		winogradOut2AVX2(a)
	}
}

func winogradIn4(in, out *float32, rowStride, posStride, n int) {
	if active == avx512 {
		winogradIn4AVX512(in, out, rowStride, posStride, n)
	} else {
		winogradIn4AVX2(in, out, rowStride, posStride, n)
	}
}

func winogradOut4(a *winogradOut) {
	if active == avx512 {
		winogradOut4AVX512(a)
	} else {
		winogradOut4AVX2(a)
	}
}

func winogradIn6(in, out *float32, rowStride, posStride, n int) {
	if active == avx512 {
		winogradIn6AVX512(in, out, rowStride, posStride, n)
	} else {
		winogradIn6AVX2(in, out, rowStride, posStride, n)
	}
}

func winogradOut6(a *winogradOut) {
	if active == avx512 {
		winogradOut6AVX512(a)
	} else {
		winogradOut6AVX2(a)
	}
}

func peakRounds(n int) {
	if active == avx512 {
		peakAVX512(n)
	} else {
		peakAVX2(n)
	}
}

func doubleTile(a *tileArgs, out *float32, width, step int) {
	if width == 32 {
		double32AVX512(a, out, step)
	} else {
		double16AVX512(a, out, step)
	}
}

func winogradWeights(m int, w, dst *float32, g *float64, n, row, posStride int) {
	switch {
	case m == 2 && active == avx512:
		winogradWeights2AVX512(w, dst, g, n, row, posStride)
	case m == 4 && active == avx512:
		winogradWeights4AVX512(w, dst, g, n, row, posStride)
	case m == 6 && active == avx512:
		winogradWeights6AVX512(w, dst, g, n, row, posStride)
	case m == 2:
		winogradWeights2AVX2(w, dst, g, n, row, posStride)
	case m == 4:
		winogradWeights4AVX2(w, dst, g, n, row, posStride)
	case m == 6:
		winogradWeights6AVX2(w, dst, g, n, row, posStride)
	}
}
