package cpu

import (
	"slices"

	"modelc/backend/plan"
	"modelc/ir"
)

// layout holds decisions that are made before nodes are lowered: which nodes run
// on images, the border of each image, and which images are slices of the result
// of a concatenation.
type layout struct {
	rules  func(ir.Op) rules
	node   map[*ir.Node]bool // nodes that run on images
	image  map[*ir.Value]bool
	border map[*ir.Value]border
	fill   map[*ir.Value]fill // of images of bytes with a border
	few    map[*ir.Value]bool // images with the form fewBytes
	// copied are convolutions that read a copy of their operand, because others need a
	// border of another value.
	copied map[*ir.Node]bool
	// padded are nodes whose padding is the border of their operand.
	padded map[*ir.Node]bool
	// scattered are nodes that no step computes: concatenations whose readers
	// select channels of the operands, and selections of channels that the step of
	// an interleaving computes.
	scattered map[*ir.Node]bool
	*plan.Sharing
	rootBorder map[*ir.Value]border // of memory that several values share
	rootFill   map[*ir.Value]fill
}

// rules describes an op that has kernels on images to the layout. It is zero for
// other ops.
type rules struct {
	// types are the element types of images that the kernels read. If it is nil,
	// they read float32.
	types []ir.DType
	// fits reports whether a kernel on images can compute n. l.image is set for
	// the operands of n that are images.
	fits func(l *layout, n *ir.Node) bool
	// border returns the border that n reads around its operand, and its value. Nil
	// means no border.
	border func(l *layout, n *ir.Node) (border, fill)
	// view reports whether the result of n is, or may become, a view of the memory
	// of another value. Nil means that it never does.
	view func(l *layout, n *ir.Node) bool
}

// imageTypes are the element types of images.
var imageTypes = []ir.DType{ir.Float32, ir.Uint8, ir.Int8}

// halfTypes are the types of images whose elements convert to each other, and of operands
// of convolutions and concatenations with bytes.
var (
	halfTypes  = []ir.DType{ir.Float32, ir.BFloat16}
	movedTypes = append(halfTypes, ir.Uint8, ir.Int8)
)

func always(*layout, *ir.Node) bool { return true }

func planLayout(g *ir.Graph, of func(ir.Op) rules) *layout {
	l := &layout{rules: of, node: map[*ir.Node]bool{}, image: map[*ir.Value]bool{}, border: map[*ir.Value]border{},
		fill: map[*ir.Value]fill{}, few: map[*ir.Value]bool{}, copied: map[*ir.Node]bool{}, padded: map[*ir.Node]bool{},
		scattered: map[*ir.Node]bool{}, rootBorder: map[*ir.Value]border{}, rootFill: map[*ir.Value]fill{}}
	for _, n := range g.Nodes {
		if l.runsOnImages(n) {
			l.node[n] = true
			l.image[n.Out[0]] = true
		}
	}
	for v := range g.Values() {
		l.few[v] = l.onlyFirstLayers(v)
	}
	for i := len(g.Nodes) - 1; i >= 0; i-- { // readers first: the border of a Pad includes that of its readers
		if n := g.Nodes[i]; of(n.Op).border != nil && l.node[n] {
			l.giveBorder(n)
		}
	}
	for _, n := range g.Nodes {
		if _, ok := n.Op.(ir.Concat); ok && l.node[n] {
			l.scattered[n] = l.selectedOnly(n.Out[0])
		}
	}
	l.Sharing = plan.Share(g, l)
	for v := range g.Values() {
		s, ok := l.SliceOf(v)
		if !ok {
			continue
		}
		if _, ok := l.rootBorder[s.Root]; !ok {
			l.rootBorder[s.Root], l.rootFill[s.Root] = l.border[s.Root], l.fill[s.Root]
		}
		if l.border[v] == (border{}) {
			continue
		}
		if l.rootBorder[s.Root] == (border{}) {
			l.rootFill[s.Root] = l.fill[v]
		}
		if l.rootFill[s.Root] != l.fill[v] {
			l.copyForReaders(v)
			continue
		}
		l.rootBorder[s.Root] = l.rootBorder[s.Root].union(l.border[v])
	}
	return l
}

// onlyFirstLayers reports whether the readers of v are convolutions on integers with at
// most 4 input channels, and a conversion writes v.
func (l *layout) onlyFirstLayers(v *ir.Value) bool {
	if !isByte(v.Type.DType) || v.Type.Rank() < 3 || v.Type.Shape[1] > fewBytes.block || len(v.Uses()) == 0 {
		return false
	}
	for _, u := range v.Uses() {
		if u.Node == nil || !l.node[u.Node] || u.Index != 0 {
			return false
		}
		if c, ok := u.Node.Op.(ir.Conv); !ok || c.Groups != 1 {
			return false
		}
	}
	if v.Def() == nil {
		return true
	}
	switch v.Def().Op.(type) {
	case ir.Quantize, ir.DynamicQuantize, ir.Transpose:
		return true
	}
	return false
}

// giveBorder gives the operand of n the border that n reads, unless a reader of the
// operand needs a border of another value.
func (l *layout) giveBorder(n *ir.Node) {
	x := n.In[0]
	bd, f := l.rules(n.Op).border(l, n)
	if bd == (border{}) {
		return
	}
	if l.border[x] != (border{}) && l.fill[x] != f {
		l.copied[n] = true
		return
	}
	l.border[x], l.fill[x], l.padded[n] = l.border[x].union(bd), f, true
}

// copyForReaders makes the readers of the border of v read copies of v.
func (l *layout) copyForReaders(v *ir.Value) {
	l.border[v] = border{}
	for _, u := range v.Uses() {
		if u.Node != nil && l.padded[u.Node] {
			l.padded[u.Node], l.copied[u.Node] = false, true
		}
	}
}

// runsOnImages reports whether n runs on images. Convolutions and pools do, even
// if their operand is dense. Other ops do if their operand is an image, because a
// change of layout costs as much as the op.
func (l *layout) runsOnImages(n *ir.Node) bool {
	if len(n.Out) == 0 || n.In[0] == nil {
		return false
	}
	x, y := n.In[0].Type, n.Out[0].Type
	if !hasForm(x) || !hasForm(y) {
		return false
	}
	if _, ok := imageDims(x.Shape); !ok || x.Shape.Len() == 0 || y.Shape.Len() == 0 {
		return false
	}
	r := l.rules(n.Op)
	return r.fits != nil && takes(r.types, x.DType) && r.fits(l, n)
}

// takes reports whether kernels for the given element types read elements of type
// d. Nil types stand for float32.
func takes(types []ir.DType, d ir.DType) bool {
	return d == ir.Float32 && types == nil || slices.Contains(types, d)
}

func hasForm(t ir.Type) bool {
	return channelBlocks[t.DType] > 0
}

// block returns the number of channels of a block of the image v, unless its form is
// fewBytes.
func block(v *ir.Value) int { return channelBlocks[v.Type.DType] }

// form returns the form of the image v.
func (l *layout) form(v *ir.Value) form {
	if l.few[v] {
		return fewBytes
	}
	return formOf(v.Type.DType)
}

// fillsBlocks reports whether the image x has no unused channels.
func fillsBlocks(x *ir.Value) bool { return x.Type.Shape[1]%block(x) == 0 }

// padsSafely reports whether fn keeps the unused channels of the image x finite.
// They hold the results of earlier steps on zeros.
func padsSafely(x *ir.Value, fn ir.Act) bool { return fillsBlocks(x) || fn.FiniteAtZero() }

// channelsOrAbsent reports whether operand i is absent, or is a constant with one
// value for each channel of x or one value for all channels.
func channelsOrAbsent(n *ir.Node, i int, x ir.Shape) bool {
	return n.Input(i) == nil || n.Const(i) != nil && ir.PerChannel(n.In[i].Type.Shape, x)
}

// allImages reports whether all operands of n are images.
func (l *layout) allImages(n *ir.Node) bool {
	for _, v := range n.In {
		if !l.image[v] {
			return false
		}
	}
	return true
}

// selectedOnly reports whether all readers of v select channels.
func (l *layout) selectedOnly(v *ir.Value) bool {
	for _, u := range v.Uses() {
		if u.Node == nil || !l.node[u.Node] {
			return false
		}
		if _, ok := u.Node.Op.(ir.Gather); !ok {
			return false
		}
	}
	return true
}

// The methods below implement plan.Machine.

// Joins reports whether the operands of n may be slices of its image.
func (l *layout) Joins(n *ir.Node) bool {
	_, ok := n.Op.(ir.Concat)
	return ok && l.node[n] && !l.scattered[n]
}

// ChannelStep returns the number of channels in a block of v. A slice starts with
// a block.
func (l *layout) ChannelStep(v *ir.Value) int { return block(v) }

// Writes reports whether the step that computes v writes an image. A Slice may be
// a view of its operand.
func (l *layout) Writes(v *ir.Value) bool {
	if v.Def() == nil {
		return true
	}
	_, isSlice := v.Def().Op.(ir.Slice)
	return !isSlice
}

// Holds reports whether v is an image.
func (l *layout) Holds(v *ir.Value) bool { return l.image[v] }

// Alike reports whether the images a and b have the same extents, form and border.
func (l *layout) Alike(a, b *ir.Value) bool {
	return l.border[a] == l.border[b] && l.fill[a] == l.fill[b] && l.form(a) == l.form(b) && a.Type.Shape.Equal(b.Type.Shape)
}

// View reports whether v is, or may become, a view of the memory of another
// value.
func (l *layout) View(v *ir.Value) bool {
	n := v.Def()
	if n == nil {
		return false
	}
	r := l.rules(n.Op)
	return r.fits == nil || r.view != nil && r.view(l, n)
}

// Skips reports whether no step computes n.
func (l *layout) Skips(n *ir.Node) bool { return l.scattered[n] }
