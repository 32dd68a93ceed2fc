package golang

import (
	"fmt"
	"strings"

	"modelc/ir"
)

// port is an input or output in the API.
type port struct {
	Name     string // Go name: Input, or InputIds if there are several inputs
	Variable string // Go name of its memory in layers.go
	Field    string // Go name of its field in Input or Output: Data if it is the only one
	Model    string // name in the model
	Quoted   string // Model as a Go literal
	Text     string // Model as text of a comment
	Go       string // element type in Go
	Shape    string
	Axes     string // order of an image's axes
	Dims     string // Go literal of the shape
	Index    int    // number among the plan's inputs and outputs
	Len      int    // number of elements
	Bytes    int
	Stride   int // distance of the elements that golden.bin holds
	Float    bool
	Top1     int // number of classes in a row of scores; 0 if rows are not scores
}

// Literal returns the port as an element of a slice of runtime.Port.
func (p port) Literal() string {
	name := quote(p.Model, quoteWidth)
	rest := fmt.Sprintf("Type: %q, Shape: []int%s, Bytes: %d", p.Go, p.Dims, p.Bytes)
	if line := "{Name: " + name + ", " + rest + "}"; columns(line) < wideLiteral-2*tabColumns {
		return line
	}
	return "{\nName: " + name + ",\n" + rest + ",\n}"
}

// sample sets what the self-test compares of an output, of which golden.bin has elements of
// type t.
func (p *port) sample(t ir.Type) {
	p.Stride, p.Top1 = stride(t.Shape.Len()), 0
	if len(t.Shape) == 2 && p.Stride == 1 && t.Shape.Len() > 0 {
		p.Top1 = t.Shape[1]
	}
}

// ports returns the inputs and outputs of a graph.
func ports(g *ir.Graph) (in, out []port, err error) {
	seen := map[string]bool{}
	fieldsIn, fieldsOut := Fields(g)
	add := func(list *[]port, kind, field, name, axes string, t ir.Type, of int) error {
		element := t.DType.GoType()
		if element == "" {
			return fmt.Errorf("%s %q has elements of type %s, which the generated API does not have", strings.ToLower(kind), name, t.DType)
		}
		p := port{Field: field, Model: name, Quoted: quote(name, quoteWidth-maxIdentifier), Text: comment(name), Go: element, Index: len(in) + len(out), Axes: axes,
			Shape: t.Shape.String(), Dims: strings.NewReplacer("[", "{", "]", "}", ",", ", ").Replace(t.Shape.String()),
			Len: t.Shape.Len(), Bytes: t.Bytes(), Float: t.DType.IsFloat()}
		p.sample(t)
		p.Name = kind
		if of > 1 {
			p.Name += field
		}
		p.Name = unique(p.Name, seen)
		*list = append(*list, p)
		return nil
	}
	for i, x := range g.Inputs {
		if err := add(&in, "Input", fieldsIn[i], x.Name, inputAxes(x), x.Type, len(g.Inputs)); err != nil {
			return nil, nil, err
		}
	}
	for i, x := range g.Outputs {
		if err := add(&out, "Output", fieldsOut[i], x.Name, outputAxes(x.Value), x.Value.Type, len(g.Outputs)); err != nil {
			return nil, nil, err
		}
	}
	return in, out, nil
}

// Fields returns the names of the fields of the types Input and Output in the
// package of g, in the order of the inputs and outputs of g.
func Fields(g *ir.Graph) (in, out []string) {
	names := func(n int, name func(i int) string, kind string) []string {
		if n == 1 {
			return []string{"Data"}
		}
		var list []string
		seen := map[string]bool{}
		for i := range n {
			list = append(list, unique(identifier(name(i), kind), seen))
		}
		return list
	}
	return names(len(g.Inputs), func(i int) string { return g.Inputs[i].Name }, "Input"),
		names(len(g.Outputs), func(i int) string { return g.Outputs[i].Name }, "Output")
}
