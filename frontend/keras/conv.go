package keras

import (
	"slices"
	"strings"

	"modelc/ir"
)

var _ = register(nsLayer, "convolution", map[string]func(*call) *ir.Value{
	"Conv1D":                 func(c *call) *ir.Value { return c.conv(1) },
	"Conv2D":                 func(c *call) *ir.Value { return c.conv(2) },
	"Convolution1D":          func(c *call) *ir.Value { return c.conv(1) },
	"Convolution2D":          func(c *call) *ir.Value { return c.conv(2) },
	"DepthwiseConv1D":        func(c *call) *ir.Value { return c.depthwise(1) },
	"DepthwiseConv2D":        func(c *call) *ir.Value { return c.depthwise(2) },
	"SeparableConv1D":        func(c *call) *ir.Value { return c.separable(1) },
	"SeparableConv2D":        func(c *call) *ir.Value { return c.separable(2) },
	"Conv1DTranspose":        func(c *call) *ir.Value { return c.convTranspose(1) },
	"Conv2DTranspose":        func(c *call) *ir.Value { return c.convTranspose(2) },
	"Deconvolution2D":        func(c *call) *ir.Value { return c.convTranspose(2) },
	"Convolution1DTranspose": func(c *call) *ir.Value { return c.convTranspose(1) },
	"Convolution2DTranspose": func(c *call) *ir.Value { return c.convTranspose(2) },
	"SeparableConvolution1D": func(c *call) *ir.Value { return c.separable(1) },
	"SeparableConvolution2D": func(c *call) *ir.Value { return c.separable(2) },
})

// window holds the attributes that all convolutions have.
type window struct {
	kernel, strides, dilations []int
	padding                    string
}

// window reads the window of a convolution. As Keras does, it refuses strides
// together with dilations. Keras 3 allows them in depthwise convolutions.
func (c *call) window(n int, depthwise bool) window {
	w := window{kernel: c.tuple("kernel_size", n, 1), strides: c.tuple("strides", n, 1), dilations: c.tuple("dilation_rate", n, 1), padding: c.padding()}
	if w.padding == "causal" && n != 1 {
		c.failf("padding causal in %d dimensions", n)
	}
	if slices.Max(w.strides) > 1 && slices.Max(w.dilations) > 1 && !(depthwise && c.im.major >= 3) {
		c.failf("strides %v together with dilation_rate %v, which Keras does not support", w.strides, w.dilations)
	}
	return w
}

// padding returns the name of the padding in lower case, as Keras does.
func (c *call) padding() string { return strings.ToLower(c.str("padding", "valid")) }

// span returns the number of elements that a window covers along an axis.
func (w window) span(axis int) int64 { return int64(w.kernel[axis]-1)*int64(w.dilations[axis]) + 1 }

// pads returns the explicit padding for input extents in.
func (w window) pads(c *call, in ir.Shape) []int {
	n := len(in)
	pads := make([]int, 2*n)
	for i, d := range in {
		switch span := w.span(i); w.padding {
		case "valid":
		case "causal":
			pads[i] = c.legal("pads", span-1)
		case "same":
			begin, end := samePadding(int64(d), span, int64(w.strides[i]))
			pads[i], pads[n+i] = c.legal("pads", begin), c.legal("pads", end)
		default:
			c.failf("padding %q", w.padding)
		}
	}
	return pads
}

// samePadding returns the numbers of zeros before and after n elements for which
// a window of the given span has ⌈n/stride⌉ results. As in TensorFlow, an odd
// zero is added at the end.
func samePadding(n, span, stride int64) (begin, end int64) {
	total := max(((n+stride-1)/stride-1)*stride+span-n, 0)
	return total / 2, total - total/2
}

// kernelLayout returns the permutation from a kernel [D…,a,b] to [b,a,D…].
func kernelLayout(n int) []int {
	perm := []int{n + 1, n}
	for i := range n {
		perm = append(perm, i)
	}
	return perm
}

// conv builds Conv1D and Conv2D. The kernel is [D…, C/groups, M].
func (c *call) conv(n int) *ir.Value {
	x, w := c.image(n), c.window(n, false)
	filters, groups := c.int("filters", 0), c.int("groups", 1)
	channels := x.Type.Shape[c.channelAxis(x)]
	if filters < 1 || groups < 1 || channels%groups != 0 {
		c.failf("%d filters in %d groups over %d channels", filters, groups, channels)
	}
	kernel := c.param("kernel", append(slices.Clone(w.kernel), channels/groups, filters), func(t *ir.Tensor) *ir.Tensor {
		return permuted(t, kernelLayout(n)...)
	})
	bias := c.bias(filters)
	y := c.planar(x, func(x *ir.Value) *ir.Value {
		return c.emit(ir.Conv{Strides: w.strides, Pads: w.pads(c, x.Type.Shape[2:]), Dilations: w.dilations, Groups: groups}, x, kernel, bias)
	})
	return c.activation(y)
}

// bias returns the layer's bias, or nil if there is none.
func (c *call) bias(n int) *ir.Value {
	if !c.flag("use_bias", true) {
		return nil
	}
	return c.param("bias", ir.Shape{n}, nil)
}

// convolve applies a depthwise, separable or transposed convolution to an image with
// channels first.
//
// Keras 3 on TensorFlow adds the bias of these layers with keras.ops.add, which adds
// n elements along the last axis of the result if this axis has n elements, even if
// the channels come first (see call.biasAxis). Training, predict and exported models
// do the same, so convolve does too. predict and exported models add the bias of
// Conv1D and Conv2D along the channels, because XLA computes them and keras.ops.add
// does not see the extents of the result.
func (c *call) convolve(op ir.Op, x, kernel, bias *ir.Value) *ir.Value {
	y := c.emit(op, x, kernel, bias)
	width := y.Type.Shape[y.Type.Rank()-1]
	if bias == nil || !c.firstFormat() || c.im.major < 3 || width != bias.Type.Shape[0] {
		return y
	}
	c.im.note("layer %q has channels first, and its result has as many channels as columns (%d): its bias is added along the width, as in Keras", c.name, width)
	return c.binary(ir.Add, c.emit(op, x, kernel), bias)
}

// depthwiseKernel converts a kernel [D…, C, multiplier] to
// [C·multiplier, 1, D…]. The filters of a channel are adjacent.
func (c *call) depthwiseKernel(name string, w window, channels int) (kernel *ir.Value, filters int) {
	n, multiplier := len(w.kernel), c.legal("depth_multiplier", int64(c.int("depth_multiplier", 1)))
	filters = c.extent(int64(channels) * int64(multiplier))
	kernel = c.param(name, append(slices.Clone(w.kernel), channels, multiplier), func(t *ir.Tensor) *ir.Tensor {
		perm := append([]int{n, n + 1}, kernelLayout(n)[2:]...)
		shape := append(ir.Shape{filters, 1}, w.kernel...)
		return permuted(t, perm...).Reshaped(shape)
	})
	return kernel, filters
}

func (c *call) depthwise(n int) *ir.Value {
	x, w := c.image(n), c.window(n, true)
	channels := x.Type.Shape[c.channelAxis(x)]
	kernel, filters := c.depthwiseKernel("depthwise_kernel", w, channels)
	bias := c.bias(filters)
	y := c.planar(x, func(x *ir.Value) *ir.Value {
		return c.convolve(ir.Conv{Strides: w.strides, Pads: w.pads(c, x.Type.Shape[2:]), Dilations: w.dilations, Groups: channels}, x, kernel, bias)
	})
	return c.activation(y)
}

// separable builds a depthwise convolution followed by a pointwise one.
func (c *call) separable(n int) *ir.Value {
	x, w := c.image(n), c.window(n, true)
	channels := x.Type.Shape[c.channelAxis(x)]
	depthwise, inner := c.depthwiseKernel("depthwise_kernel", w, channels)
	filters := c.int("filters", 0)
	ones := slices.Repeat([]int{1}, n)
	pointwise := c.param("pointwise_kernel", append(slices.Clone(ones), inner, filters), func(t *ir.Tensor) *ir.Tensor {
		return permuted(t, kernelLayout(n)...)
	})
	bias := c.bias(filters)
	y := c.planar(x, func(x *ir.Value) *ir.Value {
		y := c.emit(ir.Conv{Strides: w.strides, Pads: w.pads(c, x.Type.Shape[2:]), Dilations: w.dilations, Groups: channels}, x, depthwise)
		return c.convolve(ir.Conv{Strides: ones, Pads: make([]int, 2*n), Dilations: ones, Groups: 1}, y, pointwise, bias)
	})
	return c.activation(y)
}

// convTranspose builds Conv1DTranspose and Conv2DTranspose. The kernel is
// [D…, M, C].
func (c *call) convTranspose(n int) *ir.Value {
	x, w := c.image(n), c.window(n, false)
	filters := c.int("filters", 0)
	channels := x.Type.Shape[c.channelAxis(x)]
	kernel := c.param("kernel", append(slices.Clone(w.kernel), filters, channels), func(t *ir.Tensor) *ir.Tensor {
		return permuted(t, kernelLayout(n)...)
	})
	bias := c.bias(filters)
	op := ir.ConvTranspose{Strides: w.strides, Pads: make([]int, 2*n), Dilations: w.dilations, OutputPads: make([]int, n), Groups: 1}
	extra := []int(nil)
	if c.config.get("output_padding") != nil {
		extra = c.nonNegative("output_padding", n)
	}
	for i := range n {
		in, stride, span := int64(x.Type.Shape[c.spatial()+i]), int64(w.strides[i]), w.span(i)
		full := (in-1)*stride + span
		length, more := int64(0), int64(0)
		if extra != nil {
			more = int64(extra[i])
		}
		if more >= stride && extra != nil {
			c.failf("output_padding %v with strides %v, which Keras does not support", extra, w.strides)
		}
		switch {
		case w.padding == "valid" && extra == nil:
			length = (in-1)*stride + max(span, stride)
		case w.padding == "valid":
			length = full + more
		case w.padding == "same" && extra == nil:
			length = in * stride
		case w.padding == "same":
			length = (in-1)*stride + span%2 + more
		default:
			c.failf("padding %q", w.padding)
		}
		// The layer computes the gradient of a convolution that maps the layer's
		// output to its input. The padding of this convolution is cropped.
		if crop := full - length; crop >= 0 && w.padding == "same" {
			op.Pads[i], op.Pads[n+i] = c.legal("pads", crop/2), c.legal("pads", crop-crop/2)
		} else {
			op.OutputPads[i] = c.legal("output_padding", -crop)
		}
	}
	y := c.planar(x, func(x *ir.Value) *ir.Value { return c.convolve(op, x, kernel, bias) })
	return c.activation(y)
}

// nonNegative returns n non-negative integers. The field is a list of n numbers
// or one number for all.
func (c *call) nonNegative(key string, n int) []int {
	list, ok := integers(c.config.get(key))
	if x, single := integer(c.config.get(key)); single {
		list, ok = slices.Repeat([]int{x}, n), true
	}
	if !ok || len(list) != n {
		c.failf("%s is %.60v, not %d whole numbers", key, c.config.get(key), n)
	}
	for _, x := range list {
		c.legal(key, int64(x))
	}
	return list
}
