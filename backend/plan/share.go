package plan

import "modelc/ir"

// Machine describes the layout of a machine to [Share]. Share considers only
// values that the machine holds in that layout.
type Machine interface {
	// Joins reports whether n is a concatenation along the channels whose operands
	// can be slices of its result.
	Joins(n *ir.Node) bool
	// ChannelStep returns the number of channels of which the first channel of a
	// slice of v must be a multiple.
	ChannelStep(v *ir.Value) int
	// Writes reports whether the step that computes v can write it to a slice of
	// another tensor.
	Writes(v *ir.Value) bool
	// Holds reports whether v lies in the machine's layout.
	Holds(v *ir.Value) bool
	// Alike reports whether a and b, both held, have the same memory layout.
	Alike(a, b *ir.Value) bool
	// View reports whether v is, or may become, a view of the memory of another
	// value.
	View(v *ir.Value) bool
	// Skips reports whether no step computes n, because its readers read its
	// operands.
	Skips(n *ir.Node) bool
}

// Slice is the position of a value in the memory of Root: Channel is the first
// of its channels.
type Slice struct {
	Root    *ir.Value
	Channel int
}

// Sharing holds the values of a graph that share memory.
type Sharing struct {
	machine Machine
	at      map[*ir.Node]int    // position in the graph
	slices  map[*ir.Value]Slice // values that are parts of a concatenation's result, and such results
	copies  map[*ir.Value]Slice // position of the first copy of each operand that is not written in place
}

// Share decides which operands of concatenations are written directly into the
// result.
func Share(g *ir.Graph, m Machine) *Sharing {
	s := &Sharing{machine: m, at: map[*ir.Node]int{}, slices: map[*ir.Value]Slice{}, copies: map[*ir.Value]Slice{}}
	for i, n := range g.Nodes {
		s.at[n] = i
	}
	for i := len(g.Nodes) - 1; i >= 0; i-- { // outer concatenations first
		if n := g.Nodes[i]; m.Joins(n) {
			s.join(n)
		}
	}
	return s
}

// join makes the operands of the concatenation n slices of its result. If the
// operands already lie side by side, as in DenseNet's blocks, the result becomes
// a view of them. An operand that belongs to two results, or occurs twice in one,
// is copied. Views use the first copy.
func (s *Sharing) join(n *ir.Node) {
	r := n.Out[0]
	base, placed := s.slices[r]
	if !placed {
		if first, ok := s.sideBySide(n.In); ok {
			s.slices[r] = first
			return
		}
		base = Slice{Root: r}
	}
	at := base.Channel
	for _, v := range n.In {
		here := Slice{base.Root, at}
		if _, taken := s.slices[v]; !taken && at%s.machine.ChannelStep(r) == 0 && s.machine.Writes(v) {
			s.slices[v] = here
		} else if _, copied := s.copies[v]; !copied && s.slices[v] != here {
			s.copies[v] = here
		}
		at += v.Type.Shape[1]
	}
	if base.Root == r {
		s.slices[r] = base
	}
}

// sideBySide returns the position of the first operand if the operands, or their
// copies, lie one after another in the same memory and a slice may start there.
func (s *Sharing) sideBySide(in []*ir.Value) (Slice, bool) {
	for _, where := range []map[*ir.Value]Slice{s.slices, s.copies} {
		first, ok := where[in[0]]
		if !ok || first.Channel%s.machine.ChannelStep(in[0]) != 0 {
			continue
		}
		next := first
		for _, v := range in {
			ok = ok && (s.slices[v] == next || s.copies[v] == next)
			next.Channel += v.Type.Shape[1]
		}
		if ok {
			return first, true
		}
	}
	return Slice{}, false
}

// SliceOf returns the position of v in memory that several values share, and
// false if v has memory of its own.
func (s *Sharing) SliceOf(v *ir.Value) (Slice, bool) {
	p, ok := s.slices[v]
	return p, ok
}

// Shares reports whether v lies in memory that several values share.
func (s *Sharing) Shares(v *ir.Value) bool {
	_, ok := s.slices[v]
	return ok
}

// InPlace reports whether the operand x of a concatenation is written in place:
// at the given channel of the result v.
func (s *Sharing) InPlace(x, v *ir.Value, channel int) bool {
	return s.slices[x] == s.channelOf(v, channel)
}

// FirstCopy reports whether the first copy of x lies at the given channel of v.
// Views use that copy.
func (s *Sharing) FirstCopy(x, v *ir.Value, channel int) bool {
	return s.copies[x] == s.channelOf(v, channel)
}

func (s *Sharing) channelOf(v *ir.Value, channel int) Slice {
	p := s.slices[v]
	return Slice{p.Root, p.Channel + channel}
}

// Follows reports whether n is the next node of the graph after before.
func (s *Sharing) Follows(n, before *ir.Node) bool { return s.at[n] == s.at[before]+1 }

// CanOverwrite reports whether the result of n may use the memory of its operand
// x. This requires that n is the last reader of x and reads it once, that no
// later node reads a view of x, that neither value lies in shared memory, and
// that both have the same layout.
func (s *Sharing) CanOverwrite(n *ir.Node, x *ir.Value) bool {
	v, m := n.Out[0], s.machine
	if !m.Holds(x) || s.Shares(x) || s.Shares(v) || !m.Alike(x, v) || m.View(x) {
		return false
	}
	reads := 0
	for _, u := range x.Uses() {
		switch {
		case u.Node == n:
			reads++
		case u.Node == nil || s.at[u.Node] > s.at[n] || m.View(u.Node.Out[0]) || m.Skips(u.Node):
			return false
		}
	}
	return reads == 1
}
