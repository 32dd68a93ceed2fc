package plain

import (
	"math"
	"slices"

	"modelc/runtime/kernel"
)

// MatMul multiplies matrices [M,K]·[K,N] for every position of the leading axes. It
// accumulates in T, in the order of K.
type MatMul[T kernel.Number] struct {
	A, B, Dst    kernel.Ref
	Lead         []int
	ALead, BLead []int // strides along Lead in elements
	M, K, N      int
	ARow, BRow   int // distance between rows in elements
}

// Conv is a convolution with any rank, groups and dilation on dense tensors. Operands
// are as in [kernel.Conv]. T is float32 or float64.
type Conv[T kernel.Number] struct {
	Src, Dst, W, Bias, Residual, Scale, Shift kernel.Ref // W [M,C/Groups,K…]
	N, C, M, Groups                           int
	In, Out, Kernel                           []int
	Strides, Pads, Dilations                  []int // Pads: begins
	Pre, Act                                  kernel.Act
}

// ConvTranspose is the gradient of a convolution with respect to its input. W is
// [C,M/Groups,K…].
type ConvTranspose[T kernel.Number] struct {
	Src, Dst, W, Bias        kernel.Ref
	N, C, M, Groups          int
	In, Out, Kernel          []int
	Strides, Pads, Dilations []int // Pads: begins
	Act                      kernel.Act
}

// Pool is pooling of any rank on dense tensors. Indices, unless absent, receives the
// flat position of each maximum in Src as int64.
type Pool[T kernel.Number] struct {
	Kind                              uint8 // 0 max, 1 average, 2 Lp
	Src, Dst, Indices, Scale, Shift   kernel.Ref
	N, C                              int
	In, Out, Kernel                   []int
	Strides, Pads, EndPads, Dilations []int // Pads: begins; EndPads: the ends that CountPad counts
	CountPad                          bool
	P                                 int
	ColMajor                          bool
	Pre                               kernel.Act
}

// LRN is [kernel.LRN] on dense tensors [N,C,Inner].
type LRN[T kernel.Number] struct {
	Src, Dst          kernel.Ref
	N, C, Inner, Size int
	Alpha, Beta, Bias float64
}

// Check declares the memory of the step.
func (k *MatMul[T]) Check(v *kernel.Verifier) {
	axes(v, k.Lead)
	v.Positive("extents", k.M, k.N)
	strided(v, "A", k.A, size[T](), 0, append(slices.Clone(k.Lead), k.M, k.K), append(slices.Clone(k.ALead), k.ARow, 1), false)
	strided(v, "B", k.B, size[T](), 0, append(slices.Clone(k.Lead), k.K, k.N), append(slices.Clone(k.BLead), k.BRow, 1), false)
	v.Write("Dst", k.Dst, size[T](), kernel.Product(append(slices.Clone(k.Lead), k.M, k.N)...))
}

// ScratchBytes is zero.
func (k *MatMul[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *MatMul[T]) Run(c *kernel.Context) {
	n := k.M
	for _, d := range k.Lead {
		n *= d
	}
	c.Do(n, n*k.K*k.N, k)
}

// Part computes one row of one product.
func (k *MatMul[T]) Part(c *kernel.Context, i, worker int) {
	a, b := kernel.View[T](c, k.A), kernel.View[T](c, k.B)
	dst := kernel.View[T](c, k.Dst)[i*k.N : (i+1)*k.N]
	row := i % k.M
	i /= k.M
	at, bt := row*k.ARow, 0
	for ax := len(k.Lead) - 1; ax >= 0; ax-- {
		x := i % k.Lead[ax]
		i /= k.Lead[ax]
		at += x * k.ALead[ax]
		bt += x * k.BLead[ax]
	}
	kernel.Zero(dst)
	for p := range k.K {
		v := a[at+p]
		for j, w := range b[bt+p*k.BRow:][:k.N] {
			dst[j] += v * w
		}
	}
}

// window describes an N-dimensional window over the input.
type window struct {
	rank                     int
	in, out, kernel          []int
	strides, pads, dilations []int
}

// tap returns the flat index in the input that tap t of the window at output position
// pos reads, and whether it lies inside the input. t and pos are flat.
func (w *window) tap(pos, t int) (in int, ok bool) {
	var at, kt [maxAxes]int
	for i := w.rank - 1; i >= 0; i-- {
		at[i], kt[i] = pos%w.out[i], t%w.kernel[i]
		pos /= w.out[i]
		t /= w.kernel[i]
	}
	for i := range w.rank {
		x := at[i]*w.strides[i] - w.pads[i] + kt[i]*w.dilations[i]
		if x < 0 || x >= w.in[i] {
			return 0, false
		}
		in = in*w.in[i] + x
	}
	return in, true
}

// checkWindows checks windows over an operand, whose extents are in. It returns the
// products of the extents.
func checkWindows(v *kernel.Verifier, in, out, taps, strides, pads, dilations []int) (ins, outs, all int) {
	extents(v, in...)
	rank := len(in)
	v.Require(len(out) == rank && len(taps) == rank && len(strides) == rank && len(pads) == rank && len(dilations) == rank, "the windows have different numbers of axes")
	if v.Failed() {
		return 0, 0, 0
	}
	for i := range in {
		v.Window(out[i], strides[i], taps[i], dilations[i], pads[i])
	}
	n, m, t := kernel.Product(in...), kernel.Product(out...), kernel.Product(taps...)
	v.Require(max(n, m, t) <= kernel.MaxExtent, "the windows are too large")
	if v.Failed() {
		return 0, 0, 0
	}
	return int(n), int(m), int(t)
}

// row is like tap, for the row of the input that the tap reads for a row of positions,
// starting at pos, along the last axis. in is the index of the first element of the row.
func (w *window) row(pos, t int) (in int, ok bool) {
	last := w.rank - 1
	v := window{last, w.in, w.out, w.kernel, w.strides, w.pads, w.dilations}
	in, ok = v.tap(pos/w.out[last], t/w.kernel[last])
	return in * w.in[last], ok
}

// padded returns the number of taps of the window at pos that lie inside the padded
// input, with endPads at its ends.
func (w *window) padded(pos int, endPads []int) int {
	n := 1
	for i := w.rank - 1; i >= 0; i-- {
		x := pos % w.out[i]
		pos /= w.out[i]
		n *= kernel.Counted(x*w.strides[i]-w.pads[i], w.kernel[i], w.dilations[i], w.in[i]+endPads[i])
	}
	return n
}

func product(s []int) int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// Check declares the memory of the step.
func (k *Conv[T]) Check(v *kernel.Verifier) {
	ins, outs, taps := checkWindows(v, k.In, k.Out, k.Kernel, k.Strides, k.Pads, k.Dilations)
	v.Positive("channels", k.N, k.M, k.Groups)
	extents(v, k.C)
	if v.Failed() {
		return
	}
	v.Require(k.C%k.Groups == 0 && k.M%k.Groups == 0, "the groups do not divide the channels")
	v.Read("Src", k.Src, size[T](), kernel.Product(k.N, k.C, ins))
	v.Write("Dst", k.Dst, size[T](), kernel.Product(k.N, k.M, outs))
	v.Read("W", k.W, size[T](), kernel.Product(k.M, k.C/k.Groups, taps))
	optional(v, "Bias", k.Bias, size[T](), int64(k.M))
	optional(v, "Residual", k.Residual, size[T](), kernel.Product(k.N, k.M, outs))
	optional(v, "Scale", k.Scale, size[T](), int64(k.C))
	optional(v, "Shift", k.Shift, size[T](), int64(k.C))
	v.Act(k.Pre.Fn)
	v.Act(k.Act.Fn)
}

// ScratchBytes is zero.
func (k *Conv[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Conv[T]) Run(c *kernel.Context) { c.DoAll(k.N*k.M, k) }

// Part computes one output channel of one image.
func (k *Conv[T]) Part(c *kernel.Context, i, worker int) {
	n, m := i/k.M, i%k.M
	src, w, dst := kernel.View[T](c, k.Src), kernel.View[T](c, k.W), kernel.View[T](c, k.Dst)
	bias, res := kernel.View[T](c, k.Bias), kernel.View[T](c, k.Residual)
	scale, shift := kernel.View[T](c, k.Scale), kernel.View[T](c, k.Shift)
	win := window{len(k.In), k.In, k.Out, k.Kernel, k.Strides, k.Pads, k.Dilations}
	ins, outs, taps := product(k.In), product(k.Out), product(k.Kernel)
	cg := k.C / k.Groups
	c0 := m / (k.M / k.Groups) * cg
	for pos := range outs {
		sum := 0.0
		if bias != nil {
			sum = float64(bias[m])
		}
		for t := range taps {
			at, ok := win.tap(pos, t)
			if !ok {
				continue
			}
			for ch := range cg {
				v := float64(src[(n*k.C+c0+ch)*ins+at])
				if scale != nil {
					v *= float64(scale[c0+ch])
				}
				if shift != nil {
					v += float64(shift[c0+ch])
				}
				v = kernel.Eval(k.Pre.Fn, v, float64(k.Pre.Alpha), float64(k.Pre.Beta))
				sum += v * float64(w[(m*cg+ch)*taps+t])
			}
		}
		o := i*outs + pos
		if res != nil {
			sum += float64(res[o])
		}
		dst[o] = T(kernel.Eval(k.Act.Fn, sum, float64(k.Act.Alpha), float64(k.Act.Beta)))
	}
}

// Check declares the memory of the step.
func (k *ConvTranspose[T]) Check(v *kernel.Verifier) {
	extents(v, k.In...)
	in := slices.Clone(k.In)
	for i := range in {
		in[i] = max(1, in[i]) // the image may be empty: then the result is the bias
	}
	outs, _, taps := checkWindows(v, k.Out, in, k.Kernel, k.Strides, k.Pads, k.Dilations)
	v.Positive("channels", k.N, k.M, k.Groups)
	extents(v, k.C)
	if v.Failed() {
		return
	}
	v.Require(k.C%k.Groups == 0 && k.M%k.Groups == 0, "the groups do not divide the channels")
	v.Read("Src", k.Src, size[T](), kernel.Product(k.N, k.C, product(k.In)))
	v.Write("Dst", k.Dst, size[T](), kernel.Product(k.N, k.M, outs))
	v.Read("W", k.W, size[T](), kernel.Product(k.C, k.M/k.Groups, taps))
	optional(v, "Bias", k.Bias, size[T](), int64(k.M))
	v.Act(k.Act.Fn)
}

// ScratchBytes is zero.
func (k *ConvTranspose[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *ConvTranspose[T]) Run(c *kernel.Context) { c.DoAll(k.N*k.M, k) }

// Part computes one output channel of one image. It adds the products of each input
// element to the results that it contributes to.
func (k *ConvTranspose[T]) Part(c *kernel.Context, i, worker int) {
	n, m := i/k.M, i%k.M
	src, w, bias := kernel.View[T](c, k.Src), kernel.View[T](c, k.W), kernel.View[T](c, k.Bias)
	ins, outs, taps := product(k.In), product(k.Out), product(k.Kernel)
	dst := kernel.View[T](c, k.Dst)[i*outs : (i+1)*outs]
	mg, cg := k.M/k.Groups, k.C/k.Groups
	g := m / mg
	// This is the gradient of a convolution whose input has the extents of the
	// result.
	win := window{len(k.In), k.Out, k.In, k.Kernel, k.Strides, k.Pads, k.Dilations}
	first := T(0)
	if bias != nil {
		first = bias[m]
	}
	for o := range dst {
		dst[o] = first
	}
	for pos := range ins {
		for t := range taps {
			at, ok := win.tap(pos, t)
			if !ok {
				continue
			}
			sum := 0.0
			for ch := g * cg; ch < (g+1)*cg; ch++ {
				sum += float64(src[(n*k.C+ch)*ins+pos]) * float64(w[(ch*mg+m-g*mg)*taps+t])
			}
			dst[at] += T(sum)
		}
	}
	for o, v := range dst {
		dst[o] = T(kernel.Eval(k.Act.Fn, float64(v), float64(k.Act.Alpha), float64(k.Act.Beta)))
	}
}

// checkEndPads checks the padding at the ends of the windows of a pool. checkWindows has
// checked the rest.
func checkEndPads(v *kernel.Verifier, in, taps, dilations, strides, pads, endPads []int) {
	v.Require(len(endPads) == len(in), "the windows have different numbers of axes")
	if v.Failed() {
		return
	}
	for i, p := range endPads {
		v.Window(1, 1, 1, 1, p)
		v.Require((taps[i]-1)*dilations[i] < in[i]+pads[i]+p+strides[i], "a window is larger than the padded operand")
	}
}

// Check declares the memory of the step.
func (k *Pool[T]) Check(v *kernel.Verifier) {
	ins, outs, _ := checkWindows(v, k.In, k.Out, k.Kernel, k.Strides, k.Pads, k.Dilations)
	v.Positive("channels", k.N, k.C)
	v.Read("Src", k.Src, size[T](), kernel.Product(k.N, k.C, ins))
	v.Write("Dst", k.Dst, size[T](), kernel.Product(k.N, k.C, outs))
	if k.Indices.Len != 0 {
		v.Write("Indices", k.Indices, 8, kernel.Product(k.N, k.C, outs))
	}
	optional(v, "Scale", k.Scale, size[T](), int64(k.C))
	optional(v, "Shift", k.Shift, size[T](), int64(k.C))
	v.Act(k.Pre.Fn)
	checkEndPads(v, k.In, k.Kernel, k.Dilations, k.Strides, k.Pads, k.EndPads)
}

// ScratchBytes is zero.
func (k *Pool[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Pool[T]) Run(c *kernel.Context) { c.DoAll(k.N*k.C, k) }

// Part computes one channel of one image.
func (k *Pool[T]) Part(c *kernel.Context, i, worker int) {
	ins, outs, taps := product(k.In), product(k.Out), product(k.Kernel)
	src := kernel.View[T](c, k.Src)[i*ins : (i+1)*ins]
	dst, idx := kernel.View[T](c, k.Dst), kernel.View[int64](c, k.Indices)
	scale, shift := kernel.View[T](c, k.Scale), kernel.View[T](c, k.Shift)
	ch := i % k.C
	win := window{len(k.In), k.In, k.Out, k.Kernel, k.Strides, k.Pads, k.Dilations}
	for pos := range outs {
		best, at := math.Inf(-1), -1
		sum, count := 0.0, 0
		for t := range taps {
			in, ok := win.tap(pos, t)
			if !ok {
				continue
			}
			v := float64(src[in])
			if scale != nil {
				v *= float64(scale[ch])
			}
			if shift != nil {
				v += float64(shift[ch])
			}
			v = kernel.Eval(k.Pre.Fn, v, float64(k.Pre.Alpha), float64(k.Pre.Beta))
			count++
			switch k.Kind {
			case 0:
				if at < 0 || v > best || v != v {
					best, at = v, in
				}
			case 1:
				sum += v
			case 2:
				sum += math.Pow(math.Abs(v), float64(k.P))
			}
		}
		o := i*outs + pos
		switch k.Kind {
		case 0:
			if at < 0 && !kernel.IsFloat[T]() {
				best = 0
			}
			dst[o] = T(best)
			if idx != nil {
				idx[o] = int64(i*ins + k.flat(at))
			}
		case 1:
			if k.CountPad {
				count = win.padded(pos, k.EndPads)
			}
			dst[o] = T(sum / float64(count))
		case 2:
			dst[o] = T(math.Pow(sum, 1/float64(k.P)))
		}
	}
}

// flat converts a row-major position to the order of Indices.
func (k *Pool[T]) flat(at int) int {
	r := len(k.In)
	if !k.ColMajor || r < 2 {
		return at
	}
	h, w := k.In[r-2], k.In[r-1]
	plane := at / (h * w)
	y, x := at/w%h, at%w
	return plane*h*w + x*h + y
}

// Check declares the memory of the step.
func (k *LRN[T]) Check(v *kernel.Verifier) {
	v.Positive("extents", k.N, k.C, k.Inner, k.Size)
	v.Read("Src", k.Src, size[T](), kernel.Product(k.N, k.C, k.Inner))
	v.Write("Dst", k.Dst, size[T](), kernel.Product(k.N, k.C, k.Inner))
}

// ScratchBytes is zero.
func (k *LRN[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *LRN[T]) Run(c *kernel.Context) {
	src, dst := kernel.View[T](c, k.Src), kernel.View[T](c, k.Dst)
	below, above := (k.Size-1)/2, k.Size-1-(k.Size-1)/2
	for n := range k.N {
		for ch := range k.C {
			for i := range k.Inner {
				sum := 0.0
				for j := max(0, ch-below); j <= min(k.C-1, ch+above); j++ {
					v := float64(src[(n*k.C+j)*k.Inner+i])
					sum += v * v
				}
				o := (n*k.C+ch)*k.Inner + i
				dst[o] = T(float64(src[o]) / math.Pow(k.Bias+k.Alpha/float64(k.Size)*sum, k.Beta))
			}
		}
	}
}
