package keras

import (
	"fmt"
	"math"
	"slices"

	"modelc/ir"
)

// Operations of keras.ops (Keras 3) and TensorFlow operators of the same name
// (Keras 2) differ only in the names of their parameters, so they share
// builders. A parameter is a positional or keyword argument of the call, or a
// field of the configuration.

// arg returns the parameter at a position or with one of the names.
func (c *call) arg(at int, names ...string) any {
	if at >= 0 && at < len(c.in.args) {
		return c.in.args[at]
	}
	for _, n := range names {
		if v := c.in.kwargs.get(n); v != nil {
			return v
		}
		if v := c.config.get(n); v != nil {
			return v
		}
	}
	return nil
}

// operand returns a parameter that is a tensor. A number or a list of numbers
// becomes a constant of type d.
func (c *call) operand(d ir.DType, at int, names ...string) *ir.Value {
	switch v := c.arg(at, names...).(type) {
	case *ir.Value:
		return v
	case float64:
		return c.scalar(v, d)
	case []any:
		if x, ok := c.stacked(d, v); ok {
			return x
		}
		return c.constant(d, v)
	case *record:
		if list := array(v); list != nil {
			return c.constant(d, list)
		}
	}
	c.failf("its argument %d is %.60v, not a tensor", at, c.arg(at, names...))
	return nil
}

// stacked joins a list of scalars, some of which are tensors.
func (c *call) stacked(d ir.DType, list []any) (x *ir.Value, ok bool) {
	mapValues(list, func(*ir.Value) { ok = true })
	if !ok {
		return nil, false
	}
	var parts []*ir.Value
	for _, e := range list {
		v, tensor := e.(*ir.Value)
		if !tensor {
			v = c.scalar(c.number("an element", e), d)
		}
		if v.Type.Shape.Len() != 1 {
			c.failf("its argument has an element of shape %s", v.Type.Shape)
		}
		parts = append(parts, c.reshape(c.cast(v, d), ir.Shape{1}))
	}
	return c.concat(parts, 0), true
}

// constant adds a list of numbers as a constant.
func (c *call) constant(d ir.DType, v any) *ir.Value {
	inner := *c
	inner.dtype = d
	inner.config = newRecord()
	inner.config.set("value", v)
	return c.im.g.AddConst(c.name+"/const", inner.numbers("value"))
}

// tensor0 returns the first argument.
func (c *call) tensor0() *ir.Value {
	return c.operand(ir.Float32, 0, "x", "inputs", "input", "a", "x1", "tensor", "input_tensor", "features", "images", "condition")
}

// floats returns the first argument, converted to floating point.
func (c *call) floats() *ir.Value {
	x := c.tensor0()
	if x.Type.DType.IsFloat() {
		return x
	}
	return c.cast(x, ir.Float32)
}

// tensors returns the tensors of the first argument, which is a list.
func (c *call) tensors() []*ir.Value {
	var list []*ir.Value
	mapValues(c.arg(0, "xs", "x", "values", "arrays"), func(v *ir.Value) { list = append(list, v) })
	if len(list) == 0 {
		c.failf("it is called without tensors")
	}
	return list
}

// pair returns the operands of a function of two variables, converted to a
// common type.
func (c *call) pair() (a, b *ir.Value) {
	typeOf := func(v any) (ir.DType, bool) {
		if t, ok := v.(*ir.Value); ok {
			return t.Type.DType, true
		}
		return 0, false
	}
	x, y := c.arg(0, "x", "x1", "a"), c.arg(1, "y", "x2", "b")
	d, isX := typeOf(x)
	if e, isY := typeOf(y); !isX || isY && e.IsFloat() && !d.IsFloat() || isY && e == ir.Float64 {
		d = e
	}
	for _, v := range []any{x, y} {
		if f, ok := v.(float64); ok && f != float64(int64(f)) && !d.IsFloat() {
			d = ir.Float32
		}
	}
	if d == ir.Invalid {
		d = ir.Float32
	}
	return c.cast(c.operand(d, 0, "x", "x1", "a"), d), c.cast(c.operand(d, 1, "y", "x2", "b"), d)
}

type builders = map[string]func(*call) *ir.Value

// both registers builders for Keras operations and, with other names, for
// TensorFlow operators.
func both(family string, list map[string]struct {
	tf    []string
	build func(*call) *ir.Value
}) struct{} {
	ops, tf := builders{}, builders{}
	for name, e := range list {
		ops[name] = e.build
		for _, n := range e.tf {
			tf[n] = e.build
		}
	}
	register(nsOp, family, ops)
	return register(nsTF, family, tf)
}

type operation = struct {
	tf    []string
	build func(*call) *ir.Value
}

func function(a ir.Act, tf ...string) operation {
	return operation{tf, func(c *call) *ir.Value { return c.unary(a, c.floats()) }}
}

func arithmetic(f ir.BinaryFn, tf ...string) operation {
	return operation{tf, func(c *call) *ir.Value { a, b := c.pair(); return c.binary(f, a, b) }}
}

func logic(f ir.BinaryFn, tf ...string) operation {
	return operation{tf, func(c *call) *ir.Value {
		a, b := c.pair()
		return c.binary(f, c.cast(a, ir.Bool), c.cast(b, ir.Bool))
	}}
}

func reduction(f ir.ReduceFn, tf ...string) operation {
	return operation{tf, func(c *call) *ir.Value { return c.reduce(f, c.floats()) }}
}

// reduce reduces the axes that the call names, by default all.
func (c *call) reduce(f ir.ReduceFn, x *ir.Value) *ir.Value {
	axes := identity(x.Type.Rank())
	if v := c.arg(1, "axis", "reduction_indices"); v != nil {
		axes = c.axes(v, len(axes))
	}
	keep, _ := c.arg(2, "keepdims", "keep_dims").(bool)
	return c.emit(ir.Reduce{Fn: f, Axes: axes, KeepDims: keep}, x)
}

// identity returns 0, 1, … n−1.
func identity(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

var _ = both("arithmetic", map[string]operation{
	"Add": {[]string{"math.add", "__operators__.add", "add"}, func(c *call) *ir.Value {
		a, b := c.pair()
		return c.binary(ir.Add, a, c.biasAxis(a, b))
	}},
	"Subtract":     arithmetic(ir.Sub, "math.subtract", "subtract"),
	"Multiply":     arithmetic(ir.Mul, "math.multiply", "multiply"),
	"Maximum":      arithmetic(ir.Max, "math.maximum", "maximum"),
	"Minimum":      arithmetic(ir.Min, "math.minimum", "minimum"),
	"Power":        arithmetic(ir.Pow, "math.pow", "pow"),
	"Mod":          arithmetic(ir.Mod, "math.mod", "math.floormod"),
	"Greater":      arithmetic(ir.Greater, "math.greater"),
	"GreaterEqual": arithmetic(ir.GreaterOrEqual, "math.greater_equal"),
	"Less":         arithmetic(ir.Less, "math.less"),
	"LessEqual":    arithmetic(ir.LessOrEqual, "math.less_equal"),
	"Equal":        arithmetic(ir.Equal, "math.equal", "__operators__.eq"),
	"LogicalAnd":   logic(ir.And, "math.logical_and"),
	"LogicalOr":    logic(ir.Or, "math.logical_or"),
	"LogicalXor":   logic(ir.Xor, "math.logical_xor"),
	"NotEqual": {[]string{"math.not_equal", "__operators__.ne"}, func(c *call) *ir.Value {
		a, b := c.pair()
		return c.unary(ir.Act{Fn: ir.Not}, c.binary(ir.Equal, a, b))
	}},
	"FloorDivide": {[]string{"math.floordiv", "__operators__.floordiv", "floor_div"}, func(c *call) *ir.Value {
		a, b := c.pair()
		if a.Type.DType.IsFloat() {
			return c.unary(ir.Act{Fn: ir.Floor}, c.binary(ir.Div, a, b))
		}
		// After the remainder is subtracted, the integer division is exact.
		return c.binary(ir.Div, c.binary(ir.Sub, a, c.binary(ir.Mod, a, b)), b)
	}},
	"TrueDivide": {[]string{"math.truediv", "math.divide", "realdiv"}, divide},
	"Divide":     {nil, divide},
	"Where":      {[]string{"where"}, where},
	"Matmul":     {[]string{"linalg.matmul", "matmul"}, matmul},
	"Clip": {[]string{"clip_by_value"}, func(c *call) *ir.Value {
		return c.unary(ir.Act{Fn: ir.Clip, Alpha: c.number("x_min", c.arg(1, "x_min", "clip_value_min")), Beta: c.number("x_max", c.arg(2, "x_max", "clip_value_max"))}, c.floats())
	}},
})

// biasAxis returns the second operand of an addition in the shape in which Keras 3 on
// TensorFlow adds it. A constant with one extent n other than 1 is taken for a bias:
// it is added along the last axis if this has n elements, or else along axis 1 if that
// has n elements, wherever the n elements lie. In training, predict and exported
// models this is the same.
func (c *call) biasAxis(x, bias *ir.Value) *ir.Value {
	rank := x.Type.Rank()
	long := slices.IndexFunc(bias.Type.Shape, func(d int) bool { return d > 1 })
	if c.im.major < 3 || c.l.class != "Add" || bias.Const == nil || rank < 2 || long < 0 {
		return bias
	}
	n := bias.Type.Shape[long]
	if elements(bias.Type.Shape) != n {
		return bias
	}
	at := rank - 1
	if x.Type.Shape[at] != n {
		at = 1
	}
	if x.Type.Shape[at] != n || at == rank-bias.Type.Rank()+long && bias.Type.Rank() <= rank {
		return bias
	}
	c.im.note("operation %q adds %d numbers of shape %s along axis %d of %s, as Keras on TensorFlow does", c.name, n, bias.Type.Shape, at, x.Type.Shape)
	return c.reshape(bias, slices.Concat(ir.Shape{n}, slices.Repeat(ir.Shape{1}, rank-1-at)))
}

func divide(c *call) *ir.Value {
	a, b := c.pair()
	if !a.Type.DType.IsFloat() {
		a, b = c.cast(a, ir.Float32), c.cast(b, ir.Float32)
	}
	return c.binary(ir.Div, a, b)
}

func where(c *call) *ir.Value {
	cond := c.tensor0()
	x, y := c.operand(ir.Float32, 1, "x1", "x"), c.operand(ir.Float32, 2, "x2", "y")
	return c.emit(ir.Where{}, c.cast(cond, ir.Bool), x, c.cast(y, x.Type.DType))
}

func matmul(c *call) *ir.Value {
	a, b := c.pair()
	turned := func(x *ir.Value, operand string) *ir.Value {
		if c.in.kwargs.get("transpose_"+operand) != true && c.in.kwargs.get("adjoint_"+operand) != true {
			return x
		}
		perm := identity(x.Type.Rank())
		if len(perm) < 2 {
			c.failf("it transposes a tensor of %d axes", len(perm))
		}
		slices.Reverse(perm[len(perm)-2:])
		return c.transpose(x, perm)
	}
	return c.emit(ir.MatMul{}, turned(a, "a"), turned(b, "b"))
}

var _ = both("elementwise function", map[string]operation{
	"Relu":        function(elementwise["relu"], "nn.relu"),
	"Relu6":       function(elementwise["relu6"], "nn.relu6"),
	"Sigmoid":     function(elementwise["sigmoid"], "math.sigmoid", "nn.sigmoid"),
	"Tanh":        function(elementwise["tanh"], "math.tanh", "nn.tanh"),
	"Silu":        function(elementwise["silu"], "nn.silu", "nn.swish"),
	"Selu":        function(selu, "nn.selu"),
	"Softplus":    function(elementwise["softplus"], "math.softplus", "nn.softplus"),
	"Softsign":    function(elementwise["softsign"], "nn.softsign"),
	"HardSilu":    function(elementwise["hard_silu"]),
	"HardTanh":    function(elementwise["hard_tanh"]),
	"Mish":        function(elementwise["mish"]),
	"HardSigmoid": {nil, func(c *call) *ir.Value { return c.unary(c.im.hardSigmoid(), c.floats()) }},
	"LogSigmoid":  {[]string{"math.log_sigmoid"}, func(c *call) *ir.Value { return c.activate("log_sigmoid", c.floats()) }},
	"LeakyRelu": {[]string{"nn.leaky_relu"}, func(c *call) *ir.Value {
		return c.unary(ir.Act{Fn: ir.LeakyRelu, Alpha: c.optional(0.2, 1, "negative_slope", "alpha")}, c.floats())
	}},
	"Elu": {[]string{"nn.elu"}, func(c *call) *ir.Value {
		return c.unary(ir.Act{Fn: ir.Elu, Alpha: c.optional(1, 1, "alpha")}, c.floats())
	}},
	"Celu": {nil, func(c *call) *ir.Value {
		return c.unary(ir.Act{Fn: ir.Celu, Alpha: c.optional(1, 1, "alpha")}, c.floats())
	}},
	"Gelu": {[]string{"nn.gelu"}, func(c *call) *ir.Value {
		approximate, given := c.arg(1, "approximate").(bool)
		if approximate || !given && c.im.major >= 3 {
			return c.unary(ir.Act{Fn: ir.GeluTanh}, c.floats())
		}
		return c.unary(ir.Act{Fn: ir.Gelu}, c.floats())
	}},
	"ReLU": {nil, func(c *call) *ir.Value { // keras.activations.relu with arguments
		limit, limited := c.config.get("max_value").(float64)
		return c.relu(c.floats(), limited, limit, c.float("negative_slope", 0), c.float("threshold", 0))
	}},
	"HardShrink": {nil, func(c *call) *ir.Value {
		return c.unary(ir.Act{Fn: ir.Shrink, Alpha: c.float("threshold", 0.5)}, c.floats())
	}},
	"SoftShrink": {nil, func(c *call) *ir.Value {
		t := c.float("threshold", 0.5)
		return c.unary(ir.Act{Fn: ir.Shrink, Alpha: t, Beta: t}, c.floats())
	}},
	"Threshold": {nil, func(c *call) *ir.Value {
		x := c.floats()
		d := x.Type.DType
		above := c.binary(ir.Greater, x, c.scalar(c.float("threshold", 0), d))
		return c.emit(ir.Where{}, above, x, c.scalar(c.float("default_value", 0), d))
	}},
	"Glu":           {nil, func(c *call) *ir.Value { return c.glu(c.floats(), c.int("axis", -1)) }},
	"Sparsemax":     {nil, func(c *call) *ir.Value { return c.sparsemax(c.floats(), c.int("axis", -1)) }},
	"Squareplus":    {nil, func(c *call) *ir.Value { return c.squareplus(c.floats(), c.float("b", 4)) }},
	"SparsePlus":    {nil, func(c *call) *ir.Value { return c.sparsePlus(c.floats()) }},
	"SparseSigmoid": function(elementwise["sparse_sigmoid"]),
	"TanhShrink":    {nil, func(c *call) *ir.Value { return c.tanhShrink(c.floats()) }},
	"Absolute":      function(ir.Act{Fn: ir.Abs}, "math.abs", "abs"),
	"Abs":           function(ir.Act{Fn: ir.Abs}),
	"Negative":      function(ir.Act{Fn: ir.Neg}, "math.negative", "negative"),
	"Exp":           function(ir.Act{Fn: ir.Exp}, "math.exp", "exp"),
	"Log":           function(ir.Act{Fn: ir.Log}, "math.log"),
	"Sqrt":          function(ir.Act{Fn: ir.Sqrt}, "math.sqrt", "sqrt"),
	"Reciprocal":    function(ir.Act{Fn: ir.Reciprocal}, "math.reciprocal"),
	"Erf":           function(ir.Act{Fn: ir.Erf}, "math.erf"),
	"Floor":         function(ir.Act{Fn: ir.Floor}, "math.floor"),
	"Ceil":          function(ir.Act{Fn: ir.Ceil}, "math.ceil"),
	"Sign":          function(ir.Act{Fn: ir.Sign}, "math.sign"),
	"Round": {[]string{"math.round", "round"}, func(c *call) *ir.Value {
		if n := c.int("decimals", 0); n != 0 {
			c.failf("it rounds to %d decimals, only 0 is supported", n)
		}
		return c.unary(ir.Act{Fn: ir.Round}, c.floats())
	}},
	"LogicalNot": {[]string{"math.logical_not"}, func(c *call) *ir.Value {
		return c.unary(ir.Act{Fn: ir.Not}, c.cast(c.tensor0(), ir.Bool))
	}},
	"Isnan":   function(ir.Act{Fn: ir.IsNaN}, "math.is_nan"),
	"Tan":     function(ir.Act{Fn: ir.Tan}, "math.tan"),
	"Arcsin":  function(ir.Act{Fn: ir.Asin}, "math.asin"),
	"Arccos":  function(ir.Act{Fn: ir.Acos}, "math.acos"),
	"Arctan":  function(ir.Act{Fn: ir.Atan}, "math.atan"),
	"Sinh":    function(ir.Act{Fn: ir.Sinh}, "math.sinh"),
	"Cosh":    function(ir.Act{Fn: ir.Cosh}, "math.cosh"),
	"Arcsinh": function(ir.Act{Fn: ir.Asinh}, "math.asinh"),
	"Arccosh": function(ir.Act{Fn: ir.Acosh}, "math.acosh"),
	"Arctanh": function(ir.Act{Fn: ir.Atanh}, "math.atanh"),
	"Log2":    logarithm(math.Ln2),
	"Log10":   logarithm(math.Ln10),
	"Log1p": {[]string{"math.log1p"}, func(c *call) *ir.Value {
		x := c.floats()
		return c.unary(ir.Act{Fn: ir.Log}, c.binary(ir.Add, x, c.scalar(1, x.Type.DType)))
	}},
	"Expm1": {[]string{"math.expm1"}, func(c *call) *ir.Value {
		x := c.floats()
		return c.binary(ir.Sub, c.unary(ir.Act{Fn: ir.Exp}, x), c.scalar(1, x.Type.DType))
	}},
	"Sin": function(ir.Act{Fn: ir.Sin}, "math.sin"),
	"Cos": function(ir.Act{Fn: ir.Cos}, "math.cos"),
	"Rsqrt": {[]string{"math.rsqrt"}, func(c *call) *ir.Value {
		return c.unary(ir.Act{Fn: ir.Reciprocal}, c.unary(ir.Act{Fn: ir.Sqrt}, c.floats()))
	}},
	"Square": {[]string{"math.square", "square"}, func(c *call) *ir.Value { x := c.tensor0(); return c.binary(ir.Mul, x, x) }},
	"Softmax": {[]string{"nn.softmax"}, func(c *call) *ir.Value {
		return c.softmax(c.floats(), c.arg(1, "axis", "dim"), false)
	}},
	"LogSoftmax": {[]string{"nn.log_softmax"}, func(c *call) *ir.Value {
		return c.softmax(c.floats(), c.arg(1, "axis", "dim"), true)
	}},
	"Cast": {[]string{"cast"}, func(c *call) *ir.Value {
		d, half, err := parseDType(c.arg(1, "dtype"))
		if err != nil {
			c.failf("%v", err)
		}
		c.im.half = c.im.half || half
		return c.cast(c.tensor0(), d)
	}},
	"Identity":     {[]string{"identity", "stop_gradient"}, (*call).tensor0},
	"Copy":         {nil, (*call).tensor0},
	"StopGradient": {nil, (*call).tensor0},
})

// logarithm returns ln x divided by the logarithm of the base.
func logarithm(ln float64) operation {
	return operation{nil, func(c *call) *ir.Value {
		x := c.floats()
		return c.binary(ir.Mul, c.unary(ir.Act{Fn: ir.Log}, x), c.scalar(1/ln, x.Type.DType))
	}}
}

// optional returns a parameter that is a number, or def if it is absent.
func (c *call) optional(def float64, at int, names ...string) float64 {
	if v := c.arg(at, names...); v != nil {
		return c.number(names[0], v)
	}
	return def
}

var _ = both("reduction", map[string]operation{
	"Mean":      reduction(ir.ReduceMean, "math.reduce_mean", "reduce_mean"),
	"Sum":       reduction(ir.ReduceSum, "math.reduce_sum", "reduce_sum"),
	"Max":       reduction(ir.ReduceMax, "math.reduce_max", "reduce_max"),
	"Min":       reduction(ir.ReduceMin, "math.reduce_min", "reduce_min"),
	"Amax":      reduction(ir.ReduceMax),
	"Amin":      reduction(ir.ReduceMin),
	"Prod":      reduction(ir.ReduceProd, "math.reduce_prod"),
	"Logsumexp": reduction(ir.ReduceLogSumExp, "math.reduce_logsumexp", "reduce_logsumexp"),
	"Var":       {[]string{"math.reduce_variance"}, (*call).variance},
	"Std": {[]string{"math.reduce_std"}, func(c *call) *ir.Value {
		return c.unary(ir.Act{Fn: ir.Sqrt}, c.variance())
	}},
	"Any": {[]string{"math.reduce_any", "reduce_any"}, func(c *call) *ir.Value {
		return c.reduce(ir.ReduceMax, c.cast(c.tensor0(), ir.Bool))
	}},
	"All": {[]string{"math.reduce_all", "reduce_all"}, func(c *call) *ir.Value {
		return c.reduce(ir.ReduceMin, c.cast(c.tensor0(), ir.Bool))
	}},
	"Norm": {nil, func(c *call) *ir.Value {
		if order := c.config.get("ord"); order != nil {
			c.failf("the norm of order %.60v is not supported, only the Euclidean norm is", order)
		}
		return c.reduce(ir.ReduceL2, c.floats())
	}},
	"Argmax": {[]string{"math.argmax"}, func(c *call) *ir.Value { return c.argReduce(false) }},
	"Argmin": {[]string{"math.argmin"}, func(c *call) *ir.Value { return c.argReduce(true) }},
	"Normalize": {[]string{"math.l2_normalize"}, func(c *call) *ir.Value {
		if order := c.optional(2, 2, "order"); order != 2 {
			c.failf("the norm of order %v is not supported", order)
		}
		return c.unit(c.floats(), c.arg(1, "axis"))
	}},
})

// variance returns the mean squared difference from the mean.
func (c *call) variance() *ir.Value {
	x := c.floats()
	axes := identity(x.Type.Rank())
	if v := c.arg(1, "axis", "reduction_indices"); v != nil {
		axes = c.axes(v, len(axes))
	}
	d := c.binary(ir.Sub, x, c.emit(ir.Reduce{Fn: ir.ReduceMean, Axes: axes, KeepDims: true}, x))
	return c.reduce(ir.ReduceMean, c.binary(ir.Mul, d, d))
}

// argReduce returns the position of the largest or smallest element along an
// axis or of the whole tensor.
func (c *call) argReduce(smallest bool) *ir.Value {
	x := c.tensor0()
	shape := x.Type.Shape
	op := ir.ArgReduce{Min: smallest}
	op.KeepDims, _ = c.arg(2, "keepdims", "keep_dims").(bool)
	if v := c.arg(1, "axis", "dimension"); v == nil {
		x = c.reshape(x, ir.Shape{elements(shape)})
	} else if axis, ok := integer(v); ok {
		op.Axis = c.axis(axis, len(shape))
	} else {
		c.failf("its axis is %.60v", v)
	}
	to := ir.Int32
	if c.l.isTF() && text(c.arg(-1, "output_type")) != "int32" {
		to = ir.Int64
	}
	y := c.cast(c.emit(op, x), to)
	if op.KeepDims && y.Type.Rank() < len(shape) {
		y = c.reshape(y, slices.Repeat(ir.Shape{1}, len(shape)))
	}
	return y
}

// fixed replaces tensors that depend only on constants, such as the extents of another
// tensor, by numbers and lists of numbers.
func (c *call) fixed(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = c.fixed(e)
		}
		return out
	case *record:
		out := newRecord()
		for _, k := range v.keys {
			out.set(k, c.fixed(v.values[k]))
		}
		return out
	case *ir.Value:
		t, ok := c.im.folder.Const(v)
		if !ok || v.Type.Rank() > 1 {
			break
		}
		var list []any
		for _, x := range t.Float64s() {
			list = append(list, x)
		}
		if v.Type.Rank() == 0 && len(list) == 1 {
			return list[0]
		}
		return list
	}
	return v
}

// whole returns a parameter that is an integer, or def if it is absent.
func (c *call) whole(def, at int, names ...string) int {
	v := c.fixed(c.arg(at, names...))
	if v == nil {
		return def
	}
	n, ok := integer(v)
	if !ok {
		c.failf("%s is %.60v, not a whole number", names[0], v)
	}
	return n
}

// list returns a parameter that is a list of integers.
func (c *call) list(at int, names ...string) []int {
	v := c.fixed(c.arg(at, names...))
	out, ok := integers(v)
	if !ok {
		c.failf("%s is %.60v, not a list of whole numbers", names[0], v)
	}
	return out
}

var _ = both("shape", map[string]operation{
	"Reshape": {[]string{"reshape"}, func(c *call) *ir.Value {
		x := c.tensor0()
		return c.reshape(x, c.solve(c.list(1, "newshape", "shape"), x.Type.Shape))
	}},
	"Transpose": {[]string{"transpose"}, func(c *call) *ir.Value {
		x := c.tensor0()
		perm := identity(x.Type.Rank())
		slices.Reverse(perm)
		if c.arg(1, "axes", "perm") != nil {
			perm = c.list(1, "axes", "perm")
		}
		return c.emit(ir.Transpose{Perm: perm}, x)
	}},
	"ExpandDims": {[]string{"expand_dims"}, func(c *call) *ir.Value {
		x := c.tensor0()
		v := c.arg(1, "axis")
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		shape := slices.Clone(x.Type.Shape)
		for _, at := range c.axes(v, x.Type.Rank()+len(list)) {
			shape = slices.Insert(shape, at, 1)
		}
		return c.reshape(x, shape)
	}},
	"Tile":   {[]string{"tile"}, tile},
	"Repeat": {[]string{"repeat"}, repeat},
	"Roll":   {[]string{"roll"}, roll},
	"Moveaxis": {nil, func(c *call) *ir.Value {
		x := c.tensor0()
		from, to := c.axis(c.whole(0, 1, "source"), x.Type.Rank()), c.axis(c.whole(0, 2, "destination"), x.Type.Rank())
		perm := slices.Delete(identity(x.Type.Rank()), from, from+1)
		return c.transpose(x, slices.Insert(perm, to, from))
	}},
	"Take": {[]string{"gather"}, func(c *call) *ir.Value {
		x := c.tensor0()
		axis := c.axis(c.whole(0, 2, "axis"), x.Type.Rank())
		if n := c.whole(0, -1, "batch_dims"); n != 0 {
			c.failf("batch_dims is %d", n)
		}
		at := c.operand(ir.Int32, 1, "indices")
		if at.Const == nil {
			c.failf("it takes elements at positions that are computed at run time")
		}
		n := float64(x.Type.Shape[axis])
		for _, i := range at.Const.Float64s() {
			if i < 0 || i >= n {
				c.failf("it takes element %v of %v", i, n)
			}
		}
		return c.emit(ir.Gather{Axis: axis}, x, at)
	}},
	"Squeeze": {[]string{"squeeze"}, squeeze},
	"Concatenate": {[]string{"concat"}, func(c *call) *ir.Value {
		return c.concat(c.tensors(), c.whole(0, 1, "axis"))
	}},
	"Stack": {[]string{"stack"}, func(c *call) *ir.Value {
		list := c.tensors()
		at := c.axis(c.whole(0, 1, "axis"), list[0].Type.Rank()+1)
		for i, v := range list {
			if !v.Type.Equal(list[0].Type) && i > 0 {
				c.failf("it stacks tensors of different shapes")
			}
		}
		wide := slices.Clone(list)
		for i, v := range list {
			wide[i] = c.reshape(v, slices.Insert(slices.Clone(v.Type.Shape), at, 1))
		}
		return c.concat(wide, at)
	}},
	"GetItem": {nil, func(c *call) *ir.Value { return c.index(c.tensor0(), c.arg(1, "key")) }},
	"Pad":     {[]string{"pad"}, pad},
	"BroadcastTo": {[]string{"broadcast_to"}, func(c *call) *ir.Value {
		return c.emit(ir.Expand{Shape: c.list(1, "shape")}, c.tensor0())
	}},
	"Swapaxes": {nil, func(c *call) *ir.Value {
		x := c.tensor0()
		perm := identity(x.Type.Rank())
		a, b := c.axis(c.whole(0, 1, "axis1"), len(perm)), c.axis(c.whole(1, 2, "axis2"), len(perm))
		perm[a], perm[b] = b, a
		return c.transpose(x, perm)
	}},
	"Flip": {[]string{"reverse"}, func(c *call) *ir.Value {
		x := c.tensor0()
		return c.flip(x, c.axes(c.arg(1, "axis"), x.Type.Rank())...)
	}},
	"Resize": {[]string{"image.resize"}, func(c *call) *ir.Value {
		x, size := c.floats(), c.size(1, "size")
		if x.Type.Rank() != 4 {
			c.failf("its input has %d axes, not 4", x.Type.Rank())
		}
		if c.arg(-1, "preserve_aspect_ratio") == true {
			h, w := x.Type.Shape[c.spatial()], x.Type.Shape[c.spatial()+1]
			scale := min(float32(size[0])/float32(h), float32(size[1])/float32(w))
			size = []int{max(int(math.RoundToEven(float64(scale*float32(h)))), 1), max(int(math.RoundToEven(float64(scale*float32(w)))), 1)}
		}
		switch {
		case c.arg(-1, "crop_to_aspect_ratio") == true:
			x = c.cropToAspect(x, size[0], size[1])
		case c.arg(-1, "pad_to_aspect_ratio") == true:
			x = c.padToAspect(x, size[0], size[1])
		}
		mode := text(c.arg(-1, "interpolation", "method"))
		if mode == "" {
			mode = "bilinear"
		}
		antialias, _ := c.arg(-1, "antialias").(bool)
		return c.resize(x, mode, antialias, size[0], size[1])
	}},
})

var _ = register(nsTF, "shape", builders{
	"__operators__.getitem": func(c *call) *ir.Value { return c.index(c.tensor0(), c.arg(1, "slice_spec")) },
})

// flip reverses the elements along axes.
func (c *call) flip(x *ir.Value, axes ...int) *ir.Value {
	r := x.Type.Rank()
	s := ir.Slice{Start: make([]int, r), Count: slices.Clone(x.Type.Shape), Step: slices.Repeat([]int{1}, r)}
	for _, a := range axes {
		s.Start[a], s.Step[a] = max(s.Count[a]-1, 0), -1
	}
	return c.emit(s, x)
}

// size returns a parameter that is a height and a width.
func (c *call) size(at int, name string) []int {
	size := c.list(at, name)
	if len(size) != 2 {
		c.failf("%s is %v, not a height and a width", name, size)
	}
	c.legal("height", int64(size[0]))
	c.legal("width", int64(size[1]))
	return size
}

// tile repeats the whole tensor along its axes.
func tile(c *call) *ir.Value {
	x := c.tensor0()
	times := c.list(1, "repeats", "multiples")
	if len(times) != x.Type.Rank() {
		c.failf("it repeats %d axes of %s", len(times), x.Type.Shape)
	}
	for axis, n := range times {
		if n < 1 {
			c.failf("repeats is %v", times)
		}
		x = c.repeated(x, axis, n, true)
	}
	return x
}

// repeat repeats each element along an axis.
func repeat(c *call) *ir.Value {
	x := c.tensor0()
	n := c.whole(0, 1, "repeats")
	if n < 1 || c.arg(2, "axis") == nil {
		c.failf("it repeats elements %d times along axis %.60v", n, c.arg(2, "axis"))
	}
	return c.repeated(x, c.axis(c.whole(0, 2, "axis"), x.Type.Rank()), n, false)
}

// repeated repeats x n times along an axis, element by element or as a whole.
func (c *call) repeated(x *ir.Value, axis, n int, whole bool) *ir.Value {
	at := axis + 1
	if whole {
		at = axis
	}
	shape := slices.Clone(x.Type.Shape)
	shape[axis] = c.extent(int64(shape[axis]) * int64(c.legal("repeats", int64(n))))
	wide := slices.Insert(slices.Clone(x.Type.Shape), at, 1)
	x = c.reshape(x, wide)
	wide = slices.Clone(wide)
	wide[at] = n
	return c.reshape(c.emit(ir.Expand{Shape: wide}, x), shape)
}

// roll rotates the elements along an axis.
func roll(c *call) *ir.Value {
	x := c.tensor0()
	if c.arg(2, "axis") == nil {
		c.failf("it rolls all axes together")
	}
	axis := c.axis(c.whole(0, 2, "axis"), x.Type.Rank())
	n := x.Type.Shape[axis]
	shift := c.whole(0, 1, "shift")
	if n > 0 {
		shift = (shift%n + n) % n
	}
	if n == 0 || shift == 0 {
		return x
	}
	return c.concat([]*ir.Value{c.slice(x, axis, n-shift, shift), c.slice(x, axis, 0, n-shift)}, axis)
}

func squeeze(c *call) *ir.Value {
	x := c.tensor0()
	var axes []int
	if v := c.arg(1, "axis", "reduction_indices"); v != nil {
		axes = c.axes(v, x.Type.Rank())
	}
	var shape ir.Shape
	for i, d := range x.Type.Shape {
		drop := axes == nil && d == 1 || slices.Contains(axes, i)
		if drop && d != 1 {
			c.failf("it removes axis %d of extent %d", i, d)
		}
		if !drop {
			shape = append(shape, d)
		}
	}
	return c.reshape(x, shape)
}

func pad(c *call) *ir.Value {
	x := c.tensor0()
	r := x.Type.Rank()
	list, _ := c.arg(1, "pad_width", "paddings").([]any)
	if len(list) != r {
		c.failf("pad_width is %.60v for %d axes", c.arg(1, "pad_width", "paddings"), r)
	}
	op := ir.Pad{Pads: make([]int, 2*r), Value: c.optional(0, 3, "constant_values")}
	for i, e := range list {
		p, ok := integers(e)
		if !ok || len(p) != 2 {
			c.failf("pad_width is %.60v", list)
		}
		op.Pads[i], op.Pads[r+i] = c.legal("padding", int64(p[0])), c.legal("padding", int64(p[1]))
	}
	switch mode := text(c.arg(2, "mode")); mode {
	case "constant", "CONSTANT", "":
	case "reflect", "REFLECT":
		op.Mode = ir.PadReflect
	case "symmetric", "SYMMETRIC":
		op.Mode = ir.PadSymmetric
	case "edge":
		op.Mode = ir.PadEdge
	case "wrap":
		op.Mode = ir.PadWrap
	default:
		c.failf("mode %q", mode)
	}
	return c.emit(op, x)
}

// index returns x[key]. The key has numbers, slices, … and new axes.
func (c *call) index(x *ir.Value, key any) *ir.Value {
	key = c.fixed(key)
	keys, ok := key.([]any)
	if !ok {
		keys = []any{key}
	}
	ellipsis := func(k any) bool { return text(object(k).get("class_name")) == "__ellipsis__" }
	taken, r := 0, x.Type.Rank() // taken is the number of axes with a key
	for _, k := range keys {
		if k != nil && !ellipsis(k) {
			taken++
		}
	}
	if taken > r {
		c.failf("%d indices into %d axes", taken, r)
	}
	if !slices.ContainsFunc(keys, ellipsis) {
		keys = append(slices.Clip(keys), &record{values: map[string]any{"class_name": "__ellipsis__"}})
	}
	s := ir.Slice{Start: make([]int, r), Count: slices.Clone(x.Type.Shape), Step: slices.Repeat([]int{1}, r)}
	shape := ir.Shape{}
	axis := 0
	for _, k := range keys {
		switch {
		case k == nil:
			shape = append(shape, 1)
		case ellipsis(k):
			for range r - taken {
				shape = append(shape, x.Type.Shape[axis])
				axis++
			}
			taken = r // only the first … stands for axes
		default:
			n := x.Type.Shape[axis]
			if i, isNumber := integer(k); isNumber {
				if i < -n || i >= n {
					c.failf("index %d into %d elements", i, n)
				}
				s.Start[axis], s.Count[axis] = (i+n)%n, 1
				axis++
				break
			}
			rec := object(k)
			if inner := object(rec.get("config")); inner != nil {
				rec = inner
			}
			if rec == nil {
				c.failf("index %.60v", k)
			}
			var err error
			if s.Start[axis], s.Count[axis], s.Step[axis], err = slice(rec, n); err != nil {
				c.failf("%v", err)
			}
			shape = append(shape, s.Count[axis])
			axis++
		}
	}
	return c.reshape(c.emit(s, x), shape)
}

// slice evaluates Python's start:stop:step for n elements.
func slice(r *record, n int) (start, count, step int, err error) {
	field := func(name string, def int) int {
		v := r.get(name)
		if v == nil {
			return def
		}
		i, ok := integer(v)
		if !ok {
			err = fmt.Errorf("slice with %s %.60v", name, v)
		}
		return i
	}
	step = field("step", 1)
	if step == 0 || err != nil || ir.CheckLimit("step", int64(step)) != nil {
		return 0, 0, 1, fmt.Errorf("slice with step %.60v", r.get("step"))
	}
	// clamp converts a position from the end and limits it to the range of the
	// step.
	clamp := func(i, low, high int) int {
		if i < 0 {
			i += n
		}
		return min(max(i, low), high)
	}
	var stop int
	if step > 0 {
		start, stop = clamp(field("start", 0), 0, n), clamp(field("stop", n), 0, n)
		count = max((stop-start+step-1)/step, 0)
	} else {
		start, stop = n-1, -1
		if r.get("start") != nil {
			start = clamp(field("start", 0), -1, n-1)
		}
		if r.get("stop") != nil {
			stop = clamp(field("stop", 0), -1, n-1)
		}
		count = max((start-stop-step-1)/-step, 0)
	}
	if count == 0 {
		start, step = 0, 1
	}
	return start, count, step, err
}

var _ = registerMany(nsOp, "shape", map[string]func(*call) []*ir.Value{"Split": split})
var _ = registerMany(nsTF, "shape", map[string]func(*call) []*ir.Value{"split": split})

// split splits a tensor along an axis: into equal parts, at positions (Keras),
// or into parts of given sizes (TensorFlow).
func split(c *call) []*ir.Value {
	x := c.tensor0()
	axis := c.axis(c.whole(0, 2, "axis"), x.Type.Rank())
	n := x.Type.Shape[axis]
	v := c.fixed(c.arg(1, "indices_or_sections", "num_or_size_splits"))
	ends, ok := integers(v)
	if k, single := integer(v); single {
		if k < 1 || n%k != 0 {
			c.failf("%d elements in %d parts", n, k)
		}
		ends, ok = nil, true
		c.legal("parts", int64(k))
		for i := range k {
			ends = append(ends, (i+1)*(n/k))
		}
	} else if c.l.isTF() {
		if open := slices.Index(ends, -1); open >= 0 {
			ends[open] = n
			for i, d := range ends {
				if i != open {
					ends[open] -= d
				}
			}
		}
		for i := 1; i < len(ends); i++ {
			ends[i] = c.legal("start", int64(ends[i])+int64(ends[i-1]))
		}
	} else {
		ends = append(ends, n)
	}
	if !ok {
		c.failf("it splits by %.60v", v)
	}
	c.legal("parts", int64(len(ends)))
	var out []*ir.Value
	start := 0
	for _, end := range ends {
		if end < start || end > n {
			c.failf("it splits %d elements by %.60v", n, v)
		}
		out = append(out, c.slice(x, axis, start, end-start))
		start = end
	}
	return out
}
