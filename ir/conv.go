package ir

import (
	"fmt"
	"slices"
)

// Padding selects the source of the zeros around the operand of a convolution. The pass
// choose_padding sets it.
type Padding uint8

// The values of Padding.
const (
	// PadInPlace means a border in the memory of the operand, or a kernel that clips
	// its windows. The machine decides which.
	PadInPlace Padding = iota
	// PadCopy means a padded copy of the operand, unless the kernel needs no padding.
	PadCopy
)

var paddingNames = enumNames{"in-place", "copy"}

func (p Padding) String() string                { return paddingNames.name(uint8(p)) }
func (p Padding) MarshalText() ([]byte, error)  { return []byte(p.String()), nil }
func (p *Padding) UnmarshalText(b []byte) error { return paddingNames.parse(b, (*uint8)(p)) }

// enumNames holds the names of the values of an enumeration in the text form, in order.
type enumNames []string

func (e enumNames) name(i uint8) string {
	if int(i) < len(e) {
		return e[i]
	}
	return fmt.Sprintf("%d?", i)
}

func (e enumNames) parse(b []byte, p *uint8) error {
	for i, n := range e {
		if n == string(b) {
			*p = uint8(i)
			return nil
		}
	}
	return fmt.Errorf("unknown value %q, want one of %v", b, []string(e))
}

// Conv is a convolution. As in neural networks, it is a correlation: the kernel is not
// flipped. Operands: x [N,C,D…], w [M,C/Groups,K…], bias [M], residual with the shape of
// the result, scale [C], shift [C].
//
//	result = Epilogue(conv(Prologue(x·scale+shift), w) + bias + residual)
//
// Elements outside x are zero after the prologue. If x has elements of type bf16, so have w,
// the residual and the result, and the prologue rounds to bf16; the other operands are f32,
// and sums have at least the precision of f32. With Integer, the result is that of
// [Integer]. If there is a residual, Sum adds it to that result, which is u8 or i8.
type Conv struct {
	Strides   []int // per spatial axis
	Pads      []int // begins of all axes, then ends; negative ones crop
	Dilations []int // per spatial axis, 1 = dense
	Groups    int
	Prologue  Act
	Epilogue  Act
	Padding   Padding
	Integer   Integer // of convolutions on integers, which have no scale, shift or prologue
	Sum       QBinary // the sum of the requantised result, its first operand, and the residual
}

// The positions of operands that Conv, [ConvTranspose] and [Dense] share.
const (
	Weights = 1
	Bias    = 2
)

// The positions of further operands of Conv.
const (
	ConvResidual = 3
	ConvScale    = 4
	ConvShift    = 5
	// Of convolutions on integers, see [Integer].
	ConvMultiplier = 6 // f32, a scalar or [M]
	ConvXZero      = 7 // the zero point of x in place of Integer.XZero, a scalar
)

func (Conv) Name() string { return "Conv" }

// IsDepthwise reports whether each channel of x has one filter of its own.
func (c Conv) IsDepthwise(x, w Shape) bool {
	return c.Groups == x[1] && c.Groups == w[0] && c.Groups > 1
}

func (c Conv) Infer(in []Type) ([]Type, error) {
	x, w := in[0], in[1]
	if x.Rank() < 3 {
		return typeErr("x is %s, want [N,C,D…]", x)
	}
	if w.Rank() != x.Rank() || w.DType != x.DType && c.Integer.IsZero() {
		return typeErr("weights %s do not fit x %s", w, x)
	}
	if want := int64(w.Shape[1]) * int64(c.Groups); int64(x.Shape[1]) != want || w.Shape[0]%c.Groups != 0 {
		return typeErr("x has %d channels, weights %s with %d groups want %d", x.Shape[1], w.Shape, c.Groups, want)
	}
	m := w.Shape[0]
	sp, err := windowShape(x.Shape, w.Shape[2:], c.Strides, c.Pads, c.Dilations, nil)
	if err != nil {
		return nil, err
	}
	t := Type{x.DType, append(Shape{x.Shape[0], m}, sp...)}
	if !c.Integer.IsZero() {
		if arg(in, ConvScale).Present() || arg(in, ConvShift).Present() || !c.Prologue.IsIdentity() {
			return typeErr("a prologue with integers")
		}
		t.DType = c.Integer.To
		if err := c.Integer.check(x, w, m, arg(in, Bias), arg(in, ConvMultiplier), arg(in, ConvXZero), c.Epilogue); err != nil {
			return nil, err
		}
		return c.inferSum(t, arg(in, ConvResidual))
	}
	if arg(in, ConvMultiplier).Present() || arg(in, ConvXZero).Present() || c.Sum != (QBinary{}) {
		return typeErr("a multiplier, zero point or quantised sum with floats")
	}
	perChannel := x
	if x.DType == BFloat16 {
		perChannel.DType = Float32
	}
	if err := checkChannel("bias", arg(in, Bias), m, perChannel.DType); err != nil {
		return nil, err
	}
	if r := arg(in, 3); r.Present() && !r.Equal(t) {
		return typeErr("residual is %s, result %s", r, t)
	}
	if err := checkAffine(in, 4, perChannel); err != nil {
		return nil, err
	}
	return one(t)
}

// inferSum returns the type of the result of a convolution on integers that requantises to
// t, with the given residual.
func (c Conv) inferSum(t, residual Type) ([]Type, error) {
	switch sums := c.Sum != (QBinary{}); {
	case sums != residual.Present():
		return typeErr("a residual or a quantised sum without the other")
	case !sums:
		return one(t)
	case c.Sum.AZero != c.Integer.YZero:
		return typeErr("zero points %d and %d of one result", c.Integer.YZero, c.Sum.AZero)
	case c.Sum.Fn != Add || !c.Integer.Requantises() || !residual.Shape.Equal(t.Shape):
		return typeErr("%s of result %s and residual %s, want Add of u8 or i8 of one shape", c.Sum.Fn, t, residual)
	}
	return c.Sum.Infer([]Type{t, residual})
}

// checkAffine checks the optional operands scale and shift at i, i+1.
func checkAffine(in []Type, i int, x Type) error {
	if err := checkChannel("scale", arg(in, i), x.Shape[1], x.DType); err != nil {
		return err
	}
	return checkChannel("shift", arg(in, i+1), x.Shape[1], x.DType)
}

// arg returns the type of operand i, or the zero Type beyond the end of in.
func arg(in []Type, i int) Type {
	if i < len(in) {
		return in[i]
	}
	return Type{}
}

// windowShape returns the spatial extents of a convolution or pool of x. extra, which may
// be nil, is further padding at the ends. If pads crops such an end, windowShape fails,
// because windows would reach cropped elements. It also fails if x with its padding is not a
// legal tensor, because a back end may store it.
func windowShape(x Shape, kernel, strides, pads, dilations, extra []int) (Shape, error) {
	in := x[2:]
	r := len(in)
	if len(kernel) != r || len(strides) != r || len(dilations) != r || len(pads) != 2*r || extra != nil && len(extra) != r {
		return nil, fmt.Errorf("%d spatial axes, but kernel %v, strides %v, dilations %v, pads %v", r, kernel, strides, dilations, pads)
	}
	out := make(Shape, r)
	padded := slices.Clone(x)
	for i := range out {
		if kernel[i] < 1 || strides[i] < 1 || dilations[i] < 1 {
			return nil, fmt.Errorf("kernel %v, strides %v and dilations %v must be positive", kernel, strides, dilations)
		}
		begin, end := int64(pads[i]), int64(pads[r+i])
		if int64(in[i])+min(begin, 0)+min(end, 0) < 0 {
			return nil, fmt.Errorf("spatial axis %d: padding %d and %d crops more than %d elements", i, begin, end, in[i])
		}
		if extra != nil {
			if extra[i] >= strides[i] {
				return nil, fmt.Errorf("spatial axis %d: the room of %d that ceil_mode adds is not below the stride of %d", i, extra[i], strides[i])
			}
			if extra[i] > 0 && end < 0 {
				return nil, fmt.Errorf("spatial axis %d: padding of %d crops the end, behind which ceil_mode adds room of %d", i, end, extra[i])
			}
			end += int64(extra[i])
		}
		n, window := int64(in[i])+begin+end, span(kernel[i], dilations[i])
		if n < window {
			return nil, fmt.Errorf("spatial axis %d: a window of %d does not fit %d elements with padding %d and %d", i, window, in[i], pads[i], pads[r+i])
		}
		padded[2+i] = int(n)
		out[i] = int((n-window)/int64(strides[i])) + 1
	}
	if err := padded.Check(); err != nil {
		return nil, fmt.Errorf("x with its padding: %w", err)
	}
	return out, nil
}

func convFLOPs(op Op, in, out []Type) int64 {
	w := in[1].Shape
	perOut := int64(w[1:].Len()) * 2
	return perOut * outLen(out)
}

// ConvTranspose is the gradient of a convolution with respect to its input.
// Operands: x [N,C,D…], w [C,M/Groups,K…], bias [M].
type ConvTranspose struct {
	Strides    []int
	Pads       []int // cropped from the full result: begins, then ends
	Dilations  []int
	OutputPads []int // added at the ends of the result
	Groups     int
	Epilogue   Act
}

func (ConvTranspose) Name() string { return "ConvTranspose" }

func (c ConvTranspose) Infer(in []Type) ([]Type, error) {
	x, w := in[0], in[1]
	if x.Rank() < 3 || w.Rank() != x.Rank() || w.DType != x.DType {
		return typeErr("weights %s do not fit x %s", w, x)
	}
	if x.Shape[1] != w.Shape[0] || w.Shape[0]%c.Groups != 0 {
		return typeErr("x has %d channels, weights %s in %d groups", x.Shape[1], w.Shape, c.Groups)
	}
	r := x.Rank() - 2
	if len(c.Strides) != r || len(c.Pads) != 2*r || len(c.Dilations) != r || len(c.OutputPads) != r {
		return typeErr("%d spatial axes, but strides %v, pads %v, dilations %v, output pads %v", r, c.Strides, c.Pads, c.Dilations, c.OutputPads)
	}
	if int64(w.Shape[1])*int64(c.Groups) > MaxExtent {
		return typeErr("weights %s in %d groups make more than %d channels", w.Shape, c.Groups, MaxExtent)
	}
	m := w.Shape[1] * c.Groups
	if err := checkChannel("bias", arg(in, 2), m, x.DType); err != nil {
		return nil, err
	}
	out, full := Shape{x.Shape[0], m}, Shape{x.Shape[0], m}
	for i := range r {
		if w.Shape[2+i] < 1 {
			return typeErr("weights %s have no taps", w.Shape)
		}
		n := int64(x.Shape[2+i]-1)*int64(c.Strides[i]) + span(w.Shape[2+i], c.Dilations[i])
		begin, end := int64(c.Pads[i]), int64(c.Pads[r+i])-int64(c.OutputPads[i])
		if n < 0 || begin > n || n-begin-end < 0 {
			return typeErr("spatial axis %d: pads %v exceed the result", i, c.Pads)
		}
		whole := n - min(begin, 0) - min(end, 0) // before it is cropped
		if whole > MaxExtent {
			return typeErr("spatial axis %d: a result of %d elements before it is cropped, more than %d", i, whole, MaxExtent)
		}
		full = append(full, int(whole))
		out = append(out, int(n-begin-end))
	}
	if err := full.Check(); err != nil {
		return typeErr("the result before it is cropped: %w", err)
	}
	return one(Type{x.DType, out})
}

func convTransposeFLOPs(op Op, in, out []Type) int64 {
	w := in[1].Shape
	return 2 * int64(in[0].Shape.Len()) * int64(w[1:].Len())
}
