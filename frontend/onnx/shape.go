package onnx

import (
	"slices"

	"modelc/ir"
)

var shapeOps = []operator{
	{name: "Reshape", operands: 1, most: []most{{5, 2}}, becomes: "Reshape", build: reshape},
	{name: "Flatten", operands: 1, becomes: "Reshape", build: flatten},
	{name: "Squeeze", operands: 1, most: []most{{13, 2}}, becomes: "Reshape", build: squeeze},
	{name: "Unsqueeze", operands: 1, most: []most{{13, 2}}, becomes: "Reshape", build: unsqueeze},
	{name: "Transpose", operands: 1, becomes: "Transpose", build: transpose},
	{name: "Concat", operands: 1, most: []most{{1, anyNumber}}, becomes: "Concat", build: concat},
	{name: "Split", operands: 1, most: []most{{1, 2}, {2, 1}, {13, 2}}, becomes: "Slice", build: split},
	{name: "Slice", operands: 1, most: []most{{10, 5}}, becomes: "Slice", limits: "starts, ends, axes and steps are constant", build: slice},
	{name: "DynamicSlice", operands: 3, most: []most{{1, 4}}, becomes: "Slice", limits: "starts, ends and axes are constant", build: slice},
	{name: "Crop", operands: 1, becomes: "Slice", build: crop},
	{name: "Pad", operands: 1, most: []most{{11, 3}, {18, 4}}, becomes: "Pad", limits: "pads and value are constant", build: pad},
	{name: "Expand", since: 8, operands: 2, becomes: "Expand", limits: "the shape is constant", build: expand},
	{name: "Tile", operands: 2, most: []most{{1, 3}, {6, 2}}, becomes: "Reshape, Expand", limits: "repeats are constant", build: tile},
	{name: "DepthToSpace", operands: 1, becomes: "Reshape, Transpose", build: depthToSpace},
	{name: "SpaceToDepth", operands: 1, becomes: "Reshape, Transpose", build: spaceToDepth},
}

func reshape(n *node) []*ir.Value {
	x := n.in[0]
	target, ok := n.attrOrList("shape", 1)
	if !ok {
		n.failf("no target shape")
	}
	s := slices.Clone(target)
	if len(s) > 0 {
		s[0] = n.im.rebatch(x, s[0])
	}
	open, rest := -1, int64(1)
	for i, d := range s {
		switch {
		case d == 0 && !n.flag("allowzero", false):
			if i >= x.Type.Rank() {
				n.failf("target %v copies axis %d, which x does not have", target, i)
			}
			s[i] = x.Type.Shape[i]
		case d == -1 && open < 0:
			open = i
			continue
		case d < 0:
			n.failf("target %v has a negative extent", target)
		}
		if rest *= int64(s[i]); rest > ir.MaxExtent {
			n.failf("target %v has more than %d elements", target, ir.MaxExtent)
		}
	}
	if open >= 0 {
		s[open] = 0
		if rest > 0 {
			s[open] = x.Type.Shape.Len() / int(rest)
		}
	}
	return n.one(ir.Reshape{Shape: s}, x)
}

func flatten(n *node) []*ir.Value {
	s := n.in[0].Type.Shape
	a := n.int("axis", 1)
	if a < 0 {
		a += len(s)
	}
	if a < 0 || a > len(s) {
		n.failf("axis %d of a tensor of %d axes", n.int("axis", 1), len(s))
	}
	return n.one(ir.Reshape{Shape: ir.Shape{s[:a].Len(), s[a:].Len()}}, n.in[0])
}

func squeeze(n *node) []*ir.Value {
	x := n.in[0]
	list, given := n.attrOrList("axes", 1)
	list = n.axes(list, x.Type.Rank())
	s := ir.Shape{}
	for i, d := range x.Type.Shape {
		named := slices.Contains(list, i)
		if named && d != 1 {
			n.failf("axis %d has extent %d", i, d)
		}
		if !named && (given || d != 1) {
			s = append(s, d)
		}
	}
	return n.one(ir.Reshape{Shape: s}, x)
}

func unsqueeze(n *node) []*ir.Value {
	x := n.in[0]
	list, _ := n.attrOrList("axes", 1)
	r := x.Type.Rank() + len(list)
	if list = n.axes(list, r); x.Type.Rank()+len(list) != r {
		n.failf("an axis is listed twice")
	}
	s := slices.Clone(x.Type.Shape)
	for _, a := range list {
		s = slices.Insert(s, a, 1)
	}
	return n.one(ir.Reshape{Shape: s}, x)
}

func transpose(n *node) []*ir.Value {
	perm := n.ints("perm")
	if perm == nil {
		perm = upTo(0, n.in[0].Type.Rank())
		slices.Reverse(perm)
	}
	return n.one(ir.Transpose{Perm: perm}, n.in[0])
}

func concat(n *node) []*ir.Value {
	for i, v := range n.in {
		if v == nil {
			n.failf("operand %d is missing", i)
		}
	}
	const axisBefore4 = 1 // the default before opset 4; the attribute is required since
	return n.one(ir.Concat{Axis: n.axis(n.int("axis", axisBefore4), n.in[0].Type.Rank())}, n.in...)
}

func split(n *node) []*ir.Value {
	x := n.in[0]
	a := n.axis(n.int("axis", 0), x.Type.Rank())
	sizes, ok := n.attrOrList("split", 1)
	if !ok {
		// Equal parts; the last part may be smaller.
		total, num := int64(x.Type.Shape[a]), int64(len(n.p.outputs))
		each := (total + num - 1) / num
		for i := range num {
			sizes = append(sizes, int(max(0, min(each, total-i*each))))
		}
	}
	return n.parts(x, a, sizes)
}

// parts splits x along an axis.
func (n *node) parts(x *ir.Value, axis int, sizes []int) []*ir.Value {
	n.legal("parts", int64(len(sizes)))
	var out []*ir.Value
	at := 0
	for _, k := range sizes {
		s := whole(x.Type.Shape)
		s.Start[axis], s.Count[axis] = at, k
		out = append(out, n.emit(s, x))
		at += k
	}
	if at != x.Type.Shape[axis] {
		n.failf("parts %v of an axis of %d", sizes, x.Type.Shape[axis])
	}
	return out
}

// whole returns the slice of a whole tensor.
func whole(s ir.Shape) ir.Slice {
	return ir.Slice{Start: repeat(0, len(s)), Count: slices.Clone(s), Step: repeat(1, len(s))}
}

// slice imports Slice. Before opset 10 its arguments are attributes.
func slice(n *node) []*ir.Value {
	x := n.in[0]
	r := x.Type.Rank()
	starts, _ := n.clampedList("starts", 1)
	ends, _ := n.clampedList("ends", 2)
	axes, ok := n.attrOrList("axes", 3)
	if !ok {
		axes = upTo(0, len(starts))
	}
	steps, ok := n.clampedList("steps", 4)
	if !ok {
		steps = repeat(1, len(starts))
	}
	if len(ends) != len(starts) || len(axes) != len(starts) || len(steps) != len(starts) {
		n.failf("starts %v, ends %v, axes %v, steps %v", starts, ends, axes, steps)
	}
	s := whole(x.Type.Shape)
	for i := range starts {
		a := n.axis(axes[i], r)
		d := int64(x.Type.Shape[a])
		from, to := int64(starts[i]), int64(ends[i])
		if from < 0 {
			from += d
		}
		if to < 0 {
			to += d
		}
		// All steps that are larger than the axis have the same result.
		step := min(max(int64(steps[i]), -max(d, 1)), max(d, 1))
		switch {
		case step > 0:
			from, to = min(max(from, 0), d), min(max(to, 0), d)
			s.Count[a] = int(max(0, (to-from+step-1)/step))
		case step < 0:
			from, to = min(max(from, -1), d-1), min(max(to, -1), d-1)
			s.Count[a] = int(max(0, (from-to-step-1)/-step))
		default:
			n.failf("step 0")
		}
		s.Start[a], s.Step[a] = int(from), int(step)
	}
	return n.one(s, x)
}

// crop imports Crop, which ONNX had before opset 7, and ONNX Runtime still has. border has the
// widths to remove at the left, top, right and bottom. scale, if present, has the height and
// the width of the result.
func crop(n *node) []*ir.Value {
	x := n.in[0]
	border, size := n.ints("border"), n.ints("scale")
	if x.Type.Rank() != 4 || len(border) != 4 || size != nil && len(size) != 2 {
		n.failf("border %v and scale %v, want [left,top,right,bottom] and [height,width] for x [N,C,H,W]", border, size)
	}
	s := whole(x.Type.Shape)
	for i := range 2 {
		s.Start[2+i] = border[1-i]
		s.Count[2+i] = x.Type.Shape[2+i] - border[1-i] - border[3-i]
		if size != nil {
			s.Count[2+i] = size[i]
		}
	}
	return n.one(s, x)
}

var padModes = map[string]ir.PadMode{"constant": ir.PadConstant, "reflect": ir.PadReflect, "edge": ir.PadEdge, "wrap": ir.PadWrap}

// pad imports Pad. Before opset 11, pads and value are attributes. Since opset 18 it
// has axes.
func pad(n *node) []*ir.Value {
	x := n.in[0]
	r := x.Type.Rank()
	pads, _ := n.attrOrList("pads", 1)
	if n.version < 2 {
		pads = n.ints("paddings")
	}
	value := n.float("value", 0)
	if n.version >= 11 {
		if t := n.constant(2, "the value"); t != nil && t.Shape.Len() == 1 {
			value = t.Float64s()[0]
		}
		if axes, ok := n.list(3, "axes"); ok {
			if len(pads) != 2*len(axes) {
				n.failf("pads %v for axes %v", pads, axes)
			}
			all := repeat(0, 2*r)
			for i, a := range axes {
				a = n.axis(a, r)
				all[a], all[r+a] = pads[i], pads[len(axes)+i]
			}
			pads = all
		}
	}
	mode, ok := padModes[n.str("mode", "constant")]
	if !ok {
		n.failf("mode %q", n.str("mode", ""))
	}
	return n.one(ir.Pad{Mode: mode, Pads: pads, Value: value}, x)
}

func expand(n *node) []*ir.Value {
	dims, _ := n.list(1, "the shape")
	s, err := ir.BroadcastShapes(n.in[0].Type.Shape, dims)
	if err != nil {
		n.fail(err)
	}
	return n.one(ir.Expand{Shape: s}, n.in[0])
}

// tile imports Tile by expanding a new axis before each repeated axis. It expands all
// axes together unless this exceeds the maximum rank; then it expands them one by one.
func tile(n *node) []*ir.Value {
	x := n.in[0]
	if n.version < 6 { // tiles along one axis, as tensors of the type of x
		a := n.axis(n.legal("axis", int64(n.scalar(2, "axis", 0))), x.Type.Rank())
		reps := repeat(1, x.Type.Rank())
		reps[a] = n.legal("repeats", int64(n.scalar(1, "tiles", 1)))
		return []*ir.Value{n.tiled(x, reps)}
	}
	reps, _ := n.list(1, "repeats")
	if len(reps) != x.Type.Rank() {
		n.failf("repeats %v for x %s", reps, x.Type)
	}
	if 2*len(reps) <= ir.MaxRank {
		return []*ir.Value{n.tiled(x, reps)}
	}
	for i, r := range reps {
		if r != 1 {
			s := x.Type.Shape
			outer, d, inner := s[:i].Len(), s[i], s[i+1:].Len()
			y := n.tiled(n.reshape(x, ir.Shape{outer, d, inner}), []int{1, r, 1})
			x = n.reshape(y, slices.Concat(s[:i], ir.Shape{n.legal("shape", int64(r)*int64(d))}, s[i+1:]))
		}
	}
	return []*ir.Value{x}
}

func (n *node) tiled(x *ir.Value, reps []int) *ir.Value {
	var apart, wide, out ir.Shape
	for i, d := range x.Type.Shape {
		if reps[i] != 1 {
			apart, wide = append(apart, 1), append(wide, reps[i])
		}
		apart, wide, out = append(apart, d), append(wide, d), append(out, n.legal("shape", int64(reps[i])*int64(d)))
	}
	return n.reshape(n.emit(ir.Expand{Shape: wide}, n.reshape(x, apart)), out)
}

func depthToSpace(n *node) []*ir.Value {
	s := n.in[0].Type.Shape
	b := n.int("blocksize", 0)
	if len(s) != 4 || b < 1 || int64(s[1])%(int64(b)*int64(b)) != 0 {
		n.failf("blocks of %d", b)
	}
	c := s[1] / b / b
	out := ir.Shape{s[0], c, n.legal("shape", int64(s[2])*int64(b)), n.legal("shape", int64(s[3])*int64(b))}
	if n.str("mode", "DCR") == "CRD" {
		return n.shuffle(ir.Shape{s[0], c, b, b, s[2], s[3]}, []int{0, 1, 4, 2, 5, 3}, out)
	}
	return n.shuffle(ir.Shape{s[0], b, b, c, s[2], s[3]}, []int{0, 3, 4, 1, 5, 2}, out)
}

func spaceToDepth(n *node) []*ir.Value {
	s := n.in[0].Type.Shape
	b := n.int("blocksize", 0)
	if len(s) != 4 || b < 1 || s[2]%b != 0 || s[3]%b != 0 {
		n.failf("blocks of %d", b)
	}
	return n.shuffle(ir.Shape{s[0], s[1], s[2] / b, b, s[3] / b, b}, []int{0, 3, 5, 1, 2, 4}, ir.Shape{s[0], n.legal("shape", int64(s[1])*int64(b)*int64(b)), s[2] / b, s[3] / b})
}

// shuffle splits the axes of operand 0, permutes them and merges them.
func (n *node) shuffle(split ir.Shape, perm []int, out ir.Shape) []*ir.Value {
	return n.one(ir.Reshape{Shape: out}, n.transpose(n.reshape(n.in[0], split), perm...))
}
