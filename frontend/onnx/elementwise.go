package onnx

import (
	"fmt"
	"math"

	"modelc/ir"
)

var _ = register("activation", map[string]operator{
	"Relu":            {build: unary(ir.Relu)},
	"Tanh":            {build: unary(ir.Tanh)},
	"Sigmoid":         {build: unary(ir.Sigmoid)},
	"LeakyRelu":       {build: with(ir.LeakyRelu, param{"alpha", 0.01})},
	"HardSigmoid":     {build: with(ir.HardSigmoid, param{"alpha", 0.2}, param{"beta", 0.5})},
	"HardSwish":       {since: 14, build: unary(ir.HardSwish)},
	"Elu":             {build: with(ir.Elu, param{"alpha", 1})},
	"Selu":            {build: with(ir.Selu, param{"alpha", 1.67326319217681884765625}, param{"gamma", 1.05070102214813232421875})},
	"Celu":            {since: 12, build: with(ir.Celu, param{"alpha", 1})},
	"ThresholdedRelu": {build: with(ir.ThresholdedRelu, param{"alpha", 1})},
	"Shrink":          {since: 9, build: shrink},
	"Softplus":        {build: unary(ir.Softplus)},
	"Softsign":        {build: unary(ir.Softsign)},
	"Mish":            {since: 18, build: unary(ir.Mish)},
	"Swish":           {since: 24, build: with(ir.SiLU, param{"alpha", 1})},
	"Gelu":            {since: 20, build: gelu},
	"Clip":            {build: clip},
	"PRelu":           {build: prelu},
})

var _ = register("element-wise", map[string]operator{
	"Abs": {build: unary(ir.Abs)}, "Neg": {build: unary(ir.Neg)}, "Exp": {build: unary(ir.Exp)}, "Log": {build: unary(ir.Log)},
	"Sqrt": {build: unary(ir.Sqrt)}, "Reciprocal": {build: unary(ir.Reciprocal)}, "Erf": {since: 9, build: unary(ir.Erf)},
	"Floor": {build: unary(ir.Floor)}, "Ceil": {build: unary(ir.Ceil)}, "Round": {since: 11, build: unary(ir.Round)},
	"Sign": {since: 9, build: unary(ir.Sign)}, "Not": {build: unary(ir.Not)},
	"Sin": {since: 7, build: unary(ir.Sin)}, "Cos": {since: 7, build: unary(ir.Cos)}, "Tan": {since: 7, build: unary(ir.Tan)},
	"Asin": {since: 7, build: unary(ir.Asin)}, "Acos": {since: 7, build: unary(ir.Acos)}, "Atan": {since: 7, build: unary(ir.Atan)},
	"Sinh": {since: 9, build: unary(ir.Sinh)}, "Cosh": {since: 9, build: unary(ir.Cosh)}, "Asinh": {since: 9, build: unary(ir.Asinh)},
	"Acosh": {since: 9, build: unary(ir.Acosh)}, "Atanh": {since: 9, build: unary(ir.Atanh)},
	"IsNaN": {since: 9, build: unary(ir.IsNaN)}, "IsInf": {since: 10, build: isInf},
	"Add": {build: binary(ir.Add)}, "Sub": {build: binary(ir.Sub)}, "Mul": {build: binary(ir.Mul)}, "Div": {build: binary(ir.Div)},
	"Pow": {build: binary(ir.Pow)}, "Mod": {since: 10, build: mod}, "BitShift": {since: 11, build: bitShift},
	"And": {build: binary(ir.And)}, "Or": {build: binary(ir.Or)}, "Xor": {build: binary(ir.Xor)},
	"BitwiseAnd": {since: 18, build: binary(ir.BitAnd)}, "BitwiseOr": {since: 18, build: binary(ir.BitOr)}, "BitwiseXor": {since: 18, build: binary(ir.BitXor)},
	"Equal": {build: binary(ir.Equal)}, "Less": {build: binary(ir.Less)}, "Greater": {build: binary(ir.Greater)},
	"LessOrEqual": {since: 12, build: binary(ir.LessOrEqual)}, "GreaterOrEqual": {since: 12, build: binary(ir.GreaterOrEqual)},
	"Max": {build: chain(ir.Max)}, "Min": {build: chain(ir.Min)}, "Sum": {build: chain(ir.Add)}, "Mean": {build: mean},
	"Where": {since: 9, build: where}, "Cast": {build: cast}, "CastLike": {since: 15, build: castLike},
})

func unary(f ir.Fn) func(n *node) ([]*ir.Value, error) { return with(f) }

// param is a float attribute that is a parameter of a function.
type param struct {
	name string
	def  float64
}

func with(f ir.Fn, params ...param) func(n *node) ([]*ir.Value, error) {
	return func(n *node) ([]*ir.Value, error) {
		x, err := n.need(0)
		if err != nil {
			return nil, err
		}
		a := ir.Act{Fn: f}
		for i, p := range params {
			v := n.float(p.name, p.def)
			if i == 0 {
				a.Alpha = v
			} else {
				a.Beta = v
			}
		}
		return n.one(ir.Unary{Fn: a}, x)
	}
}

func shrink(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	return n.one(ir.Unary{Fn: ir.Act{Fn: ir.Shrink, Alpha: n.float("lambd", 0.5), Beta: n.float("bias", 0)}}, x)
}

func isInf(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	return n.one(ir.Unary{Fn: ir.Act{Fn: ir.IsInf, Alpha: float64(n.int("detect_negative", 1)), Beta: float64(n.int("detect_positive", 1))}}, x)
}

func gelu(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	f := ir.Gelu
	if n.str("approximate", "none") == "tanh" {
		f = ir.GeluTanh
	}
	return n.one(ir.Unary{Fn: ir.Act{Fn: f}}, x)
}

// clip has its bounds as attributes before opset 11, as operands since.
func clip(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	if n.version < 11 {
		lo, hi := n.float("min", -math.MaxFloat32), n.float("max", math.MaxFloat32)
		return n.one(ir.Unary{Fn: clipAct(lo, hi)}, x)
	}
	bounds := [2]*ir.Tensor{}
	for i := range bounds {
		v := n.arg(i + 1)
		if v == nil {
			continue
		}
		if v.Const == nil {
			return n.clipAtRunTime(x)
		}
		bounds[i] = v.Const
	}
	if x.Type.DType.IsInt() {
		return n.clipAtRunTime(x)
	}
	lo, hi := math.Inf(-1), math.Inf(1)
	if bounds[0] != nil {
		lo = bounds[0].Float64s()[0]
	}
	if bounds[1] != nil {
		hi = bounds[1].Float64s()[0]
	}
	return n.one(ir.Unary{Fn: clipAct(lo, hi)}, x)
}

// clipAct is the simplest function that clips to [lo,hi].
func clipAct(lo, hi float64) ir.Act {
	switch {
	case math.IsInf(hi, 1) && lo == 0, hi == math.MaxFloat32 && lo == 0:
		return ir.Act{Fn: ir.Relu}
	case math.IsInf(hi, 1) && math.IsInf(lo, -1):
		return ir.Act{}
	}
	return ir.Act{Fn: ir.Clip, Alpha: lo, Beta: hi}
}

func (n *node) clipAtRunTime(x *ir.Value) ([]*ir.Value, error) {
	var err error
	for i, f := range []ir.BinaryFn{ir.Max, ir.Min} {
		if b := n.arg(i + 1); b != nil {
			if x, err = n.emit(ir.Binary{Fn: f}, x, b); err != nil {
				return nil, unwrapNode(err)
			}
		}
	}
	return []*ir.Value{x}, nil
}

// prelu has its slope aligned at the channel axis before opset 7.
func prelu(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	slope, err := n.need(1)
	if err != nil {
		return nil, err
	}
	if r := x.Type.Rank(); slope.Type.Rank() == 1 && r > 2 && slope.Type.Shape[0] == x.Type.Shape[1] && (n.version < 7 || slope.Type.Shape[0] != x.Type.Shape[r-1]) && slope.Type.Shape[0] != 1 {
		if slope, err = n.alongAxis1(slope, r); err != nil {
			return nil, err
		}
	}
	return n.one(ir.PRelu{}, x, slope)
}

// binary reads two operands, with the broadcast attribute of opsets before 7.
func binary(f ir.BinaryFn) func(n *node) ([]*ir.Value, error) {
	return func(n *node) ([]*ir.Value, error) { return n.binary(f) }
}

func (n *node) binary(f ir.BinaryFn) ([]*ir.Value, error) {
	a, err := n.need(0)
	if err != nil {
		return nil, err
	}
	b, err := n.need(1)
	if err != nil {
		return nil, err
	}
	if n.version < 7 && n.int("broadcast", 0) == 1 {
		at := n.int("axis", a.Type.Rank()-b.Type.Rank())
		if at, err = axis(at, max(1, a.Type.Rank())); err != nil {
			return nil, err
		}
		if trail := a.Type.Rank() - at - b.Type.Rank(); trail > 0 {
			if b, err = n.emit(ir.Reshape{Shape: append(append(ir.Shape{}, b.Type.Shape...), repeat(1, trail)...)}, b); err != nil {
				return nil, err
			}
		}
	}
	return n.one(ir.Binary{Fn: f}, a, b)
}

func mod(n *node) ([]*ir.Value, error) {
	if n.int("fmod", 0) == 1 {
		return n.binary(ir.FMod)
	}
	return n.binary(ir.Mod)
}

func bitShift(n *node) ([]*ir.Value, error) {
	if n.str("direction", "") == "LEFT" {
		return n.binary(ir.ShiftLeft)
	}
	return n.binary(ir.ShiftRight)
}

// chain folds any number of operands from the left.
func chain(f ir.BinaryFn) func(n *node) ([]*ir.Value, error) {
	return func(n *node) ([]*ir.Value, error) {
		v, err := n.need(0)
		if err != nil {
			return nil, err
		}
		for _, b := range n.in[1:] {
			if v, err = n.emit(ir.Binary{Fn: f}, v, b); err != nil {
				return nil, unwrapNode(err)
			}
		}
		return []*ir.Value{v}, nil
	}
}

func mean(n *node) ([]*ir.Value, error) {
	sum, err := chain(ir.Add)(n)
	if err != nil || len(n.in) == 1 {
		return sum, err
	}
	v := sum[0]
	return n.one(ir.Binary{Fn: ir.Div}, v, n.constValue(ir.FromFloat64s(ir.T(v.Type.DType), []float64{float64(len(n.in))})))
}

func where(n *node) ([]*ir.Value, error) {
	if len(n.in) != 3 {
		return nil, fmt.Errorf("%d operands, want 3", len(n.in))
	}
	return n.one(ir.Where{}, n.in...)
}

func cast(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	to := int64(n.int("to", 0))
	if n.version < 6 {
		for k := range int64(24) {
			if typeNames[k] == n.str("to", "") {
				to = k
			}
		}
	}
	d, err := elementType(to)
	if err != nil {
		return nil, refusal{"cast to " + err.Error(), "float, double, integer and bool types are supported"}
	}
	if to == 10 || to == 16 {
		n.im.widened = true
	}
	if d == x.Type.DType {
		return []*ir.Value{x}, nil
	}
	return n.one(ir.Cast{To: d}, x)
}

// typeNames spells the element types as Cast did before opset 6.
var typeNames = map[int64]string{1: "FLOAT", 2: "UINT8", 3: "INT8", 4: "UINT16", 5: "INT16", 6: "INT32", 7: "INT64", 9: "BOOL", 10: "FLOAT16", 11: "DOUBLE", 12: "UINT32", 13: "UINT64"}

func castLike(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	like, err := n.need(1)
	if err != nil {
		return nil, err
	}
	if like.Type.DType == x.Type.DType {
		return []*ir.Value{x}, nil
	}
	return n.one(ir.Cast{To: like.Type.DType}, x)
}
