package ir

import (
	"errors"
	"fmt"
)

// Verify checks the invariants of the graph and returns an error with all violations. Names
// are unique. A value has one producer, and is defined before its uses. Uses are consistent
// in both directions. Ops have valid numbers of operands, and the types of values are those
// that the ops infer.
func Verify(g *Graph) error {
	var errs []error
	bad := func(format string, args ...any) {
		if len(errs) < 20 {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	defined := map[*Value]bool{}
	names := map[string]bool{}
	define := func(v *Value, def *Node) {
		switch {
		case v.Name == "":
			bad("a value has no name")
		case names[v.Name]:
			bad("value %s: the name is used twice", v)
		case !g.names[v.Name]:
			bad("value %s: its name is not registered; it was not made by the graph", v)
		}
		names[v.Name] = true
		if defined[v] {
			bad("value %s is defined twice", v)
		}
		defined[v] = true
		if v.def != def {
			bad("value %s: its producer is recorded wrongly", v)
		}
		if err := v.Type.Shape.Check(); err != nil {
			bad("value %s: %w", v, err)
		}
	}
	for _, v := range g.Inputs {
		define(v, nil)
		if v.Const != nil {
			bad("input %s is also a constant", v)
		}
	}
	for _, v := range g.Constants {
		define(v, nil)
		if v.Const == nil {
			bad("constant %s has no tensor", v)
		} else if !v.Const.Type.Equal(v.Type) {
			bad("constant %s: type %s but tensor %s", v, v.Type, v.Const.Type)
		}
	}
	uses := map[*Value][]Use{}
	for _, n := range g.Nodes {
		for i, v := range n.In {
			if v == nil {
				continue
			}
			if !defined[v] {
				bad("%s: operand %d (%s) is not defined before it", n, i, v)
			}
			uses[v] = append(uses[v], Use{n, i})
		}
		for _, v := range n.Out {
			define(v, n)
		}
		types, err := inferNode(n)
		if err != nil {
			bad("%v", err)
			continue
		}
		if len(types) != len(n.Out) {
			bad("%s: %d results, its op gives %d", n, len(n.Out), len(types))
			continue
		}
		for i, t := range types {
			if !t.Equal(n.Out[i].Type) {
				bad("%s: result %d is %s, its op gives %s", n, i, n.Out[i].Type, t)
			}
		}
	}
	for i, o := range g.Outputs {
		if o.Value == nil || !defined[o.Value] {
			bad("output %q is not defined in the graph", o.Name)
			continue
		}
		uses[o.Value] = append(uses[o.Value], Use{nil, i})
	}
	for v := range g.Values() {
		if !sameUses(v.uses, uses[v]) {
			bad("value %s: %d uses recorded, %d found", v, len(v.uses), len(uses[v]))
		}
	}
	if len(g.names) != len(names) {
		bad("%d names registered for %d values", len(g.names), len(names))
	}
	if len(errs) > 0 {
		return fmt.Errorf("graph %q is invalid: %w", g.Name, errors.Join(errs...))
	}
	return nil
}

func sameUses(a, b []Use) bool {
	if len(a) != len(b) {
		return false
	}
	found := make(map[Use]bool, len(b))
	for _, u := range b {
		found[u] = true
	}
	for _, u := range a {
		if !found[u] {
			return false
		}
	}
	return true
}
