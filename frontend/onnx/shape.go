package onnx

import (
	"fmt"
	"slices"

	"modelc/ir"
)

var _ = register("shape", map[string]operator{
	"Reshape":      {build: reshape},
	"Flatten":      {build: flatten},
	"Squeeze":      {build: squeeze},
	"Unsqueeze":    {build: unsqueeze},
	"Transpose":    {build: transpose},
	"Concat":       {build: concat},
	"Split":        {build: split},
	"Slice":        {build: slice},
	"Pad":          {build: pad},
	"Expand":       {since: 8, build: expand},
	"Tile":         {build: tile},
	"Gather":       {build: gather},
	"DepthToSpace": {build: depthToSpace},
	"SpaceToDepth": {build: spaceToDepth},
})

// listArg reads integers from an attribute, or from operand i in opsets where
// they moved there.
func (n *node) listArg(name string, i int) ([]int, bool, error) {
	if a := n.attr(name); a != nil {
		return n.ints(name), true, nil
	}
	if n.arg(i) == nil {
		return nil, false, nil
	}
	v, err := n.argInts(i, name)
	return v, true, err
}

func (n *node) reshapeTo(x *ir.Value, s ir.Shape) ([]*ir.Value, error) {
	return n.one(ir.Reshape{Shape: s}, x)
}

func reshape(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	dims, ok, err := n.listArg("shape", 1)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("no target shape")
	}
	s := slices.Clone(dims)
	open := -1
	rest := 1
	for i, d := range s {
		switch {
		case d == 0 && n.int("allowzero", 0) == 0:
			if i >= x.Type.Rank() {
				return nil, fmt.Errorf("target %v copies axis %d, which x does not have", dims, i)
			}
			s[i] = x.Type.Shape[i]
		case d == -1 && open < 0:
			open = i
			continue
		case d < 0:
			return nil, fmt.Errorf("target %v", dims)
		}
		rest *= s[i]
	}
	if open >= 0 {
		s[open] = 0
		if rest > 0 {
			s[open] = x.Type.Shape.Len() / rest
		}
	}
	return n.reshapeTo(x, s)
}

func flatten(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	s := x.Type.Shape
	a := n.int("axis", 1)
	if a < 0 {
		a += len(s)
	}
	if a < 0 || a > len(s) {
		return nil, fmt.Errorf("axis %d", a)
	}
	return n.reshapeTo(x, ir.Shape{s[:a].Len(), s[a:].Len()})
}

func squeeze(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	list, given, err := n.listArg("axes", 1)
	if err != nil {
		return nil, err
	}
	if list, err = axes(list, x.Type.Rank()); err != nil {
		return nil, err
	}
	s := ir.Shape{}
	for i, d := range x.Type.Shape {
		if given && slices.Contains(list, i) && d != 1 {
			return nil, fmt.Errorf("axis %d has extent %d", i, d)
		}
		if given && slices.Contains(list, i) || !given && d == 1 {
			continue
		}
		s = append(s, d)
	}
	return n.reshapeTo(x, s)
}

func unsqueeze(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	list, _, err := n.listArg("axes", 1)
	if err != nil {
		return nil, err
	}
	r := x.Type.Rank() + len(list)
	if list, err = axes(list, r); err != nil {
		return nil, err
	}
	s := make(ir.Shape, 0, r)
	k := 0
	for i := range r {
		if slices.Contains(list, i) {
			s = append(s, 1)
		} else if k < x.Type.Rank() {
			s = append(s, x.Type.Shape[k])
			k++
		}
	}
	return n.reshapeTo(x, s)
}

func transpose(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	perm := n.ints("perm")
	if perm == nil {
		for i := range x.Type.Rank() {
			perm = append(perm, x.Type.Rank()-1-i)
		}
	}
	return n.one(ir.Transpose{Perm: perm}, x)
}

func concat(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	def := 1 // the default before opset 4
	a, err := axis(n.int("axis", def), x.Type.Rank())
	if err != nil {
		return nil, err
	}
	return n.one(ir.Concat{Axis: a}, n.in...)
}

func split(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	a, err := axis(n.int("axis", 0), x.Type.Rank())
	if err != nil {
		return nil, err
	}
	sizes, ok, err := n.listArg("split", 1)
	if err != nil {
		return nil, err
	}
	total := x.Type.Shape[a]
	if !ok {
		num := n.int("num_outputs", len(n.p.outputs))
		if num < 1 {
			return nil, fmt.Errorf("%d parts", num)
		}
		each := (total + num - 1) / num
		for left := total; len(sizes) < num; left -= each {
			sizes = append(sizes, max(0, min(each, left)))
		}
	}
	var out []*ir.Value
	at := 0
	for _, k := range sizes {
		v, err := n.emit(part(x.Type.Shape, a, at, k), x)
		if err != nil {
			return nil, unwrapNode(err)
		}
		out = append(out, v)
		at += k
	}
	if at != total {
		return nil, fmt.Errorf("parts %v of an axis of %d", sizes, total)
	}
	return out, nil
}

// part is the slice of k elements from at along one axis.
func part(s ir.Shape, axis, at, k int) ir.Slice {
	sl := ir.Slice{Start: repeat(0, len(s)), Count: slices.Clone(s), Step: repeat(1, len(s))}
	sl.Start[axis], sl.Count[axis] = at, k
	return sl
}

// slice has its arguments as attributes before opset 10.
func slice(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	r := x.Type.Rank()
	starts, _, err := n.listArg("starts", 1)
	if err != nil {
		return nil, err
	}
	ends, _, err := n.listArg("ends", 2)
	if err != nil {
		return nil, err
	}
	list, ok, err := n.listArg("axes", 3)
	if err != nil {
		return nil, err
	}
	if !ok {
		for i := range starts {
			list = append(list, i)
		}
	}
	steps, ok, err := n.listArg("steps", 4)
	if err != nil {
		return nil, err
	}
	if !ok {
		steps = repeat(1, len(starts))
	}
	if len(ends) != len(starts) || len(list) != len(starts) || len(steps) != len(starts) {
		return nil, fmt.Errorf("starts %v, ends %v, axes %v, steps %v", starts, ends, list, steps)
	}
	sl := part(x.Type.Shape, 0, 0, 0)
	if r > 0 {
		sl.Count[0] = x.Type.Shape[0]
	}
	for i := range starts {
		a, err := axis(list[i], r)
		if err != nil {
			return nil, err
		}
		d, step := x.Type.Shape[a], steps[i]
		if step == 0 {
			return nil, fmt.Errorf("step 0")
		}
		from, to := starts[i], ends[i]
		if from < 0 {
			from += d
		}
		if to < 0 {
			to += d
		}
		if step > 0 {
			from, to = min(max(from, 0), d), min(max(to, 0), d)
			sl.Count[a] = max(0, (to-from+step-1)/step)
		} else {
			from, to = min(max(from, 0), d-1), min(max(to, -1), d-1)
			sl.Count[a] = max(0, (from-to-step-1)/-step)
		}
		sl.Start[a], sl.Step[a] = from, step
	}
	return n.one(sl, x)
}

var padModes = map[string]ir.PadMode{"constant": ir.PadConstant, "reflect": ir.PadReflect, "edge": ir.PadEdge, "wrap": ir.PadWrap}

// pad has pads and value as attributes before opset 11, axes since 18.
func pad(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	r := x.Type.Rank()
	name := "pads"
	if n.version < 2 {
		name = "paddings"
	}
	pads, _, err := n.listArg(name, 1)
	if err != nil {
		return nil, err
	}
	value := n.float("value", 0)
	if n.version >= 11 {
		v, err := n.constant(2, "the value")
		if err != nil {
			return nil, err
		}
		if v != nil && v.Shape.Len() == 1 {
			value = v.Float64s()[0]
		}
		if n.arg(3) != nil {
			list, err := n.argInts(3, "axes")
			if err != nil {
				return nil, err
			}
			if len(pads) != 2*len(list) {
				return nil, fmt.Errorf("pads %v for axes %v", pads, list)
			}
			all := repeat(0, 2*r)
			for i, a := range list {
				if a, err = axis(a, r); err != nil {
					return nil, err
				}
				all[a], all[r+a] = pads[i], pads[len(list)+i]
			}
			pads = all
		}
	}
	mode, ok := padModes[n.str("mode", "constant")]
	if !ok {
		return nil, fmt.Errorf("mode %q", n.str("mode", ""))
	}
	return n.one(ir.Pad{Mode: mode, Pads: pads, Value: value}, x)
}

func expand(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	dims, err := n.argInts(1, "the shape")
	if err != nil {
		return nil, err
	}
	s, err := ir.BroadcastShapes(x.Type.Shape, dims)
	if err != nil {
		return nil, err
	}
	return n.one(ir.Expand{Shape: s}, x)
}

// tile repeats by expanding a new axis in front of each repeated one.
func tile(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	reps, err := n.argInts(1, "repeats")
	if err != nil {
		return nil, err
	}
	if len(reps) != x.Type.Rank() {
		return nil, fmt.Errorf("repeats %v for x %s", reps, x.Type)
	}
	var apart, wide, out ir.Shape
	for i, d := range x.Type.Shape {
		apart = append(apart, 1, d)
		wide = append(wide, reps[i], d)
		out = append(out, reps[i]*d)
	}
	v, err := n.emit(ir.Reshape{Shape: apart}, x)
	if err != nil {
		return nil, unwrapNode(err)
	}
	if v, err = n.emit(ir.Expand{Shape: wide}, v); err != nil {
		return nil, unwrapNode(err)
	}
	return n.reshapeTo(v, out)
}

func gather(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	idx, err := n.need(1)
	if err != nil {
		return nil, err
	}
	a, err := axis(n.int("axis", 0), x.Type.Rank())
	if err != nil {
		return nil, err
	}
	return n.one(ir.Gather{Axis: a}, x, idx)
}

func depthToSpace(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	b := n.int("blocksize", 0)
	s := x.Type.Shape
	if len(s) != 4 || b < 1 || s[1]%(b*b) != 0 {
		return nil, fmt.Errorf("blocks of %d", b)
	}
	c := s[1] / (b * b)
	split, perm := ir.Shape{s[0], b, b, c, s[2], s[3]}, []int{0, 3, 4, 1, 5, 2}
	if n.str("mode", "DCR") == "CRD" {
		split, perm = ir.Shape{s[0], c, b, b, s[2], s[3]}, []int{0, 1, 4, 2, 5, 3}
	}
	return n.shuffle(x, split, perm, ir.Shape{s[0], c, s[2] * b, s[3] * b})
}

func spaceToDepth(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	b := n.int("blocksize", 0)
	s := x.Type.Shape
	if len(s) != 4 || b < 1 || s[2]%b != 0 || s[3]%b != 0 {
		return nil, fmt.Errorf("blocks of %d", b)
	}
	return n.shuffle(x, ir.Shape{s[0], s[1], s[2] / b, b, s[3] / b, b}, []int{0, 3, 5, 1, 2, 4}, ir.Shape{s[0], s[1] * b * b, s[2] / b, s[3] / b})
}

// shuffle splits axes, permutes them and joins them again.
func (n *node) shuffle(x *ir.Value, split ir.Shape, perm []int, out ir.Shape) ([]*ir.Value, error) {
	v, err := n.emit(ir.Reshape{Shape: split}, x)
	if err != nil {
		return nil, unwrapNode(err)
	}
	if v, err = n.emit(ir.Transpose{Perm: perm}, v); err != nil {
		return nil, unwrapNode(err)
	}
	return n.reshapeTo(v, out)
}
