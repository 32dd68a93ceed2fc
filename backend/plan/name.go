package plan

import (
	"fmt"
	"strings"

	"modelc/ir"
)

// NodeName returns the name of a node for steps and messages. It is the name of
// the node's first result if the model does not name the node, and "" if n is
// nil.
func NodeName(n *ir.Node) string {
	if n == nil {
		return ""
	}
	if n.Name == "" && len(n.Out) > 0 {
		return n.Out[0].Name
	}
	return n.Name
}

// Extents formats extents, such as 56×56.
func Extents(s ...int) string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = fmt.Sprint(d)
	}
	return strings.Join(parts, "×")
}

// ActDoc formats an activation for the end of a description: ", Relu". It
// returns "" for the identity.
func ActDoc(a ir.Act) string {
	if a.IsIdentity() {
		return ""
	}
	return ", " + a.String()
}
