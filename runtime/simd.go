package runtime

import "unsafe"

// How the assembly kernels are called. Each function here is tried where
// the active tier is not generic and reports whether it did the work.

// clampOf returns the bounds of activations that are a clamp, for others
// infinite ones and false.
func clampOf(act Act) (lo, hi float32, ok bool) {
	switch act.Fn {
	case ActIdentity:
		return -Inf32, Inf32, true
	case ActRelu:
		return 0, Inf32, true
	case ActClip:
		return act.Alpha, act.Beta, true
	}
	return -Inf32, Inf32, false
}

var (
	ones  = splat(1)
	zeros [16]float32
)

func affineRowVector(dst, src, scale, shift []float32, act Act) bool {
	if len(src) == 0 {
		return true
	}
	s, t := &ones[0], &zeros[0]
	if scale != nil {
		s = &scale[0]
	}
	if shift != nil {
		t = &shift[0]
	}
	lo, hi, clamp := clampOf(act)
	affineRows(&dst[0], &src[0], len(src)/16, s, t, lo, hi)
	if !clamp {
		applyAct(dst[:len(src)], act)
	}
	return true
}

func binaryRowVector(dst, a, b []float32, mask int, fn BinaryFn, act Act) bool {
	if len(a) == 0 {
		return true
	}
	step := 64
	if mask == 15 {
		step = 0
	}
	lo, hi, clamp := clampOf(act)
	switch fn {
	case BinAdd:
		addRows(&dst[0], &a[0], &b[0], len(a)/16, step, lo, hi)
	case BinMul:
		mulRows(&dst[0], &a[0], &b[0], len(a)/16, step, lo, hi)
	default:
		return false
	}
	if !clamp {
		applyAct(dst[:len(a)], act)
	}
	return true
}

// applyActVector knows the activations worth a vector kernel: clamps, and
// those that Go's math would dominate.
func applyActVector(x []float32, a Act) bool {
	switch a.Fn {
	case ActRelu, ActClip, ActHardSigmoid, ActHardSwish, ActTanh, ActSigmoid, ActSiLU, ActGelu, ActExp:
	case ActLeakyRelu:
		if a.Alpha-a.Alpha != 0 {
			return false // the kernel multiplies zeros by it, too: ∞·0 is NaN
		}
	default:
		return false
	}
	n := len(x) / 16
	if n > 0 {
		vectorAct(a, &x[0], n)
	}
	if rest := x[n*16:]; len(rest) > 0 {
		// Lanes compute alone, so a padded vector gives the same values.
		buf := zeros
		copy(buf[:], rest)
		vectorAct(a, &buf[0], 1)
		copy(rest, buf[:])
	}
	return true
}

// vectorAct calls the kernel directly: through a variable its argument would
// move to the heap.
func vectorAct(a Act, x *float32, n int) {
	switch a.Fn {
	case ActRelu, ActClip:
		lo, hi, _ := clampOf(a)
		affineRows(x, x, n, &ones[0], &zeros[0], lo, hi)
	case ActHardSigmoid:
		scale, shift := splat(a.Alpha), splat(a.Beta)
		affineRows(x, x, n, &scale[0], &shift[0], 0, 1)
	case ActHardSwish:
		hardSwishRow(x, n)
	case ActLeakyRelu:
		leakyReluRow(x, n, a.Alpha)
	case ActTanh:
		tanhRow(x, n)
	case ActSigmoid:
		sigmoidRow(x, n)
	case ActSiLU:
		siluRow(x, n, a.Alpha)
	case ActGelu:
		geluRow(x, n)
	case ActExp:
		expRow(x, n)
	}
}

func splat(x float32) (v [16]float32) {
	for i := range v {
		v[i] = x
	}
	return v
}

// interleave3 writes pixels of three channels from planes that lie plane
// floats apart, 16 at a time, and returns how many.
func interleave3(dst, src []float32, plane int) int {
	n := len(dst) / 48
	if n > 0 {
		interleaveRows(&dst[0], &src[0], &src[plane], &src[2*plane], n)
	}
	return n * 16
}

var lowest = splat(-Inf32)

// poolRowVector reduces the windows of n pixels that lie inside the image
// whole: rows × cols taps, colStep pixels of pitch floats apart, 16 or 8, and
// the next window step pixels on. A sum is left undivided.
func poolRowVector(kind PoolKind, out, in []float32, n, pitch, step, rows, rowStride, cols, colStep int) {
	a := newTile(false)
	a.pix, a.outPix, a.bias = step*pitch*4, 64, unsafe.Pointer(&zeros[0])
	a.rows, a.rowStride, a.cols, a.colStride = rows, rowStride*4, cols, colStep*pitch*4
	if kind == PoolMax {
		a.bias = unsafe.Pointer(&lowest[0])
	}
	most := channelPixels()
	if pitch == 8 {
		most = narrowPixels()
	}
	pieces := split(n, most)
	for p := range pieces {
		x := cut(n, pieces, p)
		a.pixels = cut(n, pieces, p+1) - x
		a.in, a.out = unsafe.Pointer(&in[x*step*pitch]), unsafe.Pointer(&out[x*16])
		switch {
		case kind == PoolMax && pitch == 8:
			poolMax8(&a)
		case kind == PoolMax:
			poolMaxTile(&a)
		case pitch == 8:
			poolSum8(&a)
		default:
			poolSumTile(&a)
		}
	}
}

// accumulateVector adds n pixels onto the 16 sums of acc, or takes their
// maximum.
func accumulateVector(kind PoolKind, acc *[16]float32, in []float32) {
	a := newTile(false)
	a.in, a.out, a.bias, a.outPix = unsafe.Pointer(&in[0]), unsafe.Pointer(acc), unsafe.Pointer(acc), 64
	a.rows, a.cols, a.colStride, a.pixels = 1, len(in)/16, 64, 1
	if kind == PoolMax {
		poolMaxTile(&a)
	} else {
		poolSumTile(&a)
	}
}
