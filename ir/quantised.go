package ir

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Quantised tensors hold integers q that stand for the numbers scale·(q − zero). This
// file has the ops that convert from and to them, and the ops that compute on them.
// docs/quantisation.md gives the arithmetic and its sources.

// Quantize is saturate(round(x/scale) + zero), rounded half to even, as an integer of
// type To. NaN becomes the lowest integer of To. Operands: x of floats, scale of the type
// of x, zero of type To, 0 if absent. Scale and zero broadcast to x. It is QuantizeLinear
// of ONNX.
type Quantize struct {
	To DType
}

// The positions of operands that Quantize and [Dequantize] share.
const (
	QuantizeScale = 1
	QuantizeZero  = 2
)

func (Quantize) Name() string { return "Quantize" }

func (q Quantize) Infer(in []Type) ([]Type, error) {
	x := in[0]
	if !x.DType.IsFloat() || !isQuantised(q.To) {
		return typeErr("x is %s and the result %s, want floats and an integer of 8 or 16 bits", x, q.To)
	}
	if err := checkScale(in, x.Shape, x.DType, q.To); err != nil {
		return nil, err
	}
	return one(Type{q.To, x.Shape})
}

// Dequantize is scale·(x − zero). Operands: x of integers, scale of floats, zero of the
// type of x, 0 if absent. Scale and zero broadcast to x. The result has the type of scale.
// The difference is exact. It is DequantizeLinear of ONNX.
type Dequantize struct{}

func (Dequantize) Name() string { return "Dequantize" }

func (Dequantize) Infer(in []Type) ([]Type, error) {
	x, scale := in[0], in[QuantizeScale]
	if !x.DType.IsInt() || x.DType.Size() > 4 || !scale.DType.IsFloat() {
		return typeErr("x is %s and scale %s, want integers of at most 32 bits and floats", x, scale)
	}
	if err := checkScale(in, x.Shape, scale.DType, x.DType); err != nil {
		return nil, err
	}
	return one(Type{scale.DType, x.Shape})
}

// checkScale checks the operands scale and zero of a tensor of shape s.
func checkScale(in []Type, s Shape, scale, zero DType) error {
	for i, want := range []DType{QuantizeScale: scale, QuantizeZero: zero} {
		t := arg(in, i)
		if i == 0 || !t.Present() {
			continue
		}
		if out, err := BroadcastShapes(t.Shape, s); err != nil || !out.Equal(s) || t.DType != want {
			return fmt.Errorf("scale or zero point is %s, want %s that broadcasts to %s", t, want, s)
		}
	}
	return nil
}

// DynamicQuantize quantises x of type f32 to u8 with the smallest scale that holds the
// range of x and zero. Results: the integers, their scale (f32 scalar), and their zero
// point (u8 scalar). It is DynamicQuantizeLinear of ONNX.
type DynamicQuantize struct{}

func (DynamicQuantize) Name() string { return "DynamicQuantize" }

func (DynamicQuantize) Infer(in []Type) ([]Type, error) {
	if in[0].DType != Float32 {
		return typeErr("x is %s, want f32", in[0])
	}
	return []Type{{Uint8, in[0].Shape}, T(Float32), T(Uint8)}, nil
}

// Lookup replaces each element by an element of a table: table[x − lowest], where lowest
// is the lowest integer of the type of x. Operands: x of type u8 or i8, and table [256].
// It computes every function of one quantised tensor.
type Lookup struct{}

// LookupTable is the position of an operand of Lookup.
const LookupTable = 1

func (Lookup) Name() string { return "Lookup" }

func (Lookup) Infer(in []Type) ([]Type, error) {
	x, table := in[0], in[LookupTable]
	if x.DType != Uint8 && x.DType != Int8 || !table.Shape.Equal(Shape{256}) {
		return typeErr("x is %s and the table %s, want u8 or i8, and 256 elements", x, table)
	}
	return one(Type{table.DType, x.Shape})
}

// Integer describes how a [Conv] or [Dense] computes on integers. The zero value belongs
// to nodes that compute on floats.
//
// The sums are exact: Σ(x − XZero)·w + bias, where the zero points of the weights are
// already subtracted. Elements outside x are XZero, so they add nothing. If To is
//
//   - u8 or i8, the result is clamp(round(f32(sum)·multiplier) + YZero, Lo, Hi), rounded
//     half to even, with the product in float32, and bias is i32;
//   - i32, the result is the sum, without a multiplier, and bias is i32;
//   - f32, the result is epilogue(f32(sum)·multiplier + bias), and bias is f32.
type Integer struct {
	To           DType
	XZero, YZero int
	Lo, Hi       int
}

// IsZero reports whether the node computes on floats.
func (q Integer) IsZero() bool { return q == Integer{} }

// Requantises reports whether the results are 8-bit integers.
func (q Integer) Requantises() bool { return q.To == Uint8 || q.To == Int8 }

// MarshalText writes the form u8(XZero,YZero,Lo,Hi).
func (q Integer) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%s(%d,%d,%d,%d)", q.To, q.XZero, q.YZero, q.Lo, q.Hi), nil
}

// UnmarshalText reads the form of MarshalText.
func (q *Integer) UnmarshalText(b []byte) error {
	name, rest, _ := strings.Cut(string(b), "(")
	d, err := ParseDType(name)
	if err != nil {
		return err
	}
	*q = Integer{To: d}
	fields := strings.Split(strings.TrimSuffix(rest, ")"), ",")
	if len(fields) != 4 {
		return fmt.Errorf("want TYPE(XZERO,YZERO,LO,HI), got %q", b)
	}
	return parseInts(fields, &q.XZero, &q.YZero, &q.Lo, &q.Hi)
}

// check checks q for a node with the given epilogue and types: of x, of the weights, and
// of the operands bias, multiplier and xzero of a result with m channels.
func (q Integer) check(x, w Type, m int, bias, multiplier, zero Type, epilogue Act) error {
	if x.DType != Uint8 && x.DType != Int8 || w.DType != Int8 && w.DType != Int16 {
		return fmt.Errorf("x is %s and the weights %s, want u8 or i8, and i8 or i16", x, w)
	}
	if !inRange(x.DType, q.XZero) {
		return fmt.Errorf("zero point %d of x is outside the range of %s", q.XZero, x.DType)
	}
	if zero.Present() && !zero.Equal(T(x.DType)) {
		return fmt.Errorf("zero point of x is %s, want %s", zero, T(x.DType))
	}
	biasType := Int32
	switch {
	case q.Requantises():
		if !inRange(q.To, q.YZero) || !inRange(q.To, q.Lo) || !inRange(q.To, q.Hi) || q.Lo > q.Hi {
			return fmt.Errorf("zero point %d or range [%d,%d] outside the range of %s", q.YZero, q.Lo, q.Hi, q.To)
		}
	case q.To == Int32:
		if multiplier.Present() {
			return fmt.Errorf("a multiplier with a result of sums")
		}
	case q.To == Float32:
		biasType = Float32
	default:
		return fmt.Errorf("result is %s, want u8, i8, i32 or f32", q.To)
	}
	if q.To != Int32 && !multiplier.Equal(T(Float32)) && !multiplier.Equal(T(Float32, m)) {
		return fmt.Errorf("multiplier is %s, want %s or %s", multiplier, T(Float32), T(Float32, m))
	}
	if q.To != Float32 && !epilogue.IsIdentity() {
		return fmt.Errorf("an epilogue with a result of type %s", q.To)
	}
	return checkChannel("bias", bias, m, biasType)
}

// CheckSums returns an error if a sum of a convolution or dense layer on integers could
// exceed 32 bits for some operand x, of type u8 or i8. zero is the zero point of x. computed
// means that it may be any number of the type. The weights are i8 or i16, [M,…], or [K,M] if
// columns is set. bias is [M] or nil.
func CheckSums(x DType, zero int, computed bool, weights *Tensor, columns bool, bias *Tensor) error {
	m := weights.Shape[0]
	if columns {
		m = weights.Shape[1]
	}
	// The sums of the negative and of the positive weights of each channel.
	negative, positive := make([]int64, m), make([]int64, m)
	if weights.DType == Int8 {
		addBySign(Elements[int8](weights), columns, negative, positive)
	} else {
		addBySign(Elements[int16](weights), columns, negative, positive)
	}
	lo, hi := distances(x, zero, computed)
	for o := range m {
		start := int64(0)
		if bias != nil {
			start = int64(Elements[int32](bias)[o])
		}
		if err := checkSum(o, start+positive[o]*lo+negative[o]*hi, start+positive[o]*hi+negative[o]*lo); err != nil {
			return err
		}
	}
	return nil
}

// CheckComputedSums is like [CheckSums] for weights of the given type that the graph
// computes. A sum has k products.
func CheckComputedSums(x DType, zero int, computed bool, weights DType, k int) error {
	lo, hi := distances(x, zero, computed)
	largest := int64(255) // of a difference of two bytes
	if weights == Int8 {
		largest = 128
	}
	largest *= int64(k) * max(-lo, hi)
	return checkSum(0, -largest, largest)
}

// distances returns the range of x − zero for integers of type x.
func distances(x DType, zero int, computed bool) (least, most int64) {
	lo, hi := x.Range()
	if computed {
		return int64(lo - hi), int64(hi - lo)
	}
	return int64(lo - zero), int64(hi - zero)
}

func checkSum(channel int, least, most int64) error {
	if least < math.MinInt32 || most > math.MaxInt32 {
		return fmt.Errorf("the sums of channel %d may lie between %d and %d, beyond 32 bits", channel, least, most)
	}
	return nil
}

// addBySign adds the weights of each channel to negative or positive.
func addBySign[T int8 | int16](w []T, columns bool, negative, positive []int64) {
	m := len(positive)
	for i, v := range w {
		o := i % m
		if !columns {
			o = i / (len(w) / m)
		}
		if v < 0 {
			negative[o] += int64(v)
		} else {
			positive[o] += int64(v)
		}
	}
}

// QBinary is Add or Mul of quantised tensors that broadcast. Operands: a and b, u8 or i8.
// With A = AScale and B = BScale, both float32, and every operation rounded to float32:
//
//	Add: clamp(round(f32(a−AZero)·A + f32(b−BZero)·B) + YZero, Lo, Hi)
//	Mul: clamp(round(f32((a−AZero)·(b−BZero))·A) + YZero, Lo, Hi)
//
// AScale is the scale of a divided by that of the result; for Mul it is also multiplied by
// the scale of b.
type QBinary struct {
	Fn                  BinaryFn
	To                  DType
	AScale, BScale      float64
	AZero, BZero, YZero int
	Lo, Hi              int
}

func (QBinary) Name() string { return "QBinary" }

func (q QBinary) Infer(in []Type) ([]Type, error) {
	a, b := in[0], in[1]
	s, err := BroadcastShapes(a.Shape, b.Shape)
	if err != nil {
		return nil, err
	}
	if q.Fn != Add && q.Fn != Mul {
		return typeErr("%s of quantised tensors", q.Fn)
	}
	if !isByte(a.DType) || !isByte(b.DType) || !isByte(q.To) {
		return typeErr("operands %s and %s and result %s, want u8 or i8", a, b, q.To)
	}
	if !inRange(a.DType, q.AZero) || !inRange(b.DType, q.BZero) || !inRange(q.To, q.YZero) || !inRange(q.To, q.Lo) || !inRange(q.To, q.Hi) || q.Lo > q.Hi {
		return typeErr("zero points %d, %d, %d or range [%d,%d] outside the range of their types", q.AZero, q.BZero, q.YZero, q.Lo, q.Hi)
	}
	if !isScale(q.AScale) || q.Fn == Add && !isScale(q.BScale) {
		return typeErr("scales %g and %g, want positive float32", q.AScale, q.BScale)
	}
	return one(Type{q.To, s})
}

// MarshalText writes the form Add/u8(AScale,BScale,AZero,BZero,YZero,Lo,Hi), which the
// attribute Sum of [Conv] has.
func (q QBinary) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%s/%s(%s,%s,%d,%d,%d,%d,%d)", q.Fn, q.To, formatFloat(q.AScale, 64), formatFloat(q.BScale, 64), q.AZero, q.BZero, q.YZero, q.Lo, q.Hi), nil
}

// UnmarshalText reads the form of MarshalText.
func (q *QBinary) UnmarshalText(b []byte) error {
	names, list, _ := strings.Cut(string(b), "(")
	fn, to, _ := strings.Cut(names, "/")
	d, err := ParseDType(to)
	if err != nil {
		return err
	}
	*q = QBinary{To: d}
	if err := q.Fn.UnmarshalText([]byte(fn)); err != nil {
		return err
	}
	fields := strings.Split(strings.TrimSuffix(list, ")"), ",")
	scales, integers := []*float64{&q.AScale, &q.BScale}, []*int{&q.AZero, &q.BZero, &q.YZero, &q.Lo, &q.Hi}
	if len(fields) != len(scales)+len(integers) {
		return fmt.Errorf("want FN/TYPE(ASCALE,BSCALE,AZERO,BZERO,YZERO,LO,HI), got %q", b)
	}
	for i, p := range scales {
		if *p, err = strconv.ParseFloat(fields[i], 64); err != nil {
			return err
		}
	}
	return parseInts(fields[len(scales):], integers...)
}

// parseInts parses decimal numbers.
func parseInts(fields []string, to ...*int) (err error) {
	for i, p := range to {
		if *p, err = strconv.Atoi(fields[i]); err != nil {
			return err
		}
	}
	return nil
}

// QAveragePool is the average over windows of the quantised tensor x [N,C,D…], as [Pool]:
//
//	clamp(round(f32(Σ(x−XZero))·m) + YZero), m = XScale/(YScale·n)
//
// n is the number of elements that the average divides by. All operations are rounded to
// float32. A window as large as x makes it the global average.
type QAveragePool struct {
	To             DType
	Kernel         []int
	Strides        []int
	Pads           []int
	Extra          []int
	Dilations      []int
	CountPad       bool
	XScale, YScale float64
	XZero, YZero   int
}

func (QAveragePool) Name() string { return "QAveragePool" }

// Pool returns the pool with the same windows.
func (q QAveragePool) Pool() Pool {
	return Pool{Kind: AvgPool, Kernel: q.Kernel, Strides: q.Strides, Pads: q.Pads, Extra: q.Extra, Dilations: q.Dilations, CountPad: q.CountPad}
}

func (q QAveragePool) Infer(in []Type) ([]Type, error) {
	x := in[0]
	if !isByte(x.DType) || !isByte(q.To) {
		return typeErr("x is %s and the result %s, want u8 or i8", x, q.To)
	}
	if !inRange(x.DType, q.XZero) || !inRange(q.To, q.YZero) {
		return typeErr("zero points %d and %d outside the range of their types", q.XZero, q.YZero)
	}
	if !isScale(q.XScale) || !isScale(q.YScale) {
		return typeErr("scales %g and %g, want positive float32", q.XScale, q.YScale)
	}
	out, err := q.Pool().Infer(in)
	if err != nil {
		return nil, err
	}
	return one(Type{q.To, out[0].Shape})
}

// Range returns the lowest and highest integer of an 8- or 16-bit type.
func (d DType) Range() (lo, hi int) {
	switch d {
	case Int8:
		return math.MinInt8, math.MaxInt8
	case Uint8:
		return 0, math.MaxUint8
	case Int16:
		return math.MinInt16, math.MaxInt16
	case Uint16:
		return 0, math.MaxUint16
	}
	panic("ir: Range of " + d.String())
}

func isQuantised(d DType) bool { return d.IsInt() && d.Size() <= 2 }

func isByte(d DType) bool { return d == Uint8 || d == Int8 }

func inRange(d DType, x int) bool {
	lo, hi := d.Range()
	return x >= lo && x <= hi
}

// isScale reports whether s is a positive finite float32.
func isScale(s float64) bool {
	return s > 0 && !math.IsInf(s, 0) && float64(float32(s)) == s
}
