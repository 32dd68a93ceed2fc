package plain

import (
	"math"

	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// Kernels on 8-bit integers read int8 as uint8: their flips are 0x80 for int8, which adds
// 128 to each element, and 0 for uint8. Their zero points and limits are those of the
// resulting uint8.

// Quantize computes saturate(round(Src/Scale) + Zero), rounded half to even. F is float32
// or float64. NaN becomes the lowest integer.
type Quantize[F, Q kernel.Number] struct {
	Src, Scale, Zero, Dst   kernel.Ref // Zero may be absent
	Shape                   []int
	ScaleStride, ZeroStride []int // in elements, 0 along broadcast axes
	Lo, Hi                  int   // the range of Q
}

// Dequantize computes Scale·(Src − Zero). The difference is exact.
type Dequantize[Q, F kernel.Number] struct {
	Src, Scale, Zero, Dst   kernel.Ref
	Shape                   []int
	ScaleStride, ZeroStride []int
}

// DynamicQuantize quantises Src, float32, to uint8 with the smallest scale that holds the
// range of Src and zero. It writes the scale and the zero point.
type DynamicQuantize struct {
	Src, Dst, Scale, Zero kernel.Ref
}

// Lookup computes Dst = Table[Src^Flip], see ir.Lookup.
type Lookup[T kernel.Number] struct {
	Src, Dst, Table kernel.Ref
	Flip            uint8
}

// QBinary adds or multiplies 8-bit integers. Its fields are those of ir.QBinary.
type QBinary struct {
	Mul                 bool
	A, B, Dst           kernel.Ref
	Shape               []int
	AStride, BStride    []int
	AScale, BScale      float32
	AFlip, BFlip, Flip  uint8
	AZero, BZero, YZero int
	Lo, Hi              int
}

// QAveragePool is an average over windows of 8-bit integers. Its fields are those of
// ir.QAveragePool and [Pool].
type QAveragePool struct {
	Src, Dst                          kernel.Ref
	N, C                              int
	In, Out, Kernel                   []int
	Strides, Pads, EndPads, Dilations []int
	CountPad                          bool
	XScale, YScale                    float32
	XFlip, YFlip                      uint8
	XZero, YZero                      int
}

// ConvInteger is a convolution of 8-bit integers with weights W, int8 or int16, of any
// rank. A dense layer is one with a window of one element. The results are uint8
// (requantised), int32 (the sums) or float32 (dequantised), see ir.Integer.
type ConvInteger[W, R kernel.Number] struct {
	Src, Dst, W, Bias, Multiplier kernel.Ref // W [M,C/Groups,K…]; Multiplier has 1 or M elements
	Zero                          kernel.Ref // the zero point of Src, unless absent, in place of XZero
	N, C, M, Groups               int
	In, Out, Kernel               []int
	Strides, Pads, Dilations      []int // Pads: begins
	XFlip, YFlip                  uint8
	XZero, YZero, Lo, Hi          int
	Act                           kernel.Act // of float32 results
}

// Check declares the memory of the step.
func (k *Quantize[F, Q]) Check(v *kernel.Verifier) {
	v.Read("Src", k.Src, size[F](), kernel.Product(k.Shape...))
	v.Write("Dst", k.Dst, size[Q](), kernel.Product(k.Shape...))
	checkScale(v, k.Scale, k.Zero, size[F](), size[Q](), k.Shape, k.ScaleStride, k.ZeroStride)
}

// checkScale declares the scales and zero points, which may be absent, of a tensor.
func checkScale(v *kernel.Verifier, scale, zero kernel.Ref, scaleSize, zeroSize int, shape, scaleStride, zeroStride []int) {
	axes(v, shape)
	strided(v, "Scale", scale, scaleSize, 0, shape, scaleStride, false)
	v.Require(len(zeroStride) == len(shape), "the extents and the strides have different numbers of axes")
	if zero.Len != 0 {
		strided(v, "Zero", zero, zeroSize, 0, shape, zeroStride, false)
	}
	v.Require(last(scaleStride) >= 0 && last(zeroStride) >= 0, "a stride is negative")
}

// ScratchBytes is zero.
func (k *Quantize[F, Q]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Quantize[F, Q]) Run(c *kernel.Context) {
	src, scale, zero, dst := kernel.View[F](c, k.Src), kernel.View[F](c, k.Scale), kernel.View[Q](c, k.Zero), kernel.View[Q](c, k.Dst)
	outer, n := inner(k.Shape)
	strides := [4][]int{outerOf(k.ScaleStride), outerOf(k.ZeroStride)}
	ss, zs := last(k.ScaleStride), last(k.ZeroStride)
	w := walk{shape: outer}
	for d := 0; ; d += n {
		x, y := src[d:d+n], dst[d:d+n]
		for i := range y {
			z := 0
			if zero != nil {
				z = int(zero[w.off[1]+i*zs])
			}
			y[i] = Q(kernel.Saturate(float64(x[i]/scale[w.off[0]+i*ss]), z, k.Lo, k.Hi))
		}
		if !w.next(&strides) {
			return
		}
	}
}

// Check declares the memory of the step.
func (k *Dequantize[Q, F]) Check(v *kernel.Verifier) {
	v.Read("Src", k.Src, size[Q](), kernel.Product(k.Shape...))
	v.Write("Dst", k.Dst, size[F](), kernel.Product(k.Shape...))
	checkScale(v, k.Scale, k.Zero, size[F](), size[Q](), k.Shape, k.ScaleStride, k.ZeroStride)
}

// ScratchBytes is zero.
func (k *Dequantize[Q, F]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Dequantize[Q, F]) Run(c *kernel.Context) {
	src, scale, zero, dst := kernel.View[Q](c, k.Src), kernel.View[F](c, k.Scale), kernel.View[Q](c, k.Zero), kernel.View[F](c, k.Dst)
	outer, n := inner(k.Shape)
	strides := [4][]int{outerOf(k.ScaleStride), outerOf(k.ZeroStride)}
	ss, zs := last(k.ScaleStride), last(k.ZeroStride)
	w := walk{shape: outer}
	for d := 0; ; d += n {
		x, y := src[d:d+n], dst[d:d+n]
		for i := range y {
			v := int64(x[i])
			if zero != nil {
				v -= int64(zero[w.off[1]+i*zs])
			}
			y[i] = F(v) * scale[w.off[0]+i*ss]
		}
		if !w.next(&strides) {
			return
		}
	}
}

// Check declares the memory of the step.
func (k *DynamicQuantize) Check(v *kernel.Verifier) {
	v.Read("Src", k.Src, 4, 0)
	v.Write("Dst", k.Dst, 1, int64(k.Src.Len))
	v.Write("Scale", k.Scale, 4, 1)
	v.Write("Zero", k.Zero, 1, 1)
}

// ScratchBytes is zero.
func (k *DynamicQuantize) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *DynamicQuantize) Run(c *kernel.Context) {
	x, y := kernel.View[float32](c, k.Src), kernel.View[uint8](c, k.Dst)
	lo, hi := float32(0), float32(0)
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
	}
	scale := (hi - lo) / 255
	if hi == lo {
		scale = 1
	}
	zero := kernel.Saturate(float64((0-lo)/scale), 0, 0, math.MaxUint8)
	for i, v := range x {
		y[i] = uint8(kernel.Saturate(float64(v/scale), zero, 0, math.MaxUint8))
	}
	kernel.View[float32](c, k.Scale)[0] = scale
	kernel.View[uint8](c, k.Zero)[0] = uint8(zero)
}

// Check declares the memory of the step.
func (k *Lookup[T]) Check(v *kernel.Verifier) {
	v.Read("Src", k.Src, 1, 0)
	v.Write("Dst", k.Dst, size[T](), int64(k.Src.Len))
	v.Read("Table", k.Table, size[T](), 256)
}

// ScratchBytes is zero.
func (k *Lookup[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Lookup[T]) Run(c *kernel.Context) {
	c.Do(team.Split(k.Src.Len, unaryChunk), k.Src.Len, k)
}

// Part computes unaryChunk elements.
func (k *Lookup[T]) Part(c *kernel.Context, i, worker int) {
	lo, hi := i*unaryChunk, min(k.Src.Len, (i+1)*unaryChunk)
	table := (*[256]T)(kernel.View[T](c, k.Table))
	dst := kernel.View[T](c, k.Dst)[lo:hi]
	for i, v := range kernel.View[uint8](c, k.Src)[lo:hi] {
		dst[i] = table[v^k.Flip]
	}
}

// Check declares the memory of the step.
func (k *QBinary) Check(v *kernel.Verifier) {
	axes(v, k.Shape)
	strided(v, "A", k.A, 1, 0, k.Shape, k.AStride, false)
	strided(v, "B", k.B, 1, 0, k.Shape, k.BStride, false)
	v.Require(last(k.AStride) >= 0 && last(k.BStride) >= 0, "a stride is negative")
	v.Write("Dst", k.Dst, 1, kernel.Product(k.Shape...))
}

// ScratchBytes is zero.
func (k *QBinary) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *QBinary) Run(c *kernel.Context) {
	x, y, dst := kernel.View[uint8](c, k.A), kernel.View[uint8](c, k.B), kernel.View[uint8](c, k.Dst)
	outer, n := inner(k.Shape)
	as, bs := last(k.AStride), last(k.BStride)
	strides := [4][]int{outerOf(k.AStride), outerOf(k.BStride)}
	w := walk{shape: outer}
	for d := 0; ; d += n {
		row := dst[d : d+n]
		for i := range row {
			a := int(x[w.off[0]+i*as]^k.AFlip) - k.AZero
			b := int(y[w.off[1]+i*bs]^k.BFlip) - k.BZero
			var v float32
			if k.Mul {
				v = float32(a*b) * k.AScale
			} else {
				v = float32(float32(a)*k.AScale) + float32(float32(b)*k.BScale) // the conversions prevent a fused multiply-add
			}
			row[i] = uint8(kernel.Saturate(float64(v), k.YZero, k.Lo, k.Hi)) ^ k.Flip
		}
		if !w.next(&strides) {
			return
		}
	}
}

// Check declares the memory of the step.
func (k *QAveragePool) Check(v *kernel.Verifier) {
	ins, outs, _ := checkWindows(v, k.In, k.Out, k.Kernel, k.Strides, k.Pads, k.Dilations)
	v.Positive("channels", k.N, k.C)
	v.Read("Src", k.Src, 1, kernel.Product(k.N, k.C, ins))
	v.Write("Dst", k.Dst, 1, kernel.Product(k.N, k.C, outs))
	checkEndPads(v, k.In, k.Kernel, k.Dilations, k.Strides, k.Pads, k.EndPads)
}

// ScratchBytes is zero.
func (k *QAveragePool) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *QAveragePool) Run(c *kernel.Context) { c.DoAll(k.N*k.C, k) }

// Part computes one channel of one image.
func (k *QAveragePool) Part(c *kernel.Context, i, worker int) {
	ins, outs, taps := product(k.In), product(k.Out), product(k.Kernel)
	src, dst := kernel.View[uint8](c, k.Src)[i*ins:(i+1)*ins], kernel.View[uint8](c, k.Dst)[i*outs:(i+1)*outs]
	win := window{len(k.In), k.In, k.Out, k.Kernel, k.Strides, k.Pads, k.Dilations}
	for pos := range dst {
		sum, count := 0, 0
		for t := range taps {
			if in, ok := win.tap(pos, t); ok {
				sum += int(src[in]^k.XFlip) - k.XZero
				count++
			}
		}
		if k.CountPad {
			count = win.padded(pos, k.EndPads)
		}
		by := k.XScale / float32(k.YScale*float32(count))
		dst[pos] = uint8(kernel.Saturate(float64(float32(sum)*by), k.YZero, 0, math.MaxUint8)) ^ k.YFlip
	}
}

// Check declares the memory of the step.
func (k *ConvInteger[W, R]) Check(v *kernel.Verifier) {
	ins, outs, taps := checkWindows(v, k.In, k.Out, k.Kernel, k.Strides, k.Pads, k.Dilations)
	v.Positive("channels", k.N, k.M, k.Groups)
	extents(v, k.C)
	if v.Failed() {
		return
	}
	v.Require(len(k.In) > 0, "the windows have no axes")
	v.Require(k.C%k.Groups == 0 && k.M%k.Groups == 0, "the groups do not divide the channels")
	v.Read("Src", k.Src, 1, kernel.Product(k.N, k.C, ins))
	v.Write("Dst", k.Dst, size[R](), kernel.Product(k.N, k.M, outs))
	v.Read("W", k.W, size[W](), kernel.Product(k.M, k.C/k.Groups, taps))
	optional(v, "Bias", k.Bias, 4, int64(k.M))
	var r R
	if _, sums := any(r).(int32); !sums {
		n := int64(k.M)
		if k.Multiplier.Len == 1 {
			n = 1
		}
		v.Read("Multiplier", k.Multiplier, 4, n)
	}
	optional(v, "Zero", k.Zero, 1, 1)
	v.Act(k.Act.Fn)
	v.Scratch(kernel.Product(4, outs))
}

// ScratchBytes is the size of the sums of one channel of one image.
func (k *ConvInteger[W, R]) ScratchBytes() int { return 4 * product(k.Out) }

// Run computes the step.
func (k *ConvInteger[W, R]) Run(c *kernel.Context) { c.DoAll(k.N*k.M, k) }

// Part computes one output channel of one image.
func (k *ConvInteger[W, R]) Part(c *kernel.Context, i, worker int) {
	n, m := i/k.M, i%k.M
	ins, outs, taps := product(k.In), product(k.Out), product(k.Kernel)
	cg := k.C / k.Groups
	c0 := m / (k.M / k.Groups) * cg
	zero := int32(k.XZero)
	if z := kernel.View[uint8](c, k.Zero); z != nil {
		zero = int32(z[0] ^ k.XFlip)
	}
	src := kernel.View[uint8](c, k.Src)[(n*k.C+c0)*ins:][:cg*ins]
	w := kernel.View[W](c, k.W)[m*cg*taps:][:cg*taps]
	sum := kernel.Int32s(c.Scratch(worker))[:outs]
	first := int32(0)
	if b := kernel.View[int32](c, k.Bias); b != nil && !kernel.IsFloat[R]() {
		first = b[m]
	}
	for o := range sum {
		sum[o] = first
	}
	if outs == 1 && ins == 1 && taps == 1 {
		for ch, v := range src {
			sum[0] += (int32(v^k.XFlip) - zero) * int32(w[ch])
		}
	} else {
		k.convolve(sum, src, w, zero)
	}
	var r R
	switch any(r).(type) {
	case int32:
		copy(kernel.View[int32](c, k.Dst)[i*outs:], sum)
		return
	case uint8:
		dst, by := kernel.View[uint8](c, k.Dst)[i*outs:][:outs], k.multiplier(c, m)
		for o, s := range sum {
			dst[o] = uint8(kernel.Saturate(float64(float32(s)*by), k.YZero, k.Lo, k.Hi)) ^ k.YFlip
		}
	case float32:
		dst, by := c.F32(k.Dst)[i*outs:][:outs], k.multiplier(c, m)
		bias := float32(0)
		if b := c.F32(k.Bias); b != nil {
			bias = b[m]
		}
		for o, s := range sum {
			dst[o] = float32(float32(s)*by) + bias
		}
		kernel.Apply(dst, k.Act)
	}
}

// multiplier returns the multiplier of output channel m.
func (k *ConvInteger[W, R]) multiplier(c *kernel.Context, m int) float32 {
	v := c.F32(k.Multiplier)
	if len(v) == 1 {
		return v[0]
	}
	return v[m]
}

// inside returns the range of o below width for which o·stride + offset is at least 0 and
// below n.
func inside(offset, stride, width, n int) (lo, hi int) {
	ceil := func(x int) int { return min(max(0, (x+stride-1)/stride), width) }
	return ceil(-offset), ceil(n - offset)
}

// convolve adds the products of the channels src with the weights w of one filter to sum.
func (k *ConvInteger[W, R]) convolve(sum []int32, src []uint8, w []W, zero int32) {
	win := window{len(k.In), k.In, k.Out, k.Kernel, k.Strides, k.Pads, k.Dilations}
	ins, taps := product(k.In), product(k.Kernel)
	r := win.rank - 1
	width, stride, dilation := k.Out[r], k.Strides[r], k.Dilations[r]
	for pos := 0; pos < len(sum); pos += width {
		for t := range taps {
			// The windows of a row of results read a row of src.
			row, ok := win.row(pos, t)
			offset := t%k.Kernel[r]*dilation - k.Pads[r]
			lo, hi := inside(offset, stride, width, k.In[r])
			if !ok || lo >= hi {
				continue
			}
			to := sum[pos:][:width]
			for ch := range len(src) / ins {
				x, v := src[ch*ins+row+lo*stride+offset:], int32(w[ch*taps+t])
				for o := range to[lo:hi] {
					to[lo+o] += (int32(x[o*stride]^k.XFlip) - zero) * v
				}
			}
		}
	}
}
