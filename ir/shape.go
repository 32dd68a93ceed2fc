package ir

import "slices"

// Reshape changes the shape and keeps the elements in row-major order. Front ends translate
// Flatten, Squeeze and Unsqueeze to Reshape.
type Reshape struct {
	Shape Shape
}

func (Reshape) Name() string { return "Reshape" }

func (r Reshape) Infer(in []Type) ([]Type, error) {
	if err := r.Shape.Check(); err != nil {
		return typeErr("target: %w", err)
	}
	if in[0].Shape.Len() != r.Shape.Len() {
		return typeErr("x %s has %d elements, target %s has %d", in[0], in[0].Shape.Len(), r.Shape, r.Shape.Len())
	}
	return one(Type{in[0].DType, r.Shape})
}

// Transpose permutes axes: axis i of the result is axis Perm[i] of x.
type Transpose struct {
	Perm []int
}

func (Transpose) Name() string { return "Transpose" }

func (t Transpose) Infer(in []Type) ([]Type, error) {
	if !isPermutation(t.Perm, in[0].Rank()) {
		return typeErr("%v is not a permutation of the axes of %s", t.Perm, in[0])
	}
	out := make(Shape, len(t.Perm))
	for i, p := range t.Perm {
		out[i] = in[0].Shape[p]
	}
	return one(Type{in[0].DType, out})
}

// Concat joins its operands along Axis.
type Concat struct {
	Axis int
}

func (Concat) Name() string { return "Concat" }

func (c Concat) Infer(in []Type) ([]Type, error) {
	first := in[0]
	if c.Axis < 0 || c.Axis >= first.Rank() {
		return typeErr("axis %d does not exist in %s", c.Axis, first)
	}
	out := slices.Clone(first.Shape)
	for i, t := range in[1:] {
		if t.DType != first.DType || t.Rank() != first.Rank() {
			return typeErr("operand %d is %s, operand 0 is %s", i+1, t, first)
		}
		for a := range out {
			if a != c.Axis && t.Shape[a] != first.Shape[a] {
				return typeErr("operand %d is %s, operand 0 is %s: they differ beside axis %d", i+1, t, first, c.Axis)
			}
		}
		if out[c.Axis] += t.Shape[c.Axis]; out[c.Axis] > MaxExtent {
			return typeErr("more than %d elements along axis %d", MaxExtent, c.Axis)
		}
	}
	return one(Type{first.DType, out})
}

// Slice takes Count[i] elements along each axis i, starting at Start[i], in steps of
// Step[i], which may be negative. Front ends translate a Split to several Slices.
type Slice struct {
	Start, Count, Step []int
}

func (Slice) Name() string { return "Slice" }

func (s Slice) Infer(in []Type) ([]Type, error) {
	r := in[0].Rank()
	if len(s.Start) != r || len(s.Count) != r || len(s.Step) != r {
		return typeErr("x is %s, but start %v, count %v, step %v", in[0], s.Start, s.Count, s.Step)
	}
	for i, n := range s.Count {
		last := int64(s.Start[i]) + int64(n-1)*int64(s.Step[i])
		if s.Step[i] == 0 || n > 0 && (s.Start[i] < 0 || last < 0 || s.Start[i] >= in[0].Shape[i] || last >= int64(in[0].Shape[i])) {
			return typeErr("axis %d of %s: start %d, count %d, step %d leave it", i, in[0], s.Start[i], n, s.Step[i])
		}
	}
	return one(Type{in[0].DType, Shape(slices.Clone(s.Count))})
}

// PadMode selects the elements of a border.
type PadMode uint8

// The modes, with the border on the left of the row "a b c d".
const (
	PadConstant  PadMode = iota // v v | a b c d
	PadEdge                     // a a | a b c d   (repeat)
	PadReflect                  // c b | a b c d   (mirror, edge not repeated)
	PadSymmetric                // b a | a b c d   (mirror, edge repeated)
	PadWrap                     // c d | a b c d
)

var padModeNames = enumNames{"constant", "edge", "reflect", "symmetric", "wrap"}

func (m PadMode) String() string                { return padModeNames.name(uint8(m)) }
func (m PadMode) MarshalText() ([]byte, error)  { return []byte(m.String()), nil }
func (m *PadMode) UnmarshalText(b []byte) error { return padModeNames.parse(b, (*uint8)(m)) }

// Pad adds a border of Pads: the begins of all axes, then the ends. Negative pads crop.
// Cropping comes before the border.
type Pad struct {
	Mode  PadMode
	Pads  []int
	Value float64
}

func (Pad) Name() string { return "Pad" }

func (p Pad) Infer(in []Type) ([]Type, error) {
	r := in[0].Rank()
	if len(p.Pads) != 2*r {
		return typeErr("x is %s, but pads %v", in[0], p.Pads)
	}
	if in[0].DType == Bool && p.Value != 0 && p.Value != 1 {
		return typeErr("x is %s, but the border %g is no truth value", in[0], p.Value)
	}
	out := slices.Clone(in[0].Shape)
	for i := range out {
		begin, end := int64(p.Pads[i]), int64(p.Pads[r+i])
		inner := int64(out[i]) + min(begin, 0) + min(end, 0)
		if inner < 0 {
			return typeErr("pads %v crop more than %s has", p.Pads, in[0])
		}
		if grows := begin > 0 || end > 0; grows && inner == 0 && p.Mode != PadConstant {
			return typeErr("pads %v in mode %s need elements along axis %d of %s", p.Pads, p.Mode, i, in[0])
		}
		n := int64(out[i]) + begin + end
		if n > MaxExtent {
			return typeErr("pads %v make more than %d elements along axis %d of %s", p.Pads, MaxExtent, i, in[0])
		}
		out[i] = int(n)
	}
	return one(Type{in[0].DType, out})
}

// Expand broadcasts x to Shape.
type Expand struct {
	Shape Shape
}

func (Expand) Name() string { return "Expand" }

func (e Expand) Infer(in []Type) ([]Type, error) {
	s, err := BroadcastShapes(e.Shape, in[0].Shape)
	if err != nil {
		return nil, err
	}
	if !s.Equal(e.Shape) {
		return typeErr("%s does not broadcast to %s", in[0], e.Shape)
	}
	return one(Type{in[0].DType, e.Shape})
}

// Gather takes slices of x along Axis at the positions in the operand indices, i32 or i64.
// The axes of the result are those of x, with Axis replaced by the axes of indices. A
// negative index counts from the end. An index outside the axis selects the nearest element
// in a compiled model, and is an error of the reference interpreter; see [CheckConstants].
type Gather struct {
	Axis int
}

// GatherIndices is the position of an operand of Gather.
const GatherIndices = 1

func (Gather) Name() string { return "Gather" }

func (g Gather) Infer(in []Type) ([]Type, error) {
	x, idx := in[0], in[1]
	if g.Axis < 0 || g.Axis >= x.Rank() {
		return typeErr("axis %d does not exist in %s", g.Axis, x)
	}
	if idx.DType != Int64 && idx.DType != Int32 {
		return typeErr("indices are %s, want i32 or i64", idx)
	}
	if x.Shape[g.Axis] == 0 && idx.Shape.Len() > 0 {
		return typeErr("%d indices of axis %d of %s, which has no elements", idx.Shape.Len(), g.Axis, x)
	}
	return one(Type{x.DType, slices.Concat(x.Shape[:g.Axis], idx.Shape, x.Shape[g.Axis+1:])})
}

func (g Gather) checkConstants(n *Node) error { return checkPositions(n, GatherIndices, g.Axis) }

// Interleave combines images, one for each position of a grid whose spatial extents are
// Strides. The element of the result [N,C,D…] at spatial coordinates q·Strides+p is the
// element at q of operand p, where operands are in row-major order of the grid. The
// results of ordinary convolutions, interleaved, are a transposed convolution.
type Interleave struct {
	Strides []int
}

func (Interleave) Name() string { return "Interleave" }

func (v Interleave) Infer(in []Type) ([]Type, error) {
	first := in[0]
	r := len(v.Strides)
	if r == 0 || first.Rank() != 2+r {
		return typeErr("x is %s, strides %v", first, v.Strides)
	}
	grid := Shape(v.Strides)
	if err := grid.Check(); err != nil {
		return typeErr("strides: %w", err)
	}
	if len(in) != grid.Len() {
		return typeErr("%d operands for a grid of %s", len(in), grid)
	}
	out := slices.Clone(first.Shape)
	st := grid.Strides()
	for a, s := range v.Strides {
		out[2+a] = 0
		for p := range s {
			if t := in[p*st[a]]; t.Rank() == first.Rank() {
				if out[2+a] += t.Shape[2+a]; out[2+a] > MaxExtent {
					return typeErr("more than %d elements along axis %d", MaxExtent, 2+a)
				}
			}
		}
	}
	for i, t := range in {
		want := slices.Clone(out)
		for a, s := range v.Strides {
			want[2+a] = int((int64(out[2+a]) - int64(i/st[a]%s) + int64(s) - 1) / int64(s))
		}
		if t.DType != first.DType || !t.Shape.Equal(want) {
			return typeErr("operand %d is %s, want %s", i, t, Type{first.DType, want})
		}
	}
	return one(Type{first.DType, out})
}
