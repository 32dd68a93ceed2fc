package runtime

import "math"

// MatMulPlain multiplies matrices [M,K]·[K,N] for every element of Lead, by
// strides. Float types sum in float64 chunks of their own order.
type MatMulPlain[T Number] struct {
	A, B, Dst    Ref
	Lead         []int
	ALead, BLead []int // strides along Lead, elements
	M, K, N      int
	ARow, BRow   int // distance between rows, elements
}

// ConvPlain is a convolution of any rank, groups and dilation on dense
// tensors, with the operands of Conv; T is float32 or float64.
type ConvPlain[T Number] struct {
	Src, Dst, W, Bias, Residual, Scale, Shift Ref // W [M,C/Groups,K…]
	N, C, M, Groups                           int
	In, Out, Kernel                           []int
	Strides, Pads, Dilations                  []int // Pads: begins
	Pre, Act                                  Act
}

// ConvTransposePlain is the gradient of a convolution; W [C,M/Groups,K…].
type ConvTransposePlain[T Number] struct {
	Src, Dst, W, Bias        Ref
	N, C, M, Groups          int
	In, Out, Kernel          []int
	Strides, Pads, Dilations []int // Pads: begins
	Act                      Act
}

// PoolPlain is pooling of any rank on dense tensors; Indices receives the
// flat position of each maximum as int64 when present.
type PoolPlain[T Number] struct {
	Kind                              uint8 // 0 max, 1 average, 2 Lp
	Src, Dst, Indices, Scale, Shift   Ref
	N, C                              int
	In, Out, Kernel                   []int
	Strides, Pads, EndPads, Dilations []int // begins; ends that CountPad counts
	CountPad                          bool
	P                                 int
	ColMajor                          bool
	Pre                               Act
}

// LRNPlain is LRN on dense [N,C,Inner].
type LRNPlain[T Number] struct {
	Src, Dst          Ref
	N, C, Inner, Size int
	Alpha, Beta, Bias float64
}

// ScratchBytes is zero.
func (k *MatMulPlain[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *MatMulPlain[T]) Run(c *Context) {
	n := k.M
	for _, d := range k.Lead {
		n *= d
	}
	c.do(n, n*k.K*k.N, k)
}

// part computes one row of one product.
func (k *MatMulPlain[T]) part(c *Context, i, worker int) {
	a, b := view[T](c, k.A), view[T](c, k.B)
	dst := view[T](c, k.Dst)[i*k.N : (i+1)*k.N]
	row := i % k.M
	i /= k.M
	at, bt := row*k.ARow, 0
	for ax := len(k.Lead) - 1; ax >= 0; ax-- {
		x := i % k.Lead[ax]
		i /= k.Lead[ax]
		at += x * k.ALead[ax]
		bt += x * k.BLead[ax]
	}
	clear(dst)
	for p := range k.K {
		v := a[at+p]
		for j, w := range b[bt+p*k.BRow:][:k.N] {
			dst[j] += v * w
		}
	}
}

// window visits the taps of an N-dimensional window that lie inside the input.
type window struct {
	rank                     int
	in, out, kernel          []int
	strides, pads, dilations []int
}

// each calls f for every tap of the window at output position pos (flat) that
// lies inside the input, with the tap's flat index and the input's.
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

func product(s []int) int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// ScratchBytes is zero.
func (k *ConvPlain[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *ConvPlain[T]) Run(c *Context) { c.team.do(k.N*k.M, c, k) }

// part computes one output channel of one image.
func (k *ConvPlain[T]) part(c *Context, i, worker int) {
	n, m := i/k.M, i%k.M
	src, w, dst := view[T](c, k.Src), view[T](c, k.W), view[T](c, k.Dst)
	bias, res := view[T](c, k.Bias), view[T](c, k.Residual)
	scale, shift := view[T](c, k.Scale), view[T](c, k.Shift)
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
				v = evalFn(k.Pre.Fn, v, float64(k.Pre.Alpha), float64(k.Pre.Beta))
				sum += v * float64(w[(m*cg+ch)*taps+t])
			}
		}
		o := i*outs + pos
		if res != nil {
			sum += float64(res[o])
		}
		dst[o] = T(evalFn(k.Act.Fn, sum, float64(k.Act.Alpha), float64(k.Act.Beta)))
	}
}

// ScratchBytes is zero.
func (k *ConvTransposePlain[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *ConvTransposePlain[T]) Run(c *Context) { c.team.do(k.N*k.M, c, k) }

// part computes one output channel of one image by scattering the input.
func (k *ConvTransposePlain[T]) part(c *Context, i, worker int) {
	n, m := i/k.M, i%k.M
	src, w, bias := view[T](c, k.Src), view[T](c, k.W), view[T](c, k.Bias)
	ins, outs, taps := product(k.In), product(k.Out), product(k.Kernel)
	dst := view[T](c, k.Dst)[i*outs : (i+1)*outs]
	mg, cg := k.M/k.Groups, k.C/k.Groups
	g := m / mg
	// Read backwards, the result is the input of the convolution whose
	// gradient this is.
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
		dst[o] = T(evalFn(k.Act.Fn, float64(v), float64(k.Act.Alpha), float64(k.Act.Beta)))
	}
}

// ScratchBytes is zero.
func (k *PoolPlain[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *PoolPlain[T]) Run(c *Context) { c.team.do(k.N*k.C, c, k) }

// part computes one channel of one image.
func (k *PoolPlain[T]) part(c *Context, i, worker int) {
	ins, outs, taps := product(k.In), product(k.Out), product(k.Kernel)
	src := view[T](c, k.Src)[i*ins : (i+1)*ins]
	dst, idx := view[T](c, k.Dst), view[int64](c, k.Indices)
	scale, shift := view[T](c, k.Scale), view[T](c, k.Shift)
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
			v = evalFn(k.Pre.Fn, v, float64(k.Pre.Alpha), float64(k.Pre.Beta))
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
			if at < 0 && !isFloat[T]() {
				best = 0
			}
			dst[o] = T(best)
			if idx != nil {
				idx[o] = int64(i*ins + k.flat(at))
			}
		case 1:
			if k.CountPad {
				count = k.padded(pos)
			}
			dst[o] = T(sum / float64(count))
		case 2:
			dst[o] = T(math.Pow(sum, 1/float64(k.P)))
		}
	}
}

// flat turns a row-major position into what Indices counts.
func (k *PoolPlain[T]) flat(at int) int {
	r := len(k.In)
	if !k.ColMajor || r < 2 {
		return at
	}
	h, w := k.In[r-2], k.In[r-1]
	plane := at / (h * w)
	y, x := at/w%h, at%w
	return plane*h*w + x*h + y
}

// padded counts the taps of the window at pos that lie inside the padded
// input.
func (k *PoolPlain[T]) padded(pos int) int {
	n := 1
	for i := len(k.Out) - 1; i >= 0; i-- {
		x := pos % k.Out[i]
		pos /= k.Out[i]
		n *= counted(x*k.Strides[i]-k.Pads[i], k.Kernel[i], k.Dilations[i], k.In[i]+k.EndPads[i])
	}
	return n
}

// ScratchBytes is zero.
func (k *LRNPlain[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *LRNPlain[T]) Run(c *Context) {
	src, dst := view[T](c, k.Src), view[T](c, k.Dst)
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
