package cpu

import (
	"modelc/backend/plan"
	"modelc/ir"
)

// Held is a value in a buffer of the arena.
type Held struct {
	// Layer is the name of the step that completes the value. If no step does,
	// as for a concatenation in place, it is the name of the value's node, or of
	// the input.
	Layer string
	Value *ir.Value
	Where Location
}

// holds returns the values in each buffer of the arena. Buffers must have been
// placed.
func (b *builder) holds() map[*plan.Buffer][]Held {
	step := map[*ir.Value]string{}
	for _, l := range b.Layers {
		if l.Value != nil {
			step[l.Value] = l.Name
		}
	}
	holds := map[*plan.Buffer][]Held{}
	for v := range b.g.Values() {
		name, ok := step[v]
		switch {
		case ok:
		case v.Def() == nil:
			name = v.Name // an input, in another layout
		default:
			name = plan.NodeName(v.Def())
		}
		if _, left := b.prologues[v]; left {
			continue // the place is that of its operand
		}
		for _, p := range []*place{b.images[v], b.dense[v]} {
			if p != nil && p.Buffer.InArena() {
				holds[p.Buffer] = append(holds[p.Buffer], Held{Layer: name, Value: v, Where: p.location()})
			}
		}
	}
	return holds
}

// bufferName returns the name of a buffer for people: the name of the layer of
// its largest value, or of the first of several.
func bufferName(b *plan.Buffer, holds []Held) string {
	name, most := b.Name, 0
	for _, h := range holds {
		if n := h.Value.Type.Bytes(); n > most {
			name, most = h.Layer, n
		}
	}
	return name
}
