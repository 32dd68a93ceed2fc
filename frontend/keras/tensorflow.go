package keras

import (
	"math"
	"slices"

	"modelc/ir"
)

// TensorFlow operators without an equal in keras.ops. Models of Keras 2, above all
// object detectors, contain them. The parameters have the names of TensorFlow's
// documentation. Images have channels last.

var _ = register(nsTF, "arithmetic", builders{
	"math.squared_difference": func(c *call) *ir.Value {
		a, b := c.pair()
		d := c.binary(ir.Sub, a, b)
		return c.binary(ir.Mul, d, d)
	},
	"math.divide_no_nan": func(c *call) *ir.Value {
		a, b := c.pair()
		zero := c.scalar(0, b.Type.DType)
		return c.emit(ir.Where{}, c.binary(ir.Equal, b, zero), zero, c.binary(ir.Div, a, b))
	},
	"math.multiply_no_nan": func(c *call) *ir.Value {
		a, b := c.pair()
		zero := c.scalar(0, b.Type.DType)
		return c.emit(ir.Where{}, c.binary(ir.Equal, b, zero), zero, c.binary(ir.Mul, a, b))
	},
	"math.add_n": func(c *call) *ir.Value {
		var sum *ir.Value
		mapValues(c.arg(0, "inputs"), func(v *ir.Value) {
			if sum == nil {
				sum = v
			} else {
				sum = c.binary(ir.Add, sum, v)
			}
		})
		if sum == nil {
			c.failf("it is called without tensors")
		}
		return sum
	},
	"math.cumsum": cumsum,
	"nn.bias_add": func(c *call) *ir.Value {
		x := c.tensor0()
		bias := c.operand(x.Type.DType, 1, "bias")
		if x.Type.Rank() < 2 || bias.Type.Rank() != 1 {
			c.failf("a bias of shape %s", bias.Type.Shape)
		}
		wide := slices.Repeat(ir.Shape{1}, x.Type.Rank())
		wide[c.tfChannels(x)] = bias.Type.Shape[0]
		return c.binary(ir.Add, x, c.reshape(bias, wide))
	},
	"tensordot": func(c *call) *ir.Value {
		a, b := c.pair()
		if n, ok := integer(c.arg(2, "axes")); !ok || n != 1 || b.Type.Rank() != 2 {
			c.failf("axes %.60v of %s", c.arg(2, "axes"), b.Type.Shape)
		}
		return c.emit(ir.MatMul{}, a, b)
	},
})

// cumsum multiplies by a triangular matrix.
func cumsum(c *call) *ir.Value {
	x := c.floats()
	axis := c.axis(c.whole(0, 1, "axis"), x.Type.Rank())
	n, last := x.Type.Shape[axis], x.Type.Rank()-1
	if n > maxSorted {
		c.failf("sums of %d elements, at most %d are supported", n, maxSorted)
	}
	exclusive, _ := c.arg(2, "exclusive").(bool)
	reverse, _ := c.arg(3, "reverse").(bool)
	c.afford(n * n)
	upto := make([]float64, n*n)
	for from := range n {
		for to := range n {
			if from < to && !reverse || from > to && reverse || from == to && !exclusive {
				upto[from*n+to] = 1
			}
		}
	}
	swap := identity(last + 1)
	swap[axis], swap[last] = last, axis
	m := c.im.g.AddConst(c.name+"/const", ir.FromFloat64s(ir.T(x.Type.DType, n, n), upto))
	return c.transpose(c.emit(ir.MatMul{}, c.transpose(x, swap), m), swap)
}

var _ = register(nsTF, "elementwise function", builders{
	"zeros_like": func(c *call) *ir.Value { return c.like(c.tensor0(), 0) },
	"ones_like":  func(c *call) *ir.Value { return c.like(c.tensor0(), 1) },
	"nn.crelu": func(c *call) *ir.Value {
		x := c.floats()
		relu := ir.Act{Fn: ir.Relu}
		return c.concat([]*ir.Value{c.unary(relu, x), c.unary(relu, c.unary(ir.Act{Fn: ir.Neg}, x))}, c.whole(-1, 2, "axis"))
	},
	"nn.local_response_normalization": func(c *call) *ir.Value {
		x := c.floats()
		if x.Type.Rank() != 4 {
			c.failf("its input has %d axes, want 4", x.Type.Rank())
		}
		size := c.legal("size", 2*int64(c.whole(5, 1, "depth_radius"))+1) // the average of ONNX becomes a sum
		op := ir.LRN{Size: size, Alpha: c.optional(1, 3, "alpha") * float64(size), Beta: c.optional(0.5, 4, "beta"), Bias: c.optional(1, 2, "bias")}
		return c.channelsFirst(x, func(x *ir.Value) *ir.Value { return c.emit(op, x) })
	},
})

// like returns a tensor with the type of x and equal elements.
func (c *call) like(x *ir.Value, value float64) *ir.Value {
	d := x.Type.DType
	if name := c.arg(-1, "dtype"); name != nil {
		var err error
		if d, _, err = parseDType(name); err != nil {
			c.failf("%v", err)
		}
	}
	return c.emit(ir.Expand{Shape: x.Type.Shape}, c.scalar(value, d))
}

// channelsFirst applies an op on [N,C,H,W] to an image with channels last.
func (c *call) channelsFirst(x *ir.Value, op func(*ir.Value) *ir.Value) *ir.Value {
	r := x.Type.Rank()
	return c.transpose(op(c.transpose(x, ir.ChannelsFirst(r))), ir.ChannelsLast(r))
}

// tfChannels returns the axis of the channels of x.
func (c *call) tfChannels(x *ir.Value) int {
	switch f := text(c.arg(-1, "data_format")); f {
	case "", "NHWC", "N...C", "NWC":
		return x.Type.Rank() - 1
	case "NCHW", "NC...", "NCW":
		return 1
	default:
		c.failf("data_format %q", f)
		return 0
	}
}

var _ = register(nsTF, "reduction", builders{
	"norm": func(c *call) *ir.Value {
		switch order := c.arg(1, "ord"); order {
		case nil, "euclidean", 2.0:
			return c.reduceNamed(ir.ReduceL2)
		case 1.0:
			return c.reduceNamed(ir.ReduceL1)
		default:
			c.failf("the norm of order %.60v is not supported", order)
			return nil
		}
	},
	"math.reduce_euclidean_norm": func(c *call) *ir.Value { return c.reduce(ir.ReduceL2, c.floats()) },
	"math.count_nonzero": func(c *call) *ir.Value {
		x := c.floats()
		set := c.unary(ir.Act{Fn: ir.Not}, c.binary(ir.Equal, x, c.scalar(0, x.Type.DType)))
		return c.cast(c.reduce(ir.ReduceSum, c.cast(set, ir.Float32)), ir.Int64)
	},
})

// reduceNamed reduces the axes in the keyword arguments.
func (c *call) reduceNamed(f ir.ReduceFn) *ir.Value {
	x := c.floats()
	axes := identity(x.Type.Rank())
	if v := c.arg(-1, "axis"); v != nil {
		axes = c.axes(v, len(axes))
	}
	keep, _ := c.arg(-1, "keepdims", "keep_dims").(bool)
	return c.emit(ir.Reduce{Fn: f, Axes: axes, KeepDims: keep}, x)
}

var _ = registerMany(nsTF, "reduction", map[string]func(*call) []*ir.Value{"math.top_k": topK, "nn.top_k": topK})

// topK returns the largest elements along the last axis and their positions.
func topK(c *call) []*ir.Value {
	x := c.tensor0()
	if x.Type.Rank() == 0 {
		c.failf("its input is a scalar")
	}
	k, last := c.whole(1, 1, "k"), x.Type.Rank()-1
	if k < 0 || k > x.Type.Shape[last] {
		c.failf("the largest %d of %d elements", k, x.Type.Shape[last])
	}
	top, err := c.im.g.Append(c.name, ir.TopK{Axis: last, K: k}, x)
	if err != nil {
		c.failf("%v", err)
	}
	return []*ir.Value{top.Out[0], c.cast(top.Out[1], ir.Int32)}
}

var _ = register(nsTF, "shape", builders{
	"shape": func(c *call) *ir.Value { return c.ints(c.tensor0().Type.Shape...) },
	"size":  func(c *call) *ir.Value { return c.reshape(c.ints(elements(c.tensor0().Type.Shape)), ir.Shape{}) },
	"rank":  func(c *call) *ir.Value { return c.reshape(c.ints(c.tensor0().Type.Rank()), ir.Shape{}) },
	"range": func(c *call) *ir.Value {
		start, limit, delta := c.whole(0, 0, "start"), c.whole(math.MaxInt32, 1, "limit"), c.whole(1, 2, "delta")
		if limit == math.MaxInt32 {
			start, limit = 0, start
		}
		if delta == 0 {
			c.failf("a range with step 0")
		}
		n := max((limit-start+delta-sign(delta))/delta, 0)
		c.afford(n)
		list := make([]int, n)
		for i := range list {
			list[i] = start + i*delta
		}
		return c.ints(list...)
	},
	"fill": func(c *call) *ir.Value {
		return c.emit(ir.Expand{Shape: c.list(0, "dims")}, c.operand(ir.Float32, 1, "value"))
	},
	"ensure_shape": (*call).tensor0,
	"keras.backend.batch_flatten": func(c *call) *ir.Value {
		x := c.tensor0()
		if x.Type.Rank() == 0 {
			c.failf("its input is a scalar")
		}
		return c.reshape(x, ir.Shape{x.Type.Shape[0], elements(x.Type.Shape[1:])})
	},
	"slice": func(c *call) *ir.Value {
		x, begin, size := c.tensor0(), c.list(1, "begin"), c.list(2, "size")
		if len(begin) != x.Type.Rank() || len(size) != len(begin) {
			c.failf("it takes %v elements from %v of %s", size, begin, x.Type.Shape)
		}
		for axis := range begin {
			n := size[axis]
			if n == -1 {
				n = x.Type.Shape[axis] - begin[axis]
			}
			if begin[axis] < 0 || n < 0 || begin[axis]+n > x.Type.Shape[axis] {
				c.failf("it takes %v elements from %v of %s", size, begin, x.Type.Shape)
			}
			x = c.slice(x, axis, begin[axis], n)
		}
		return x
	},
	"strided_slice":     stridedSlice,
	"one_hot":           oneHot,
	"nn.depth_to_space": func(c *call) *ir.Value { return c.blocks(true) },
	"nn.space_to_depth": func(c *call) *ir.Value { return c.blocks(false) },
})

func sign(x int) int {
	if x < 0 {
		return -1
	}
	return 1
}

// ints returns a list of numbers as a constant.
func (c *call) ints(list ...int) *ir.Value {
	v := make([]float64, len(list))
	for i, x := range list {
		v[i] = float64(x)
	}
	return c.im.g.AddConst(c.name+"/const", ir.FromFloat64s(ir.T(ir.Int32, len(list)), v))
}

// stridedSlice converts the bit masks to the slices of [call.index].
func stridedSlice(c *call) *ir.Value {
	x, begin, end := c.tensor0(), c.list(1, "begin"), c.list(2, "end")
	strides := slices.Repeat([]int{1}, len(begin))
	if c.arg(3, "strides") != nil {
		strides = c.list(3, "strides")
	}
	if len(end) != len(begin) || len(strides) != len(begin) {
		c.failf("begin %v, end %v and strides %v", begin, end, strides)
	}
	mask := func(name string, i int) bool { return c.whole(0, -1, name)>>i&1 == 1 }
	var keys []any
	for i := range begin {
		switch {
		case mask("ellipsis_mask", i):
			keys = append(keys, &record{values: map[string]any{"class_name": "__ellipsis__"}})
			continue
		case mask("new_axis_mask", i):
			keys = append(keys, nil)
			continue
		case mask("shrink_axis_mask", i):
			keys = append(keys, float64(begin[i]))
			continue
		}
		r := newRecord()
		r.set("step", float64(strides[i]))
		if !mask("begin_mask", i) {
			r.set("start", float64(begin[i]))
		}
		if !mask("end_mask", i) {
			r.set("stop", float64(end[i]))
		}
		keys = append(keys, r)
	}
	return c.index(x, keys)
}

// oneHot compares indices with all positions along a new last axis.
func oneHot(c *call) *ir.Value {
	x := c.tensor0()
	n := c.legal("depth", int64(c.whole(0, 1, "depth")))
	if axis := c.whole(-1, -1, "axis"); axis != -1 {
		c.failf("axis %d, only the last is supported", axis)
	}
	d := ir.Float32
	if name := c.arg(-1, "dtype"); name != nil {
		var err error
		if d, _, err = parseDType(name); err != nil {
			c.failf("%v", err)
		}
	}
	c.afford(n)
	wide := append(slices.Clone(x.Type.Shape), 1)
	set := c.binary(ir.Equal, c.reshape(c.cast(x, ir.Int32), wide), c.ints(identity(n)...))
	return c.emit(ir.Where{}, set, c.scalar(c.optional(1, 2, "on_value"), d), c.scalar(c.optional(0, 3, "off_value"), d))
}

// blocks moves blocks of pixels from the channels, or to them.
func (c *call) blocks(toSpace bool) *ir.Value {
	x := c.tensor0()
	if x.Type.Rank() != 4 || c.tfChannels(x) != 3 {
		c.failf("its input is %s, want [N,H,W,C]", x.Type.Shape)
	}
	b := c.legal("blocksize", int64(c.whole(2, 1, "block_size")))
	n, h, w, ch := x.Type.Shape[0], x.Type.Shape[1], x.Type.Shape[2], x.Type.Shape[3]
	if toSpace {
		if int64(ch)%(int64(b)*int64(b)) != 0 {
			c.failf("%d channels in blocks of %d×%d", ch, b, b)
		}
		x = c.transpose(c.reshape(x, ir.Shape{n, h, w, b, b, ch / (b * b)}), []int{0, 1, 3, 2, 4, 5})
		return c.reshape(x, ir.Shape{n, h * b, w * b, ch / (b * b)})
	}
	if h%b != 0 || w%b != 0 {
		c.failf("%d×%d pixels in blocks of %d×%d", h, w, b, b)
	}
	x = c.transpose(c.reshape(x, ir.Shape{n, h / b, b, w / b, b, ch}), []int{0, 1, 3, 2, 4, 5})
	return c.reshape(x, ir.Shape{n, h / b, w / b, ch * b * b})
}

var _ = registerMany(nsTF, "shape", map[string]func(*call) []*ir.Value{"unstack": unstack, "meshgrid": meshgrid})

func unstack(c *call) (out []*ir.Value) {
	x := c.tensor0()
	axis := c.axis(c.whole(0, 2, "axis"), x.Type.Rank())
	if n := c.whole(x.Type.Shape[axis], 1, "num"); n != x.Type.Shape[axis] {
		c.failf("%d elements in %d parts", x.Type.Shape[axis], n)
	}
	c.legal("parts", int64(x.Type.Shape[axis]))
	for i := range x.Type.Shape[axis] {
		out = append(out, c.reshape(c.slice(x, axis, i, 1), slices.Delete(slices.Clone(x.Type.Shape), axis, axis+1)))
	}
	return out
}

// meshgrid broadcasts vectors along the axes of a grid. The first two axes are swapped
// unless indexing is "ij".
func meshgrid(c *call) (out []*ir.Value) {
	var list []*ir.Value
	for _, a := range c.in.args {
		mapValues(a, func(v *ir.Value) { list = append(list, v) })
	}
	at := identity(len(list))
	if text(c.arg(-1, "indexing")) != "ij" && len(list) > 1 {
		at[0], at[1] = 1, 0
	}
	grid := make(ir.Shape, len(list))
	for i, v := range list {
		grid[at[i]] = elements(v.Type.Shape)
	}
	for i, v := range list {
		wide := slices.Repeat(ir.Shape{1}, len(list))
		wide[at[i]] = elements(v.Type.Shape)
		out = append(out, c.emit(ir.Expand{Shape: grid}, c.reshape(v, wide)))
	}
	return out
}

var _ = register(nsTF, "pooling", builders{
	"nn.max_pool":   func(c *call) *ir.Value { return c.tfPool(ir.MaxPool) },
	"nn.max_pool2d": func(c *call) *ir.Value { return c.tfPool(ir.MaxPool) },
	"nn.avg_pool":   func(c *call) *ir.Value { return c.tfPool(ir.AvgPool) },
	"nn.avg_pool2d": func(c *call) *ir.Value { return c.tfPool(ir.AvgPool) },
})

var _ = register(nsTF, "convolution", builders{
	"nn.conv2d":           func(c *call) *ir.Value { return c.tfConv(false) },
	"nn.depthwise_conv2d": func(c *call) *ir.Value { return c.tfConv(true) },
})

// tfWindow returns a parameter that is a number, a height and a width, or four numbers.
func (c *call) tfWindow(name string, def int) []int {
	v := c.arg(-1, name)
	list, ok := integers(v)
	if n, single := integer(v); single {
		list, ok = []int{n}, true
	}
	if v == nil {
		list, ok = []int{def}, true
	}
	switch {
	case len(list) == 1:
		list = []int{list[0], list[0]}
	case len(list) == 4 && list[0] == 1 && list[3] == 1:
		list = list[1:3]
	case len(list) != 2:
		ok = false
	}
	if !ok {
		c.failf("%s is %.60v", name, v)
	}
	for _, n := range list {
		c.legal("kernel_size", int64(n))
	}
	return list
}

// tfWindows reads the window of a pool or convolution of an image [N,H,W,C].
func (c *call) tfWindows(x *ir.Value, kernel []int) window {
	if x.Type.Rank() != 4 || c.tfChannels(x) != 3 {
		c.failf("its input is %s, want [N,H,W,C]", x.Type.Shape)
	}
	w := window{kernel: kernel, strides: c.tfWindow("strides", 1), dilations: c.tfWindow("dilations", 1)}
	switch p := text(c.arg(-1, "padding")); p {
	case "SAME", "same":
		w.padding = "same"
	case "VALID", "valid":
		w.padding = "valid"
	default:
		c.failf("padding %.60v", c.arg(-1, "padding"))
	}
	return w
}

func (c *call) tfPool(kind ir.PoolKind) *ir.Value {
	x := c.floats()
	w := c.tfWindows(x, c.tfWindow("ksize", 1))
	return c.channelsFirst(x, func(x *ir.Value) *ir.Value {
		return c.emit(ir.Pool{Kind: kind, Kernel: w.kernel, Strides: w.strides, Pads: w.pads(c, x.Type.Shape[2:]), Dilations: w.dilations}, x)
	})
}

// tfConv convolves with filters that the model contains: [H,W,C,M].
func (c *call) tfConv(depthwise bool) *ir.Value {
	x := c.floats()
	f := c.operand(x.Type.DType, 1, "filters", "filter")
	if f.Const == nil || f.Type.Rank() != 4 {
		c.failf("its filters are not a constant of four axes")
	}
	s := f.Type.Shape
	w := c.tfWindows(x, s[:2])
	op := ir.Conv{Strides: w.strides, Dilations: w.dilations, Groups: 1}
	t := permuted(f.Const, kernelLayout(2)...)
	if depthwise {
		op.Groups = s[2]
		t = permuted(f.Const, 2, 3, 0, 1).Reshaped(ir.Shape{s[2] * s[3], 1, s[0], s[1]})
	}
	if c.arg(-1, "rate") != nil {
		op.Dilations = c.tfWindow("rate", 1)
		w.dilations = op.Dilations
	}
	kernel := c.im.g.AddConst(c.name+"/filters", t)
	return c.channelsFirst(x, func(x *ir.Value) *ir.Value {
		op.Pads = w.pads(c, x.Type.Shape[2:])
		return c.emit(op, x, kernel)
	})
}
