package plan

import (
	"fmt"
	"strings"

	"modelc/ir"
)

// NodeName returns what steps and messages call a node: its name or, where the
// model gives none, the name of its first result. It returns "" for nil.
func NodeName(n *ir.Node) string {
	if n == nil {
		return ""
	}
	if n.Name == "" && len(n.Out) > 0 {
		return n.Out[0].Name
	}
	return n.Name
}

// Extents writes extents as 56×56.
func Extents(s ...int) string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = fmt.Sprint(d)
	}
	return strings.Join(parts, "×")
}

// ActDoc writes an activation behind a description: ", Relu". It returns ""
// for the identity.
func ActDoc(a ir.Act) string {
	if a.IsIdentity() {
		return ""
	}
	return ", " + a.String()
}
