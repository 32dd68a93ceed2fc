package eval

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"modelc/ir"
)

func init() {
	define(conv)
	define(convTranspose)
	define(pool)
}

// parallel calls f(0) … f(n−1) on all processors. Each call must write a separate part of a
// result.
func parallel(n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		}()
	}
	wg.Wait()
}

// prologue returns fn(x·scale+shift) per channel of x [N,C,…], in float64.
func prologue(x, scale, shift *ir.Tensor, fn ir.Act) []float64 {
	v := x.Float64s()
	if scale == nil && shift == nil && fn.IsIdentity() {
		return v
	}
	var s, t []float64
	if scale != nil {
		s = scale.Float64s()
	}
	if shift != nil {
		t = shift.Float64s()
	}
	inner := x.Shape[2:].Len()
	for i, k := range v {
		c := i / inner % x.Shape[1]
		if s != nil {
			k *= s[c]
		}
		if t != nil {
			k += t[c]
		}
		v[i] = fn.Eval(k)
	}
	return v
}

// tap is one position of a kernel, with the part of an output row for which it lies inside
// the input.
type tap struct {
	weight int // flat position in the kernel
	row    int // flat position of the input row, before the last axis
	lo, hi int // the range of outputs along the last axis that read inside the input
	first  int // the input position of output lo
}

// taps returns the positions of a kernel that lie inside the input for one output row. at
// holds the coordinates of the row along all axes but the last.
func taps(in, out, kernel, strides, pads, dilations []int, at []int) []tap {
	r := len(in)
	var list []tap
	kt := make([]int, r)
	w := r - 1
	for k := range ir.Shape(kernel).Len() {
		coordinates(k, kernel, kt)
		row, inside := 0, true
		for i := range w {
			x := at[i]*strides[i] - pads[i] + kt[i]*dilations[i]
			inside = inside && x >= 0 && x < in[i]
			row = row*in[i] + x
		}
		if !inside {
			continue
		}
		base := kt[w]*dilations[w] - pads[w]
		lo := 0
		for lo < out[w] && base+lo*strides[w] < 0 {
			lo++
		}
		hi := out[w]
		for hi > lo && base+(hi-1)*strides[w] >= in[w] {
			hi--
		}
		if hi > lo {
			list = append(list, tap{k, row * in[w], lo, hi, base + lo*strides[w]})
		}
	}
	return list
}

func conv(c ir.Conv, a call) ([]*ir.Tensor, error) {
	if !c.Integer.IsZero() {
		return convOfIntegers(c, a)
	}
	x, w, t := a.in[0], a.in[ir.Weights], a.out[0]
	v := prologue(x, a.arg(ir.ConvScale), a.arg(ir.ConvShift), c.Prologue)
	wf := w.Float64s()
	var bias, res []float64
	if b := a.arg(ir.Bias); b != nil {
		bias = b.Float64s()
	}
	if r := a.arg(ir.ConvResidual); r != nil {
		res = r.Float64s()
	}
	in, out, kernel := x.Shape[2:], t.Shape[2:], w.Shape[2:]
	ins, outs, ks := in.Len(), out.Len(), kernel.Len()
	m, cg := w.Shape[0], w.Shape[1]
	mg := m / c.Groups
	width := out[len(out)-1]
	rows := outs / width
	stride := c.Strides[len(c.Strides)-1]
	y := make([]float64, t.Shape.Len())
	rowTaps := make([][]tap, rows)
	for r := range rowTaps {
		at := make([]int, len(out)-1)
		coordinates(r, out[:len(out)-1], at)
		rowTaps[r] = taps(in, out, kernel, c.Strides, c.Pads, c.Dilations, at)
	}
	// Four output channels share each read of the input.
	const together = 4
	blocks := (mg + together - 1) / together
	parallel(t.Shape[0]*c.Groups*blocks, func(i int) {
		n, g, b := i/(c.Groups*blocks), i/blocks%c.Groups, i%blocks
		m0 := g*mg + b*together
		num := min(together, g*mg+mg-m0)
		var acc [together][]float64
		for k := range num {
			acc[k] = make([]float64, width)
		}
		for r, list := range rowTaps {
			for k := range num {
				for j := range acc[k] {
					acc[k][j] = 0
				}
			}
			for ch := range cg {
				plane := v[(n*x.Shape[1]+g*cg+ch)*ins:][:ins]
				for _, tp := range list {
					src := plane[tp.row+tp.first:]
					if num == together {
						w0, w1 := wf[((m0+0)*cg+ch)*ks+tp.weight], wf[((m0+1)*cg+ch)*ks+tp.weight]
						w2, w3 := wf[((m0+2)*cg+ch)*ks+tp.weight], wf[((m0+3)*cg+ch)*ks+tp.weight]
						a0, a1 := acc[0][tp.lo:tp.hi], acc[1][tp.lo:tp.hi]
						a2, a3 := acc[2][tp.lo:tp.hi], acc[3][tp.lo:tp.hi]
						for j := range a0 {
							s := src[j*stride]
							a0[j] += s * w0
							a1[j] += s * w1
							a2[j] += s * w2
							a3[j] += s * w3
						}
						continue
					}
					for k := range num {
						wk := wf[((m0+k)*cg+ch)*ks+tp.weight]
						a := acc[k][tp.lo:tp.hi]
						for j := range a {
							a[j] += src[j*stride] * wk
						}
					}
				}
			}
			for k := range num {
				base := (n*m+m0+k)*outs + r*width
				for j, s := range acc[k] {
					if bias != nil {
						s += bias[m0+k]
					}
					if res != nil {
						s += res[base+j]
					}
					y[base+j] = c.Epilogue.Eval(s)
				}
			}
		}
	})
	return a.floats(y)
}

func convTranspose(c ir.ConvTranspose, args call) ([]*ir.Tensor, error) {
	x, w, t := args.in[0], args.in[ir.Weights], args.out[0]
	v, wf := x.Float64s(), w.Float64s()
	in, out, kernel := x.Shape[2:], t.Shape[2:], w.Shape[2:]
	ins, outs, ks := in.Len(), out.Len(), kernel.Len()
	m, mg := t.Shape[1], w.Shape[1]
	cg := x.Shape[1] / c.Groups
	y := make([]float64, t.Shape.Len())
	r := len(in)
	parallel(t.Shape[0]*m, func(i int) {
		n, o := i/m, i%m
		g := o / mg
		at, kt := make([]int, r), make([]int, r)
		dst := y[i*outs : (i+1)*outs]
		for pos := range ins {
			coordinates(pos, in, at)
			for k := range ks {
				coordinates(k, kernel, kt)
				to, inside := 0, true
				for a := range r {
					p := at[a]*c.Strides[a] + kt[a]*c.Dilations[a] - c.Pads[a]
					inside = inside && p >= 0 && p < out[a]
					to = to*out[a] + p
				}
				if !inside {
					continue
				}
				for ch := g * cg; ch < (g+1)*cg; ch++ {
					dst[to] += v[(n*x.Shape[1]+ch)*ins+pos] * wf[(ch*mg+o-g*mg)*ks+k]
				}
			}
		}
		b := 0.0
		if bias := args.arg(ir.Bias); bias != nil {
			b = bias.Float64s()[o]
		}
		for j, s := range dst {
			dst[j] = c.Epilogue.Eval(s + b)
		}
	})
	return args.floats(y)
}

func pool(p ir.Pool, args call) ([]*ir.Tensor, error) {
	x, t := args.in[0], args.out[0]
	v := prologue(x, args.arg(ir.PoolScale), args.arg(ir.PoolShift), p.Prologue)
	in, out := x.Shape[2:], t.Shape[2:]
	ins, outs := in.Len(), out.Len()
	r := len(in)
	y := make([]float64, t.Shape.Len())
	idx := make([]int64, t.Shape.Len())
	parallel(x.Shape[0]*x.Shape[1], func(i int) {
		src := v[i*ins : (i+1)*ins]
		at, kt := make([]int, r), make([]int, r)
		for pos := range outs {
			coordinates(pos, out, at)
			best, bestAt := math.Inf(-1), -1
			sum, inside, padded := 0.0, 0, 0
			for k := range ir.Shape(p.Kernel).Len() {
				coordinates(k, p.Kernel, kt)
				from, ok, counts := 0, true, true
				for a := range r {
					q := at[a]*p.Strides[a] - p.Pads[a] + kt[a]*p.Dilations[a]
					ok = ok && q >= 0 && q < in[a]
					counts = counts && q < in[a]+p.Pads[r+a]
					from = from*in[a] + q
				}
				if counts {
					padded++
				}
				if !ok {
					continue
				}
				s := src[from]
				inside++
				switch p.Kind {
				case ir.MaxPool:
					if bestAt < 0 || s > best || isNaN(s) {
						best, bestAt = s, from
					}
				case ir.AvgPool:
					sum += s
				case ir.LpPool:
					sum += math.Pow(math.Abs(s), float64(p.P))
				}
			}
			o := i*outs + pos
			switch p.Kind {
			case ir.MaxPool:
				y[o] = best
				if bestAt < 0 && !t.DType.IsFloat() {
					y[o] = 0
				}
				idx[o] = int64(i*ins + flatIndex(bestAt, in, p.ColMajor))
			case ir.AvgPool:
				if p.CountPad {
					inside = padded
				}
				y[o] = sum / float64(inside)
			case ir.LpPool:
				y[o] = math.Pow(sum, 1/float64(p.P))
			}
		}
	})
	res := []*ir.Tensor{ir.FromFloat64s(t, y)}
	if p.Indices {
		res = append(res, ir.TensorOf(args.out[1].Shape, idx...))
	}
	return res, nil
}

// flatIndex converts a row-major position to the index that Pool returns.
func flatIndex(at int, in ir.Shape, colMajor bool) int {
	if !colMajor || len(in) < 2 {
		return at
	}
	h, w := in[len(in)-2], in[len(in)-1]
	return at/(h*w)*h*w + at%w*h + at/w%h
}
