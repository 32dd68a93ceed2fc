package onnx

import (
	"slices"

	"modelc/ir"
)

var convolutionOps = []operator{
	{name: "Conv", operands: 2, most: []most{{1, 3}}, becomes: "Conv", build: conv},
	{name: "ConvTranspose", operands: 2, most: []most{{1, 3}}, becomes: "ConvTranspose", build: convTranspose},
	{name: "com.microsoft.FusedConv", operands: 2, most: []most{{1, 4}}, becomes: "Conv, Binary Add, Unary", build: fusedConv},
}

// window holds the geometry of a convolution or pool.
type window struct {
	kernel, strides, dilations []int
	pads                       []int
}

// span returns the number of elements that a window covers along a spatial axis.
func (w window) span(axis int) int64 { return int64(w.kernel[axis]-1)*int64(w.dilations[axis]) + 1 }

// window reads kernel_shape (if kernel is nil), strides, dilations and pads for the
// spatial extents of x, and evaluates auto_pad.
func (n *node) window(x ir.Shape, kernel []int) window {
	if len(x) < 3 {
		n.failf("x has %d axes, want [N,C,D…]", len(x))
	}
	sp := x[2:]
	r := len(sp)
	w := window{kernel: kernel, strides: n.ints("strides"), dilations: n.ints("dilations"), pads: n.ints("pads")}
	if k := n.ints("kernel_shape"); k != nil {
		if kernel != nil && !slices.Equal(k, kernel) {
			n.failf("kernel_shape is %v, but the weights have %v", k, kernel)
		}
		w.kernel = k
	}
	if w.kernel == nil {
		n.failf("kernel_shape is missing")
	}
	if w.strides == nil {
		w.strides = repeat(1, r)
	}
	if w.dilations == nil {
		w.dilations = repeat(1, r)
	}
	if len(w.kernel) != r || len(w.strides) != r || len(w.dilations) != r || w.pads != nil && len(w.pads) != 2*r {
		n.failf("%d spatial axes, but kernel %v, strides %v, dilations %v, pads %v", r, w.kernel, w.strides, w.dilations, w.pads)
	}
	for i := range r {
		if w.kernel[i] < 1 || w.strides[i] < 1 || w.dilations[i] < 1 {
			n.failf("kernel %v, strides %v and dilations %v must be positive", w.kernel, w.strides, w.dilations)
		}
	}
	switch auto := n.str("auto_pad", "NOTSET"); auto {
	case "NOTSET", "":
		if w.pads == nil {
			w.pads = repeat(0, 2*r)
		}
	case "VALID":
		w.pads = repeat(0, 2*r)
	case "SAME_UPPER", "SAME_LOWER":
		w.pads = make([]int, 2*r)
		for i := range r {
			in, stride := int64(sp[i]), int64(w.strides[i])
			out := (in + stride - 1) / stride
			total := max(0, (out-1)*stride+w.span(i)-in)
			// An odd element is added at the end or at the beginning.
			w.pads[i], w.pads[r+i] = n.legal("pads", total/2), n.legal("pads", total-total/2)
			if auto == "SAME_LOWER" {
				w.pads[i], w.pads[r+i] = w.pads[r+i], w.pads[i]
			}
		}
	default:
		n.failf("auto_pad %q", auto)
	}
	return w
}

func (n *node) checkWeights(x, w *ir.Value) {
	if w.Type.Rank() != x.Type.Rank() || x.Type.Rank() < 3 {
		n.failf("weights %s do not fit x %s", w.Type, x.Type)
	}
}

func conv(n *node) []*ir.Value {
	return []*ir.Value{n.convolve(n.in[0], n.in[1], n.arg(2))}
}

// convolve returns the convolution that the attributes describe.
func (n *node) convolve(x, w, bias *ir.Value) *ir.Value {
	n.checkWeights(x, w)
	g := n.window(x.Type.Shape, w.Type.Shape[2:])
	return n.emit(ir.Conv{Strides: g.strides, Pads: g.pads, Dilations: g.dilations, Groups: n.int("group", 1)}, x, w, bias)
}

// fusedConv imports a convolution with the sum and the activation that ONNX Runtime fused into
// it.
func fusedConv(n *node) []*ir.Value {
	v := conv(n)[0]
	if z := n.arg(3); z != nil {
		v = n.binary(ir.Add, v, z)
	}
	op := n.str("activation", "")
	if op == "" {
		return []*ir.Value{v}
	}
	names := map[string][]string{"LeakyRelu": {"alpha"}, "HardSigmoid": {"alpha", "beta"}, "Clip": {"min", "max"}}[op]
	params := map[string]float64{}
	if a := n.attr("activation_params"); a != nil {
		for i, x := range a.floats {
			if i < len(names) {
				params[names[i]] = float64(x)
			}
		}
	}
	return []*ir.Value{n.fused(v, op, params)}
}

func convTranspose(n *node) []*ir.Value {
	x, w := n.in[0], n.in[1]
	n.checkWeights(x, w)
	in, kernel := x.Type.Shape[2:], w.Type.Shape[2:]
	r := len(in)
	c := ir.ConvTranspose{Strides: n.ints("strides"), Dilations: n.ints("dilations"), Pads: n.ints("pads"), OutputPads: n.ints("output_padding"), Groups: n.int("group", 1)}
	if c.Strides == nil {
		c.Strides = repeat(1, r)
	}
	if c.Dilations == nil {
		c.Dilations = repeat(1, r)
	}
	if c.OutputPads == nil {
		c.OutputPads = repeat(0, r)
	}
	if len(c.Strides) != r || len(c.Dilations) != r || len(c.OutputPads) != r || c.Pads != nil && len(c.Pads) != 2*r {
		n.failf("%d spatial axes, but strides %v, dilations %v, output_padding %v, pads %v", r, c.Strides, c.Dilations, c.OutputPads, c.Pads)
	}
	auto := n.str("auto_pad", "NOTSET")
	want := n.ints("output_shape")
	if len(want) == r+2 {
		want = want[2:]
	}
	if want == nil && (auto == "SAME_UPPER" || auto == "SAME_LOWER") {
		for i := range r {
			want = append(want, n.legal("output_shape", int64(in[i])*int64(c.Strides[i])))
		}
	}
	switch {
	case want != nil && len(want) != r:
		n.failf("output_shape %v for %d spatial axes", want, r)
	case want != nil:
		c.Pads = make([]int, 2*r)
		for i := range r {
			w := window{kernel: kernel, dilations: c.Dilations}
			full := int64(in[i]-1)*int64(c.Strides[i]) + w.span(i) + int64(c.OutputPads[i])
			total := full - int64(want[i])
			if total < 0 {
				// output_shape is larger than the product: add zeros at the end.
				c.OutputPads[i] = n.legal("output_padding", int64(c.OutputPads[i])-total)
				total = 0
			}
			less, more := n.legal("pads", total/2), n.legal("pads", total-total/2)
			c.Pads[i], c.Pads[r+i] = more, less
			if auto == "SAME_UPPER" {
				c.Pads[i], c.Pads[r+i] = less, more
			}
		}
	case c.Pads == nil || auto == "VALID":
		c.Pads = repeat(0, 2*r)
	}
	return n.one(c, x, w, n.arg(2))
}
