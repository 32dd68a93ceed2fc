package plan

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"modelc/ir"
)

// machine is a machine whose slices start at multiples of step channels.
type machine struct{ step int }

func (m machine) Joins(n *ir.Node) bool       { _, ok := n.Op.(ir.Concat); return ok }
func (m machine) ChannelStep(v *ir.Value) int { return m.step }
func (m machine) Writes(v *ir.Value) bool     { return v.Def() != nil }
func (m machine) Holds(v *ir.Value) bool      { return v.Const == nil }
func (m machine) Alike(a, b *ir.Value) bool   { return a.Type.Equal(b.Type) }
func (m machine) Skips(n *ir.Node) bool       { return false }
func (m machine) View(v *ir.Value) bool {
	if v.Def() == nil {
		return true
	}
	_, is := v.Def().Op.(ir.Reshape)
	return is
}

func TestShare(t *testing.T) {
	g, err := ir.Parse(`input %x : f32[1,8,4,4]
%a = Unary(%x) fn=Relu
%b = Unary(%a) fn=Exp
%c = Concat(%a, %b) axis=1
%d = Unary(%c) fn=Tanh
%e = Concat(%c, %d, %a) axis=1
%f = Unary(%d) fn=Relu
%g = Unary(%f) fn=Exp
%h = Reshape(%g) shape=[1,256]
%i = Unary(%g) fn=Tanh
output "e" %e
output "h" %h
output "i" %i
`)
	if err != nil {
		t.Fatal(err)
	}
	for step, want := range map[int][]string{
		8:  {"a in e at 32", "b in e at 8", "c in e at 0", "d in e at 16", "e in e at 0", "a copied to c at 0", "g overwrites f"},
		16: {"a in e at 32", "c in e at 0", "d in e at 16", "e in e at 0", "a copied to c at 0", "b copied to c at 8", "g overwrites f"},
	} {
		s := Share(g, machine{step})
		var got []string
		for _, n := range g.Nodes {
			v := n.Out[0]
			if at, ok := s.SliceOf(v); ok {
				got = append(got, fmt.Sprintf("%s in %s at %d", v.Name, at.Root.Name, at.Channel))
			}
		}
		for _, n := range g.Nodes {
			if _, ok := n.Op.(ir.Concat); !ok {
				if x := n.In[0]; s.CanOverwrite(n, x) {
					got = append(got, fmt.Sprintf("%s overwrites %s", n.Out[0].Name, x.Name))
				}
				continue
			}
			at := 0
			for _, x := range n.In {
				if s.FirstCopy(x, n.Out[0], at) {
					got = append(got, fmt.Sprintf("%s copied to %s at %d", x.Name, n.Out[0].Name, at))
				}
				at += x.Type.Shape[1]
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("steps of %d channels:\n%s", step, diff)
		}
	}
}
