package schedule

import (
	"slices"

	"modelc/ir"
)

// layout is what is decided of values before any node is lowered: which
// nodes run on images, the border each image carries, and which images are
// slices of a concatenation's buffer.
type layout struct {
	at     map[*ir.Node]int  // position in the graph
	node   map[*ir.Node]bool // runs on images
	image  map[*ir.Value]bool
	border map[*ir.Value]border
	slots  map[*ir.Value]slot
	// scattered are nodes that are never lowered: concatenations whose readers
	// take channels from the operands, and selections of channels that are woven
	// into a dense result.
	scattered map[*ir.Node]bool
	copies    map[*ir.Value]slot   // where the first copy of an operand goes that is not written in place
	groups    map[*ir.Value]*group // by root
}

// slot is the position of an image inside the image of root.
type slot struct {
	root    *ir.Value
	channel int // a multiple of 16
}

// group is an image buffer that several values share: the result of a
// concatenation and the operands that are written straight into it.
type group struct {
	border border
	place  *place // made when first needed
}

func planLayout(g *ir.Graph) *layout {
	l := &layout{at: map[*ir.Node]int{}, node: map[*ir.Node]bool{}, image: map[*ir.Value]bool{}, border: map[*ir.Value]border{},
		slots: map[*ir.Value]slot{}, copies: map[*ir.Value]slot{}, groups: map[*ir.Value]*group{}, scattered: map[*ir.Node]bool{}}
	for i, n := range g.Nodes {
		l.at[n] = i
		if l.runsOnImages(n) {
			l.node[n] = true
			l.image[n.Out[0]] = true
		}
	}
	for _, n := range slices.Backward(g.Nodes) { // readers first: a Pad hands on what they need
		if l.node[n] {
			l.needBorder(n)
		}
	}
	for _, n := range slices.Backward(g.Nodes) {
		if c, ok := n.Op.(ir.Concat); ok && l.node[n] {
			if l.scattered[n] = l.selectedOnly(n.Out[0]); !l.scattered[n] {
				l.shareConcat(n, c)
			}
		}
	}
	for v := range g.Values() {
		s, ok := l.slots[v]
		if !ok {
			continue
		}
		gr := l.groups[s.root]
		if gr == nil {
			gr = &group{border: l.border[s.root]}
			l.groups[s.root] = gr
		}
		gr.border = gr.border.union(l.border[v])
	}
	return l
}

// runsOnImages reports whether n is lowered to a kernel on NC16 images.
// Convolutions and pools always are, whatever their operand is; cheaper ops
// follow their operand, since a change of layout costs as much as they do.
func (l *layout) runsOnImages(n *ir.Node) bool {
	if len(n.Out) == 0 || n.In[0] == nil {
		return false
	}
	x := n.In[0]
	if x.Type.DType != ir.Float32 || n.Out[0].Type.DType != ir.Float32 {
		return false
	}
	if _, ok := imageDims(x.Type.Shape); !ok || x.Type.Shape.Len() == 0 || n.Out[0].Type.Shape.Len() == 0 {
		return false
	}
	switch op := n.Op.(type) {
	case ir.Conv:
		return n.Const(ir.Weights) != nil && n.ConstOrAbsent(ir.Bias) && n.ConstOrAbsent(ir.ConvScale) && n.ConstOrAbsent(ir.ConvShift)
	case ir.Pool:
		return op.Kind != ir.LpPool && !op.Indices && n.ConstOrAbsent(ir.PoolScale) && n.ConstOrAbsent(ir.PoolShift)
	case ir.Reduce:
		return (op.Fn == ir.ReduceMean || op.Fn == ir.ReduceMax) && slices.Equal(op.Axes, ir.SpatialAxes(x.Type.Rank())) && l.image[x]
	case ir.Affine:
		return l.image[x] && padsSafely(x, op.Epilogue) && n.Const(ir.AffineScale) != nil && n.Const(ir.AffineShift) != nil
	case ir.BatchNorm:
		return l.image[x] && n.Const(ir.BatchNormScale) != nil && n.Const(ir.BatchNormBias) != nil && n.Const(ir.BatchNormMean) != nil && n.Const(ir.BatchNormVar) != nil
	case ir.Unary:
		return l.image[x] && padsSafely(x, op.Fn)
	case ir.LRN:
		return l.image[x]
	case ir.PRelu:
		return l.image[x] && n.Const(ir.PReluSlope) != nil && ir.PerChannel(n.In[ir.PReluSlope].Type.Shape, x.Type.Shape)
	case ir.Normalize:
		s := x.Type.Shape
		return l.image[x] && slices.Equal(op.Axes, []int{1}) && s[1]%16 == 0 && channelsOrAbsent(n, ir.NormalizeScale, s) && channelsOrAbsent(n, ir.NormalizeBias, s)
	case ir.Binary:
		quotient := op.Fn == ir.Div && n.In[1].Const == nil && x.Type.Shape[1]%16 != 0 // 0/0 in unused channels
		return op.Fn <= ir.Min && !quotient && padsSafely(x, op.Epilogue) && l.binaryOnImages(n)
	case ir.Concat:
		if op.Axis != 1 {
			return false
		}
		for _, v := range n.In {
			if !l.image[v] {
				return false
			}
		}
		return true
	case ir.Gather:
		return l.image[x] && op.Axis == 1 && n.Const(ir.GatherIndices) != nil && n.In[ir.GatherIndices].Type.Rank() == 1 && selects(n)
	case ir.Interleave:
		if l.weaves(n) {
			return false
		}
		for _, v := range n.In {
			if !l.image[v] {
				return false
			}
		}
		return true
	case ir.Pad:
		r := x.Type.Rank()
		return l.image[x] && op.Pads[0] == 0 && op.Pads[1] == 0 && op.Pads[r] == 0 && op.Pads[r+1] == 0
	case ir.Slice:
		s := x.Type.Shape
		return l.image[x] && op.Start[0] == 0 && op.Count[0] == s[0] && op.Step[1] == 1
	case ir.Resize:
		return l.image[x] && op.Keeps(0, x.Type.Shape[0]) && op.Keeps(1, x.Type.Shape[1])
	}
	return false
}

// padsSafely reports whether fn leaves the unused channels of an image finite,
// which hold what earlier steps made of zeros.
func padsSafely(x *ir.Value, fn ir.Act) bool {
	return x.Type.Shape[1]%16 == 0 || fn.FiniteAtZero()
}

// selects reports whether the indices of a Gather of channels exist.
func selects(n *ir.Node) bool {
	c := float64(n.In[0].Type.Shape[1])
	for _, i := range n.Const(ir.GatherIndices).Float64s() {
		if i < -c || i >= c {
			return false
		}
	}
	return true
}

// wovenChannels is from how many channels on a pixel shuffle is an image: fewer
// would be padded to a multiple of their memory.
const wovenChannels = 8

// weaves reports whether n weaves few channels selected from one image, which
// one kernel does at once, and marks the selections.
func (l *layout) weaves(n *ir.Node) bool {
	first := n.In[0].Def()
	if n.In[0].Type.Shape[1] >= wovenChannels || first == nil {
		return false
	}
	for _, v := range n.In {
		d := v.Def()
		if d == nil || !l.node[d] || v.OnlyUse() != n || d.In[0] != first.In[0] {
			return false
		}
		if _, ok := d.Op.(ir.Gather); !ok {
			return false
		}
	}
	for _, v := range n.In {
		l.scattered[v.Def()] = true
	}
	return true
}

// selectedOnly reports whether all readers of v take channels of it.
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

// channelsOrAbsent reports whether operand i is a constant with one value per
// channel of x, or one in all, or absent.
func channelsOrAbsent(n *ir.Node, i int, x ir.Shape) bool {
	return n.Input(i) == nil || n.Const(i) != nil && ir.PerChannel(n.In[i].Type.Shape, x)
}

// overPixels reports whether a tensor of shape s broadcasts to x [N,C,…] with
// one value per channel, of every image or of all.
func overPixels(s, x ir.Shape) bool {
	if len(s) != len(x) || s[1] != x[1] || s[0] != x[0] && s[0] != 1 {
		return false
	}
	for _, d := range s[2:] {
		if d != 1 {
			return false
		}
	}
	return true
}

// binaryOnImages: both operands are images of the result's extents, or one is
// and the other is broadcast over its pixels.
func (l *layout) binaryOnImages(n *ir.Node) bool {
	a, bb := n.In[0], n.In[1]
	out := n.Out[0].Type.Shape
	full := func(v *ir.Value) bool { return l.image[v] && v.Type.Shape.Equal(out) }
	small := func(v *ir.Value) bool {
		return v.Const != nil && ir.PerChannel(v.Type.Shape, out) || v.Const == nil && overPixels(v.Type.Shape, out)
	}
	switch {
	case full(a) && bb.Type.Shape.Equal(out) && bb.Const == nil, full(bb) && a.Type.Shape.Equal(out) && a.Const == nil:
		return true
	case full(a) && small(bb):
		return true
	case full(bb) && small(a):
		return n.Op.(ir.Binary).Fn.Commutative()
	}
	return false
}

// needBorder records the border that n wants around its operand.
func (l *layout) needBorder(n *ir.Node) {
	if p, ok := n.Op.(ir.Pad); ok && padsWithBorder(p) {
		x := n.In[0]
		l.border[x] = l.border[x].union(padBorder(p).plus(l.border[n.Out[0]]))
		return
	}
	c, ok := n.Op.(ir.Conv)
	if !ok || c.Padding == ir.PadCopy || readsUserLayout(n) {
		return
	}
	x := n.In[0]
	l.border[x] = l.border[x].union(convBorder(c, n.In[ir.Weights].Type.Shape, x.Type.Shape, n.Out[0].Type.Shape))
}

// padsWithBorder reports whether the border of the operand can be the padding:
// zeros around the pixels.
func padsWithBorder(p ir.Pad) bool {
	return p.Mode == ir.PadConstant && p.Value == 0 && slices.Min(p.Pads) >= 0
}

// padBorder returns the pads of the pixels.
func padBorder(p ir.Pad) border {
	r := len(p.Pads) / 2
	b := border{left: p.Pads[r-1], right: p.Pads[2*r-1]}
	if r == 4 {
		b.top, b.bottom = p.Pads[2], p.Pads[6]
	}
	return b
}

// convBorder returns the part of the padding that windows of a convolution
// touch. The bottom and right ends follow from the last window: a stride may
// leave some of the padding unread.
func convBorder(c ir.Conv, w, x, out ir.Shape) border {
	g := convGeometry(c, w)
	d, _ := imageDims(x)
	o, _ := imageDims(out)
	return border{
		top:    max(0, g.padTop),
		left:   max(0, g.padLeft),
		bottom: max(0, (o.h-1)*g.sh+(g.kh-1)*g.dh+1-g.padTop-d.h),
		right:  max(0, (o.w-1)*g.sw+(g.kw-1)*g.dw+1-g.padLeft-d.w),
	}
}

// shareConcat lets the operands of a concatenation be written straight into
// its result, and a concatenation whose operands lie side by side already
// (DenseNet's blocks, flattened) be a view of them. Channels of an operand
// must start on a block of 16; an operand that stands in two different
// buffers, or twice in one, is copied, and views share the first copy too.
func (l *layout) shareConcat(n *ir.Node, c ir.Concat) {
	r := n.Out[0]
	if _, ok := l.slots[r]; !ok {
		if s, ok := l.sideBySide(n.In); ok {
			l.slots[r] = s
			return
		}
	}
	base := slot{root: r}
	if s, ok := l.slots[r]; ok {
		base = s
	}
	at := base.channel
	for _, v := range n.In {
		here := slot{base.root, at}
		if _, taken := l.slots[v]; !taken && at%16 == 0 && ownsImage(v) {
			l.slots[v] = here
		} else if _, copied := l.copies[v]; !copied && l.slots[v] != here {
			l.copies[v] = here
		}
		at += v.Type.Shape[1]
	}
	if base.root == r {
		l.slots[r] = base
	}
}

// sideBySide returns where the operands start if they, or their copies, lie
// behind one another in one buffer, from the start of a block.
func (l *layout) sideBySide(in []*ir.Value) (slot, bool) {
	for _, where := range []map[*ir.Value]slot{l.slots, l.copies} {
		first, ok := where[in[0]]
		if !ok || first.channel%16 != 0 {
			continue
		}
		next := first
		for _, v := range in {
			ok = ok && (l.slots[v] == next || l.copies[v] == next)
			next.channel += v.Type.Shape[1]
		}
		if ok {
			return first, true
		}
	}
	return slot{}, false
}

// ownsImage reports whether the step that makes v writes an image of its own:
// a slice of channels may be a view of its operand instead.
func ownsImage(v *ir.Value) bool {
	if v.Def() == nil {
		return true
	}
	_, isSlice := v.Def().Op.(ir.Slice)
	return !isSlice
}

// place makes the place of v as an image.
func (l *layout) place(b *builder, v *ir.Value) *place {
	s, ok := l.slots[v]
	if !ok {
		return b.tempImage(v.Name, v.Type.Shape, l.border[v])
	}
	gr := l.groups[s.root]
	if gr.place == nil {
		gr.place = b.tempImage(s.root.Name, s.root.Type.Shape, gr.border)
	}
	p := gr.place.window(s.channel, v.Type.Shape[1])
	p.shape = v.Type.Shape
	return p
}

// inSlot reports whether v lies at channel c of the image of root.
func (l *layout) inSlot(v, root *ir.Value, c int) bool { return l.slots[v] == l.slotAt(root, c) }

// slotAt returns the position of channel c of the image of v.
func (l *layout) slotAt(v *ir.Value, c int) slot {
	s := l.slots[v]
	return slot{s.root, s.channel + c}
}
