// Package source holds what every front end shares: the options of a load,
// the model that comes out, and the report of what a file asks for that
// modelc does not have.
package source

import (
	"fmt"
	"strconv"
	"strings"

	"modelc/ir"
)

// Options tells a front end what the file leaves open.
type Options struct {
	// Dims binds symbolic dimensions by name. An unbound batch dimension
	// becomes 1 and a note says so; any other unbound one is an error.
	Dims map[string]int
	// Batch, unless 0, is the first extent of every input that Shapes and
	// InputShapes say nothing of: open ones, and fixed ones of inputs with two
	// axes or more, whose batch the file happens to fix.
	Batch int
	// Bind makes graph inputs constants, by name.
	Bind map[string]*ir.Tensor
	// Shapes gives whole input shapes by input name; they win over Dims and
	// over open extents of the file, never over fixed ones.
	Shapes map[string]ir.Shape
	// InputShapes gives them by position, for inputs that Shapes does not name.
	InputShapes []ir.Shape
}

// Rebatch returns the first extent of an input whose file fixes it at n: Batch
// where that is given and the input has more axes than this one.
func (o *Options) Rebatch(n, rank int) int {
	if o.Batch > 0 && rank > 1 {
		return o.Batch
	}
	return n
}

// Model is a loaded network.
type Model struct {
	Graph  *ir.Graph
	Path   string
	Format string   // what the file is, for people: "ONNX, IR version 8, opset 13"
	SHA256 string   // hex digest of the file and, in order, its external data
	Notes  []string // decisions the user should know: "dimension N is open: 1"
	// Half tells that parts of the model are written for half precision. They
	// are computed in float32, so results of whoever keeps to it differ.
	Half bool
	// Metadata is what the file says of itself (producer, metadata_props).
	Metadata map[string]string
	// Release unmaps the file. The graph's constants may be slices of it, so
	// this comes last. Never nil.
	Release func() error
}

// Problem is one thing of a model that cannot be compiled.
type Problem struct {
	Node   string // the node's or layer's name, may be empty
	Op     string // its op with domain and version: "ai.onnx.Loop-13", "keras.layers.Lambda"
	Reason string // what is not supported, with shapes or values
	Remedy string // the nearest thing that is, may be empty
}

func (p Problem) String() string {
	s := p.Op
	if q := strconv.Quote(s); q != `"`+s+`"` {
		s = q // a file may put anything there, such as the codes of a terminal
	}
	if p.Node != "" {
		s = fmt.Sprintf("%s %q", s, p.Node)
	}
	s += ": " + p.Reason
	if p.Remedy != "" {
		s += " (" + p.Remedy + ")"
	}
	return s
}

// Unsupported is the error of a well-formed model that modelc cannot compile.
// It lists all problems, not only the first.
type Unsupported struct {
	Path     string
	Problems []Problem
}

func (u *Unsupported) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d thing", u.Path, len(u.Problems))
	if len(u.Problems) != 1 {
		b.WriteByte('s')
	}
	b.WriteString(" in this model cannot be compiled:")
	for _, p := range u.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}
