package eval

import (
	"fmt"
	"math"

	"modelc/ir"
)

func init() {
	define(quantize)
	define(dequantize)
	define(dynamicQuantize)
	define(lookup)
	define(qBinary)
	define(qAveragePool)
}

// saturate returns round(v) + zero between lo and hi, rounded half to even. NaN becomes lo.
func saturate(v float64, zero, lo, hi int) int64 {
	v = math.RoundToEven(v) + float64(zero)
	if !(v >= float64(lo)) {
		return int64(lo)
	}
	return int64(min(v, float64(hi)))
}

// requantise returns an integer sum as an 8-bit integer, see [ir.Integer].
func requantise(q ir.Integer, sum int64, multiplier float32) int64 {
	return saturate(float64(float32(sum)*multiplier), q.YZero, q.Lo, q.Hi)
}

func quantize(q ir.Quantize, c call) ([]*ir.Tensor, error) {
	lo, hi := q.To.Range()
	out := ir.NewTensor(c.out[0])
	wide := c.in[0].DType == ir.Float64
	x, set := reader(c.in[0]), writer(out)
	scale, zero := factor(c.in[ir.QuantizeScale], 1), factor(c.arg(ir.QuantizeZero), 0)
	walk(out.Shape, func(i int, at []int) {
		ratio := x(i) / scale(at)
		if !wide {
			ratio = float64(float32(ratio))
		}
		set(i, float64(saturate(ratio, int(zero(at)), lo, hi)))
	})
	return one(out)
}

func dequantize(_ ir.Dequantize, c call) ([]*ir.Tensor, error) {
	out := ir.NewTensor(c.out[0])
	x, set := reader(c.in[0]), writer(out)
	scale, zero := factor(c.in[ir.QuantizeScale], 1), factor(c.arg(ir.QuantizeZero), 0)
	walk(out.Shape, func(i int, at []int) {
		d := x(i) - zero(at)
		if out.DType != ir.Float64 {
			d = float64(float32(d))
		}
		set(i, d*scale(at))
	})
	return one(out)
}

func dynamicQuantize(_ ir.DynamicQuantize, c call) ([]*ir.Tensor, error) {
	x := c.in[0].Float32s()
	lo, hi := float32(0), float32(0)
	for _, e := range x {
		lo, hi = min(lo, e), max(hi, e)
	}
	scale := (hi - lo) / 255
	if hi == lo {
		scale = 1
	}
	zero := saturate(float64((0-lo)/scale), 0, 0, 255)
	v := make([]int64, len(x))
	for i, e := range x {
		v[i] = saturate(float64(e/scale), int(zero), 0, 255)
	}
	return []*ir.Tensor{fromInts(c.out[0], v), ir.TensorOf(ir.Shape{}, scale), ir.TensorOf(ir.Shape{}, uint8(zero))}, nil
}

func lookup(_ ir.Lookup, c call) ([]*ir.Tensor, error) {
	x, table := c.in[0], c.in[ir.LookupTable].Float64s()
	lowest, _ := x.DType.Range()
	v := make([]float64, x.Shape.Len())
	for i, e := range x.Int64s() {
		v[i] = table[int(e)-lowest]
	}
	return c.floats(v)
}

func qBinary(q ir.QBinary, c call) ([]*ir.Tensor, error) {
	a, b := float32(q.AScale), float32(q.BScale)
	return c.broadcast2(c.in[0], c.in[1], func(x, y float64) float64 {
		x, y = x-float64(q.AZero), y-float64(q.BZero)
		var v float32
		if q.Fn == ir.Mul {
			v = float32(x*y) * a
		} else {
			v = float32(float32(x)*a) + float32(float32(y)*b) // the conversions prevent a fused multiply-add
		}
		return float64(saturate(float64(v), q.YZero, q.Lo, q.Hi))
	})
}

func qAveragePool(q ir.QAveragePool, c call) ([]*ir.Tensor, error) {
	x, t := c.in[0], c.out[0]
	v := centred(x, nil, q.XZero)
	in, out := x.Shape[2:], t.Shape[2:]
	ins, outs, r := in.Len(), out.Len(), len(in)
	lo, hi := q.To.Range()
	y := make([]int64, t.Shape.Len())
	parallel(x.Shape[0]*x.Shape[1], func(i int) {
		at, kt := make([]int, r), make([]int, r)
		for pos := range outs {
			coordinates(pos, out, at)
			sum, n := int64(0), 0
			for k := range ir.Shape(q.Kernel).Len() {
				coordinates(k, q.Kernel, kt)
				from, inside, counts := 0, true, true
				for a := range r {
					p := at[a]*q.Strides[a] - q.Pads[a] + kt[a]*q.Dilations[a]
					inside = inside && p >= 0 && p < in[a]
					counts = counts && p < in[a]+q.Pads[r+a]
					from = from*in[a] + p
				}
				if inside {
					sum += v[i*ins+from]
				}
				if inside || counts && q.CountPad {
					n++
				}
			}
			by := float32(q.XScale) / (float32(q.YScale) * float32(n))
			y[i*outs+pos] = saturate(float64(float32(sum)*by), q.YZero, lo, hi)
		}
	})
	return one(fromInts(t, y))
}

// multiplierOf returns the multiplier of channel m of an operand that is a scalar or has
// an element for each channel.
func multiplierOf(t *ir.Tensor, m int) float32 {
	if t == nil {
		return 1
	}
	v := t.Float32s()
	if len(v) == 1 {
		return v[0]
	}
	return v[m]
}

// sums converts integer sums to the result of a node. sum holds them for result [N,M,…].
func (c call) sums(q ir.Integer, epilogue ir.Act, sum []int64, bias, multiplier *ir.Tensor) ([]*ir.Tensor, error) {
	t := c.out[0]
	m, inner := t.Shape[1], t.Shape[2:].Len()
	floats := q.To == ir.Float32
	var b []float64
	if bias != nil {
		b = bias.Float64s()
	}
	y := make([]float64, len(sum))
	for i, s := range sum {
		o := i / inner % m
		if b != nil && !floats {
			s += int64(b[o])
		}
		switch by := multiplierOf(multiplier, o); {
		case q.Requantises():
			y[i] = float64(requantise(q, s, by))
		case floats:
			v := float32(float32(s) * by) // the conversion prevents a fused multiply-add
			if b != nil {
				v += float32(b[o])
			}
			y[i] = epilogue.Eval(float64(v))
		default:
			if s != int64(int32(s)) {
				return nil, fmt.Errorf("a sum of %d does not fit 32 bits", s)
			}
			y[i] = float64(s)
		}
	}
	return c.floats(y)
}

// centred returns x − zero, where zero is that of the operand if it is present.
func centred(x, zero *ir.Tensor, or int) []int64 {
	if zero != nil {
		or = int(zero.Int64s()[0])
	}
	v := x.Int64s()
	for i := range v {
		v[i] -= int64(or)
	}
	return v
}

func convOfIntegers(c ir.Conv, a call) ([]*ir.Tensor, error) {
	x, w, t := a.in[0], a.in[ir.Weights], a.out[0]
	v, wi := centred(x, a.arg(ir.ConvXZero), c.Integer.XZero), w.Int64s()
	in, out, kernel := x.Shape[2:], t.Shape[2:], w.Shape[2:]
	ins, outs, ks := in.Len(), out.Len(), kernel.Len()
	m, cg := w.Shape[0], w.Shape[1]
	mg := m / c.Groups
	width := out[len(out)-1]
	stride := c.Strides[len(c.Strides)-1]
	sum := make([]int64, t.Shape.Len())
	rowTaps := make([][]tap, outs/width)
	for r := range rowTaps {
		at := make([]int, len(out)-1)
		coordinates(r, out[:len(out)-1], at)
		rowTaps[r] = taps(in, out, kernel, c.Strides, c.Pads, c.Dilations, at)
	}
	parallel(t.Shape[0]*m, func(i int) {
		n, o := i/m, i%m
		g := o / mg
		for r, list := range rowTaps {
			acc := sum[i*outs+r*width:][:width]
			for ch := range cg {
				plane := v[(n*x.Shape[1]+g*cg+ch)*ins:][:ins]
				for _, tp := range list {
					src, k := plane[tp.row+tp.first:], wi[(o*cg+ch)*ks+tp.weight]
					to := acc[tp.lo:tp.hi]
					for j := range to {
						to[j] += src[j*stride] * k
					}
				}
			}
		}
	})
	r := a.arg(ir.ConvResidual)
	if r == nil {
		return a.sums(c.Integer, c.Epilogue, sum, a.arg(ir.Bias), a.arg(ir.ConvMultiplier))
	}
	own := call{out: []ir.Type{{DType: c.Integer.To, Shape: t.Shape}}}
	y, err := own.sums(c.Integer, c.Epilogue, sum, a.arg(ir.Bias), a.arg(ir.ConvMultiplier))
	if err != nil {
		return nil, err
	}
	return qBinary(c.Sum, call{in: []*ir.Tensor{y[0], r}, out: a.out})
}

func denseOfIntegers(d ir.Dense, a call) ([]*ir.Tensor, error) {
	x, w := a.in[0], a.in[ir.Weights].Int64s()
	v := centred(x, a.arg(ir.DenseXZero), d.Integer.XZero)
	k, m := d.KM(a.in[ir.Weights].Shape)
	byK, byM := m, 1
	if d.TransW {
		byK, byM = 1, k
	}
	sum := make([]int64, x.Shape[0]*m)
	parallel(len(sum), func(i int) {
		row, o := v[i/m*k:][:k], i%m
		for j, e := range row {
			sum[i] += e * w[j*byK+o*byM]
		}
	})
	return a.sums(d.Integer, d.Epilogue, sum, a.arg(ir.Bias), a.arg(ir.DenseMultiplier))
}
