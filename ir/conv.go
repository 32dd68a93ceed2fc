package ir

import "fmt"

// Padding says how a convolution gets the zeros around its operand.
// choose_padding sets it.
type Padding uint8

// The values of Padding.
const (
	// PadInPlace leaves it to the machine: a border in the operand's memory, or
	// a kernel that clips its windows.
	PadInPlace Padding = iota
	// PadCopy makes a padded copy of the operand first, unless the kernel needs
	// none.
	PadCopy
)

var paddingNames = enumNames{"in-place", "copy"}

func (p Padding) String() string                { return paddingNames.name(uint8(p)) }
func (p Padding) MarshalText() ([]byte, error)  { return []byte(p.String()), nil }
func (p *Padding) UnmarshalText(b []byte) error { return paddingNames.parse(b, (*uint8)(p)) }

// enumNames spells an enumeration in the text form, in order of its values.
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

// Conv is a convolution as networks use the word: a correlation (the kernel
// is not flipped). Operands: x [N,C,D…], w [M,C/Groups,K…], bias [M],
// residual (the shape of the result), scale [C], shift [C].
//
// result = Epilogue(conv(Prologue(x·scale+shift), w) + bias + residual)
//
// with zeros outside x after the prologue.
type Conv struct {
	Strides   []int // per spatial axis
	Pads      []int // begins of all axes, then ends; negative ones crop
	Dilations []int // per spatial axis, 1 = dense
	Groups    int
	Prologue  Act
	Epilogue  Act
	Padding   Padding
}

func (Conv) Name() string { return "Conv" }

// HasPrologue reports whether x is transformed before the convolution proper,
// by the prologue's function or by scale and shift operands in in.
func (c Conv) HasPrologue(n *Node) bool {
	return !c.Prologue.IsIdentity() || n.Input(4) != nil || n.Input(5) != nil
}

func (c Conv) Infer(in []Type) ([]Type, error) {
	x, w := in[0], in[1]
	if x.Rank() < 3 {
		return typeErr("x is %s, want [N,C,D…]", x)
	}
	if w.Rank() != x.Rank() || w.DType != x.DType {
		return typeErr("weights %s do not fit x %s", w, x)
	}
	if c.Groups < 1 || x.Shape[1] != w.Shape[1]*c.Groups || w.Shape[0]%c.Groups != 0 {
		return typeErr("x has %d channels, weights %s with %d groups want %d", x.Shape[1], w.Shape, c.Groups, w.Shape[1]*c.Groups)
	}
	m := w.Shape[0]
	if err := checkChannel("bias", arg(in, 2), m, x.DType); err != nil {
		return nil, err
	}
	out := Shape{x.Shape[0], m}
	sp, err := windowShape(x.Shape[2:], w.Shape[2:], c.Strides, c.Pads, c.Dilations, nil)
	if err != nil {
		return nil, err
	}
	t := Type{x.DType, append(out, sp...)}
	if r := arg(in, 3); r.Present() && !r.Equal(t) {
		return typeErr("residual is %s, result %s", r, t)
	}
	if err := checkAffine(in, 4, x); err != nil {
		return nil, err
	}
	return one(t)
}

// checkAffine checks the optional operands scale and shift at i, i+1.
func checkAffine(in []Type, i int, x Type) error {
	if err := checkChannel("scale", arg(in, i), x.Shape[1], x.DType); err != nil {
		return err
	}
	return checkChannel("shift", arg(in, i+1), x.Shape[1], x.DType)
}

// arg returns the type of operand i, the zero Type beyond the end.
func arg(in []Type, i int) Type {
	if i < len(in) {
		return in[i]
	}
	return Type{}
}

// windowShape returns the spatial extents of a convolution or pool. extra
// (may be nil) is further padding at the ends.
func windowShape(in, kernel, strides, pads, dilations, extra []int) (Shape, error) {
	r := len(in)
	if len(kernel) != r || len(strides) != r || len(dilations) != r || len(pads) != 2*r || extra != nil && len(extra) != r {
		return nil, fmt.Errorf("%d spatial axes, but kernel %v, strides %v, dilations %v, pads %v", r, kernel, strides, dilations, pads)
	}
	out := make(Shape, r)
	for i := range out {
		if kernel[i] < 1 || strides[i] < 1 || dilations[i] < 1 {
			return nil, fmt.Errorf("kernel %v, strides %v and dilations %v must be positive", kernel, strides, dilations)
		}
		n := in[i] + pads[i] + pads[r+i]
		if extra != nil {
			n += extra[i]
		}
		span := (kernel[i]-1)*dilations[i] + 1
		if n < span {
			return nil, fmt.Errorf("spatial axis %d: a window of %d does not fit %d elements with padding %d and %d", i, span, in[i], pads[i], pads[r+i])
		}
		out[i] = (n-span)/strides[i] + 1
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
	if c.Groups < 1 || x.Shape[1] != w.Shape[0] || w.Shape[0]%c.Groups != 0 {
		return typeErr("x has %d channels, weights %s in %d groups", x.Shape[1], w.Shape, c.Groups)
	}
	r := x.Rank() - 2
	if len(c.Strides) != r || len(c.Pads) != 2*r || len(c.Dilations) != r || len(c.OutputPads) != r {
		return typeErr("%d spatial axes, but strides %v, pads %v, dilations %v, output pads %v", r, c.Strides, c.Pads, c.Dilations, c.OutputPads)
	}
	m := w.Shape[1] * c.Groups
	if err := checkChannel("bias", arg(in, 2), m, x.DType); err != nil {
		return nil, err
	}
	out := Shape{x.Shape[0], m}
	for i := range r {
		n := (x.Shape[2+i]-1)*c.Strides[i] + (w.Shape[2+i]-1)*c.Dilations[i] + 1 - c.Pads[i] - c.Pads[r+i] + c.OutputPads[i]
		if n < 0 {
			return typeErr("spatial axis %d: pads %v exceed the result", i, c.Pads)
		}
		out = append(out, n)
	}
	return one(Type{x.DType, out})
}

func convTransposeFLOPs(op Op, in, out []Type) int64 {
	w := in[1].Shape
	return 2 * int64(in[0].Shape.Len()) * int64(w[1:].Len())
}
