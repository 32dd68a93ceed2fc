package keras

import (
	"strings"

	"modelc/ir"
)

var _ = register(nsLayer, "activation", map[string]func(*call) *ir.Value{
	"Activation": func(c *call) *ir.Value { return c.activation(c.x()) },
	"ReLU": func(c *call) *ir.Value {
		limit, limited := 0.0, c.config.get("max_value") != nil
		if limited {
			limit = c.float("max_value", 0)
		}
		slope, threshold := c.float("negative_slope", 0), c.float("threshold", 0)
		if min(limit, slope, threshold) < 0 {
			c.failf("max_value %v, negative_slope %v or threshold %v is negative, which Keras does not support", limit, slope, threshold)
		}
		return c.relu(c.x(), limited, limit, slope, threshold)
	},
	"LeakyReLU": func(c *call) *ir.Value {
		return c.unary(ir.Act{Fn: ir.LeakyRelu, Alpha: c.float("negative_slope", c.float("alpha", 0.3))}, c.x())
	},
	"PReLU": prelu,
	"ELU":   func(c *call) *ir.Value { return c.unary(ir.Act{Fn: ir.Elu, Alpha: c.float("alpha", 1)}, c.x()) },
	"ThresholdedReLU": func(c *call) *ir.Value {
		return c.unary(ir.Act{Fn: ir.ThresholdedRelu, Alpha: c.float("theta", 1)}, c.x())
	},
	"Softmax": func(c *call) *ir.Value { return c.softmax(c.x(), c.config.get("axis"), false) },
})

// selu holds the constants of Klambauer et al. (2017).
var selu = ir.Act{Fn: ir.Selu, Alpha: 1.6732632423543772, Beta: 1.0507009873554805}

// elementwise lists the activations that are a single function of one
// variable. hard_sigmoid is not included because it depends on the version.
var elementwise = map[string]ir.Act{
	"linear":         {},
	"relu":           {Fn: ir.Relu},
	"relu6":          {Fn: ir.Clip, Alpha: 0, Beta: 6},
	"leaky_relu":     {Fn: ir.LeakyRelu, Alpha: 0.2},
	"elu":            {Fn: ir.Elu, Alpha: 1},
	"celu":           {Fn: ir.Celu, Alpha: 1},
	"selu":           selu,
	"gelu":           {Fn: ir.Gelu},
	"silu":           {Fn: ir.SiLU, Alpha: 1},
	"swish":          {Fn: ir.SiLU, Alpha: 1},
	"mish":           {Fn: ir.Mish},
	"softplus":       {Fn: ir.Softplus},
	"softsign":       {Fn: ir.Softsign},
	"tanh":           {Fn: ir.Tanh},
	"sigmoid":        {Fn: ir.Sigmoid},
	"sparse_sigmoid": {Fn: ir.HardSigmoid, Alpha: 0.5, Beta: 0.5},
	"exponential":    {Fn: ir.Exp},
	"hard_silu":      {Fn: ir.HardSwish},
	"hard_swish":     {Fn: ir.HardSwish},
	"hard_tanh":      {Fn: ir.Clip, Alpha: -1, Beta: 1},
	"hard_shrink":    {Fn: ir.Shrink, Alpha: 0.5, Beta: 0},
	"soft_shrink":    {Fn: ir.Shrink, Alpha: 0.5, Beta: 0.5},
}

// composed lists the activations that need several nodes.
var composed = map[string]func(c *call, x *ir.Value) *ir.Value{
	"softmax":     func(c *call, x *ir.Value) *ir.Value { return c.softmax(x, nil, false) },
	"log_softmax": func(c *call, x *ir.Value) *ir.Value { return c.softmax(x, nil, true) },
	"log_sigmoid": func(c *call, x *ir.Value) *ir.Value {
		neg := ir.Act{Fn: ir.Neg}
		return c.unary(neg, c.unary(ir.Act{Fn: ir.Softplus}, c.unary(neg, x)))
	},
	"tanh_shrink": (*call).tanhShrink,
	"squareplus":  func(c *call, x *ir.Value) *ir.Value { return c.squareplus(x, 4) },
	"sparse_plus": (*call).sparsePlus,
	"sparsemax":   func(c *call, x *ir.Value) *ir.Value { return c.sparsemax(x, -1) },
	"glu":         func(c *call, x *ir.Value) *ir.Value { return c.glu(x, -1) },
}

func (c *call) tanhShrink(x *ir.Value) *ir.Value {
	return c.binary(ir.Sub, x, c.unary(ir.Act{Fn: ir.Tanh}, x))
}

// squareplus returns (x+√(x²+b))/2.
func (c *call) squareplus(x *ir.Value, b float64) *ir.Value {
	d := x.Type.DType
	root := c.unary(ir.Act{Fn: ir.Sqrt}, c.binary(ir.Add, c.binary(ir.Mul, x, x), c.scalar(b, d)))
	return c.binary(ir.Mul, c.binary(ir.Add, x, root), c.scalar(0.5, d))
}

// sparsePlus returns 0 for x ≤ −1, x for x ≥ 1, and (x+1)²/4 between.
func (c *call) sparsePlus(x *ir.Value) *ir.Value {
	d := x.Type.DType
	one := c.scalar(1, d)
	inner := c.binary(ir.Add, c.unary(ir.Act{Fn: ir.Clip, Alpha: -1, Beta: 1}, x), one)
	square := c.binary(ir.Mul, c.binary(ir.Mul, inner, inner), c.scalar(0.25, d))
	return c.binary(ir.Add, square, c.unary(ir.Act{Fn: ir.Relu}, c.binary(ir.Sub, x, one)))
}

// glu multiplies the first half along an axis by the sigmoid of the second.
func (c *call) glu(x *ir.Value, axis int) *ir.Value {
	axis = c.axis(axis, x.Type.Rank())
	n := x.Type.Shape[axis] / 2
	if x.Type.Shape[axis] != 2*n {
		c.failf("glu needs an even number of elements along axis %d, not %d", axis, x.Type.Shape[axis])
	}
	gate := c.unary(ir.Act{Fn: ir.Sigmoid}, c.slice(x, axis, n, n))
	return c.binary(ir.Mul, c.slice(x, axis, 0, n), gate)
}

// maxSorted is the maximum number of elements that sparsemax sorts. Partial
// sums are computed as a product with a square matrix of this size.
const maxSorted = 1 << 11

// sparsemax computes Keras's sparsemax. It differs from the definition of
// Martins and Astudillo (2016): the threshold that is subtracted from x is
// computed from the sum of all partial sums of the largest elements, not from
// the last partial sum.
func (c *call) sparsemax(x *ir.Value, axis int) *ir.Value {
	axis = c.axis(axis, x.Type.Rank())
	n, d := x.Type.Shape[axis], x.Type.DType
	if n > maxSorted {
		c.failf("sparsemax of %d elements, at most %d are supported", n, maxSorted)
	}
	last := x.Type.Rank() - 1
	swap := identity(last + 1)
	swap[axis], swap[last] = last, axis
	x = c.transpose(x, swap)
	top, err := c.im.g.Append(c.name, ir.TopK{Axis: last, K: n}, x)
	if err != nil {
		c.failf("%v", err)
	}
	sorted := top.Out[0]
	c.afford(n * n)
	upto, count := make([]float64, n*n), make([]float64, n) // partial sum k has count[k] elements
	for k := range n {
		count[k] = float64(k + 1)
		for i := range k + 1 {
			upto[i*n+k] = 1
		}
	}
	constant := func(v []float64, s ...int) *ir.Value {
		return c.im.g.AddConst(c.name+"/const", ir.FromFloat64s(ir.T(d, s...), v))
	}
	one := c.scalar(1, d)
	sums := c.binary(ir.Sub, c.emit(ir.MatMul{}, sorted, constant(upto, n, n)), one) // less 1
	support := c.cast(c.binary(ir.Greater, sorted, c.binary(ir.Div, sums, constant(count, n))), d)
	total := func(v *ir.Value) *ir.Value {
		return c.emit(ir.Reduce{Fn: ir.ReduceSum, Axes: []int{last}, KeepDims: true}, v)
	}
	of := c.binary(ir.Sub, total(c.binary(ir.Mul, support, c.binary(ir.Add, sums, one))), one)
	y := c.unary(ir.Act{Fn: ir.Relu}, c.binary(ir.Sub, x, c.binary(ir.Div, of, total(support))))
	return c.transpose(y, swap)
}

// activation applies the function in the layer's activation field, which is a
// string, a serialised function, or a layer.
func (c *call) activation(x *ir.Value) *ir.Value {
	v := c.config.get("activation")
	if c.l.activation != nil {
		return c.activationLayer(c.l.activation, x)
	}
	if r := object(v); r != nil {
		custom := customName(r)
		if text(r.get("class_name")) == "__lambda__" || r.get("class_name") == nil {
			custom = "lambda"
		}
		if custom != "" {
			c.refuseActivation(custom)
		}
		v = r.get("config")
	}
	name := text(v)
	if strings.Contains(name, ">") {
		c.refuseActivation(name)
	}
	if v == nil {
		name = "linear"
	}
	return c.activate(name, x)
}

func (c *call) refuseActivation(custom string) {
	c.refuse("its activation is the user's "+custom+", whose Python code modelc does not run", "use a built-in activation")
}

// activationLayer applies a layer that was given as the activation of another, such
// as PReLU, which has weights of its own.
func (c *call) activationLayer(l *layer, x *ir.Value) *ir.Value {
	if l.custom != "" {
		c.refuseActivation(l.custom)
	}
	e := registry[nsLayer][l.class]
	if e == nil || e.family != "activation" {
		c.failf("its activation, a %s layer, is not supported", l.class)
	}
	st, err := c.store.part("activation", l)
	if err != nil {
		c.failf("%v", err)
	}
	inner := &call{im: c.im, l: l, store: st, config: l.config, name: c.name + "/" + l.name, in: inbound{args: []any{x}, kwargs: newRecord()}}
	inner.policy()
	y := e.build(inner)[0]
	c.parts += inner.taken
	return y
}

// activate applies the activation with the given name.
func (c *call) activate(name string, x *ir.Value) *ir.Value {
	if name == "hard_sigmoid" {
		return c.unary(c.im.hardSigmoid(), x)
	}
	if act, ok := elementwise[name]; ok {
		if act.IsIdentity() {
			return x
		}
		return c.unary(act, x)
	}
	f := composed[name]
	if f == nil {
		c.failf("activation %q is not supported", name)
	}
	return f(c, x)
}

// hardSigmoid returns 0.2·x+0.5 for Keras 2 and x/6+0.5 for Keras 3, clipped to
// [0, 1].
func (im *importer) hardSigmoid() ir.Act {
	if im.major < 3 {
		return ir.Act{Fn: ir.HardSigmoid, Alpha: 0.2, Beta: 0.5}
	}
	return ir.Act{Fn: ir.HardSigmoid, Alpha: 1.0 / 6, Beta: 0.5}
}

// relu returns x between threshold and limit, limit above limit, and
// slope·(x−threshold) below threshold.
func (c *call) relu(x *ir.Value, limited bool, limit, slope, threshold float64) *ir.Value {
	if slope != 0 && !limited && threshold == 0 {
		return c.unary(ir.Act{Fn: ir.LeakyRelu, Alpha: slope}, x)
	}
	y := x
	if threshold != 0 {
		y = c.unary(ir.Act{Fn: ir.ThresholdedRelu, Alpha: threshold}, y)
	}
	switch {
	case limited:
		y = c.unary(ir.Act{Fn: ir.Clip, Alpha: 0, Beta: limit}, y)
	case threshold == 0:
		y = c.unary(ir.Act{Fn: ir.Relu}, y)
	}
	if slope == 0 {
		return y
	}
	d := x.Type.DType
	below := c.unary(ir.Act{Fn: ir.Relu}, c.binary(ir.Sub, c.scalar(threshold, d), x))
	return c.binary(ir.Sub, y, c.binary(ir.Mul, below, c.scalar(slope, d)))
}

// prelu has one slope per element, except along the batch and shared_axes.
func prelu(c *call) *ir.Value {
	x := c.x()
	if x.Type.Rank() < 2 {
		c.failf("its input has %d axes", x.Type.Rank())
	}
	shape := append(ir.Shape{}, x.Type.Shape[1:]...)
	if v := c.config.get("shared_axes"); v != nil {
		for _, a := range c.axes(v, x.Type.Rank()) {
			if a == 0 {
				c.failf("it shares slopes along the batch")
			}
			shape[a-1] = 1
		}
	}
	return c.emit(ir.PRelu{}, x, c.param("alpha", shape, nil))
}

// softmax normalises along one or several axes. The default is the last axis.
func (c *call) softmax(x *ir.Value, axis any, log bool) *ir.Value {
	if x.Type.Rank() == 0 {
		c.failf("softmax of a scalar")
	}
	axes := []int{x.Type.Rank() - 1}
	if axis != nil {
		axes = c.axes(axis, x.Type.Rank())
	}
	return c.emit(ir.Softmax{Axes: axes, Log: log}, x)
}
