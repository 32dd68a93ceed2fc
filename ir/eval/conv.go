package eval

import (
	"math"
	"slices"

	"modelc/ir"
)

func init() {
	define(conv)
	define(convTranspose)
	define(pool)
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
	if x.DType == ir.BFloat16 {
		v = ir.FromFloat64s(x.Type, v).Float64s()
	}
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
	if ks == 1 && ins == outs && !slices.ContainsFunc(slices.Concat(c.Pads, c.Strides), func(x int) bool { return x > 1 || x < 0 }) && !slices.Contains(c.Pads, 1) {
		// A pixel reads one pixel, so that all of them are one row.
		in, out, kernel = ir.Shape{ins}, ir.Shape{outs}, ir.Shape{1}
		c.Strides, c.Pads, c.Dilations = []int{1}, []int{0, 0}, []int{1}
	}
	m, cg := w.Shape[0], w.Shape[1]
	mg := m / c.Groups
	width := out[len(out)-1]
	rows := outs / width
	stride := c.Strides[len(c.Strides)-1]
	y := ir.NewTensor(t)
	set := writer(y)
	// Four output channels share each read of the input.
	const together = 4
	var p *padded
	if mg >= together {
		p = withBorder(c, x.Shape, v, wf, kernel, out)
	}
	rowTaps := make([][]tap, rows)
	for r := range rowTaps {
		at := make([]int, len(out)-1)
		coordinates(r, out[:len(out)-1], at)
		rowTaps[r] = taps(in, out, kernel, c.Strides, c.Pads, c.Dilations, at)
	}
	blocks := (mg + together - 1) / together
	parallel(t.Shape[0]*c.Groups*blocks, func(i int) {
		n, g, b := i/(c.Groups*blocks), i/blocks%c.Groups, i%blocks
		m0 := g*mg + b*together
		num := min(together, g*mg+mg-m0)
		store := func(k, row int, sums []float64) {
			base := (n*m+m0+k)*outs + row*width
			for j, s := range sums {
				if bias != nil {
					s += bias[m0+k]
				}
				if res != nil {
					s += res[base+j]
				}
				set(base+j, c.Epilogue.Eval(s))
			}
		}
		var acc [together][]float64
		if p != nil && num == together {
			for k := range acc {
				acc[k] = make([]float64, p.rows*p.width)
			}
			for row := 0; row < rows; row += p.rows {
				count := min(p.rows, rows-row)
				list := p.taps((count-1)*p.width + width)
				for k := range acc {
					clear(acc[k])
				}
				for ch := range cg {
					w := wf[(m0*cg+ch)*ks:]
					plane := p.v[(n*x.Shape[1]+g*cg+ch)*p.size:][row*p.width : p.size]
					quad(&acc, plane, list, 1, [together][]float64{w, w[cg*ks:], w[2*cg*ks:], w[3*cg*ks:]})
				}
				for k := range acc {
					for r := range count {
						store(k, row+r, acc[k][r*p.width:][:width])
					}
				}
			}
			return
		}
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
				if num == together {
					w := wf[(m0*cg+ch)*ks:]
					quad(&acc, plane, list, stride, [together][]float64{w, w[cg*ks:], w[2*cg*ks:], w[3*cg*ks:]})
					continue
				}
				for _, tp := range list {
					src := plane[tp.row+tp.first:]
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
				store(k, r, acc[k])
			}
		}
	})
	return one(y)
}

// padded is the operand of a convolution of pictures with stride 1, with its border. The rows of
// a plane, and the sums over them, follow one another, so that loops are long even if rows are
// short. Between two rows are sums that nobody reads.
type padded struct {
	v                 []float64
	size, width, rows int   // of a plane, of a row, and the number of rows that are computed together
	at                []int // the position of each tap
}

// withBorder returns nil if c has another stride, other axes or a border that crops, if the operand
// is large, and if a weight is infinite or NaN: its product with the border would be NaN.
func withBorder(c ir.Conv, x ir.Shape, v, w []float64, kernel, out ir.Shape) *padded {
	const most, sums = 1 << 23, 512 // elements of the operand, and sums that stay in L1
	if len(kernel) != 2 || len(x) != 4 || c.Strides[0] != 1 || c.Strides[1] != 1 || slices.Min(c.Pads) < 0 || out.Len() == 0 {
		return nil
	}
	high, width := x[2]+c.Pads[0]+c.Pads[2], x[3]+c.Pads[1]+c.Pads[3]
	p := &padded{size: high * width, width: width, rows: max(1, sums/width)}
	if p.size > most/max(1, x[0]*x[1]) || slices.ContainsFunc(w, func(f float64) bool { return f-f != 0 }) {
		return nil
	}
	p.v = make([]float64, x[0]*x[1]*p.size)
	for i := range x[0] * x[1] * x[2] {
		plane, row := i/x[2], i%x[2]
		copy(p.v[plane*p.size+(row+c.Pads[0])*width+c.Pads[1]:], v[i*x[3]:][:x[3]])
	}
	for k := range kernel.Len() {
		p.at = append(p.at, k/kernel[1]*c.Dilations[0]*width+k%kernel[1]*c.Dilations[1])
	}
	return p
}

// taps returns the taps for n sums.
func (p *padded) taps(n int) []tap {
	var list []tap
	for k, at := range p.at {
		list = append(list, tap{weight: k, row: at, hi: n})
	}
	return list
}

// quad adds the products of a row of one channel to the sums of four output channels. It takes
// two taps at a time where both lie inside the input, in the order of the list.
func quad(acc *[4][]float64, plane []float64, list []tap, stride int, w [4][]float64) {
	for len(list) > 1 {
		s, t := list[0], list[1]
		lo, hi := max(s.lo, t.lo), min(s.hi, t.hi)
		if lo >= hi {
			break
		}
		single(acc, plane, s, s.lo, lo, stride, w)
		single(acc, plane, s, hi, s.hi, stride, w)
		v0, v1, v2, v3 := w[0][s.weight], w[1][s.weight], w[2][s.weight], w[3][s.weight]
		w0, w1, w2, w3 := w[0][t.weight], w[1][t.weight], w[2][t.weight], w[3][t.weight]
		a0, a1, a2, a3 := acc[0][lo:hi], acc[1][lo:hi], acc[2][lo:hi], acc[3][lo:hi]
		ss, ts := plane[s.row+s.first+(lo-s.lo)*stride:], plane[t.row+t.first+(lo-t.lo)*stride:]
		if stride == 1 {
			ss = ss[:hi-lo]
			ts, a0, a1, a2, a3 = ts[:len(ss)], a0[:len(ss)], a1[:len(ss)], a2[:len(ss)], a3[:len(ss)]
			for j, x := range ss {
				y := ts[j]
				a0[j] = a0[j] + x*v0 + y*w0
				a1[j] = a1[j] + x*v1 + y*w1
				a2[j] = a2[j] + x*v2 + y*w2
				a3[j] = a3[j] + x*v3 + y*w3
			}
		} else {
			for j := range a0 {
				x, y := ss[j*stride], ts[j*stride]
				a0[j] = a0[j] + x*v0 + y*w0
				a1[j] = a1[j] + x*v1 + y*w1
				a2[j] = a2[j] + x*v2 + y*w2
				a3[j] = a3[j] + x*v3 + y*w3
			}
		}
		single(acc, plane, t, t.lo, lo, stride, w)
		single(acc, plane, t, hi, t.hi, stride, w)
		list = list[2:]
	}
	for _, s := range list {
		single(acc, plane, s, s.lo, s.hi, stride, w)
	}
}

// single is quad for the outputs lo … hi−1 of one tap.
func single(acc *[4][]float64, plane []float64, s tap, lo, hi, stride int, w [4][]float64) {
	if lo >= hi {
		return
	}
	w0, w1, w2, w3 := w[0][s.weight], w[1][s.weight], w[2][s.weight], w[3][s.weight]
	a0, a1, a2, a3 := acc[0][lo:hi], acc[1][lo:hi], acc[2][lo:hi], acc[3][lo:hi]
	src := plane[s.row+s.first+(lo-s.lo)*stride:]
	for j := range a0 {
		x := src[j*stride]
		a0[j] += x * w0
		a1[j] += x * w1
		a2[j] += x * w2
		a3[j] += x * w3
	}
}

func convTranspose(c ir.ConvTranspose, args call) ([]*ir.Tensor, error) {
	x, w, t := args.in[0], args.in[ir.Weights], args.out[0]
	v, wf := x.Float64s(), w.Float64s()
	in, out, kernel := x.Shape[2:], t.Shape[2:], w.Shape[2:]
	ins, outs, ks := in.Len(), out.Len(), kernel.Len()
	m, mg := t.Shape[1], w.Shape[1]
	cg := x.Shape[1] / c.Groups
	y := make([]float64, t.Shape.Len())
	r, last, width := len(in), len(in)-1, in[len(in)-1]
	if ins == 0 {
		ks = 0 // every output is the bias
	}
	parallel(t.Shape[0]*m, func(i int) {
		n, o := i/m, i%m
		g := o / mg
		at, kt := make([]int, last), make([]int, r)
		dst := y[i*outs : (i+1)*outs]
		sums := make([]float64, width)
		for k := range ks {
			coordinates(k, kernel, kt)
			// Column x of the input adds to column first+x·stride of the output.
			first, stride := kt[last]*c.Dilations[last]-c.Pads[last], c.Strides[last]
			lo, hi := 0, width
			for lo < hi && first+lo*stride < 0 {
				lo++
			}
			for hi > lo && first+(hi-1)*stride >= out[last] {
				hi--
			}
			for row := range ins / width {
				coordinates(row, in[:last], at)
				to, inside := 0, hi > lo
				for a := range last {
					p := at[a]*c.Strides[a] + kt[a]*c.Dilations[a] - c.Pads[a]
					inside = inside && p >= 0 && p < out[a]
					to = to*out[a] + p
				}
				if !inside {
					continue
				}
				d := dst[to*out[last]:][:out[last]]
				for j := lo; j < hi; j++ {
					sums[j] = d[first+j*stride]
				}
				// Four channels share each access to the sums.
				source := func(ch int) []float64 { return v[(n*x.Shape[1]+ch)*ins+row*width:][lo:hi] }
				weight := func(ch int) float64 { return wf[(ch*mg+o-g*mg)*ks+k] }
				ch, end := g*cg, (g+1)*cg
				for ; ch+4 <= end; ch += 4 {
					s0, s1, s2, s3 := source(ch), source(ch+1), source(ch+2), source(ch+3)
					w0, w1, w2, w3 := weight(ch), weight(ch+1), weight(ch+2), weight(ch+3)
					sums := sums[lo:hi]
					s0, s1, s2, s3 = s0[:len(sums)], s1[:len(sums)], s2[:len(sums)], s3[:len(sums)]
					for j, s := range sums {
						sums[j] = s + s0[j]*w0 + s1[j]*w1 + s2[j]*w2 + s3[j]*w3
					}
				}
				for ; ch < end; ch++ {
					s, w := source(ch), weight(ch)
					for j := range s {
						sums[lo+j] += s[j] * w
					}
				}
				for j := lo; j < hi; j++ {
					d[first+j*stride] = sums[j]
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
	var idx []int64
	if p.Indices {
		idx = make([]int64, t.Shape.Len())
	}
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
				if idx != nil {
					idx[o] = int64(i*ins + flatIndex(bestAt, in, p.ColMajor))
				}
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
