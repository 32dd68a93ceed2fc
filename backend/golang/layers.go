package golang

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"modelc/backend/cpu"
	"modelc/backend/plan"
	"modelc/internal/units"
	"modelc/runtime/kernel"
)

// layersSource is the contents of layers.go for one batch size.
type layersSource struct {
	Loads, Steps []entry
	// Ports are the inputs and outputs that steps use.
	Ports []declaration
	// Buffers declare the places in the arena, a section for each buffer.
	Buffers []section
	Images  bool // whether some places are images
	Bytes   bool // whether some images have bytes
	// Layers declare the steps with the weights that they read, a section for each
	// step.
	Layers []section
	// Imports are the import paths of the packages that the file needs, as in the
	// compiler.
	Imports []string
}

// section is a group of variables under a comment.
type section struct {
	Comment      string // lines; may be empty
	Declarations []declaration
}

// declaration is a variable.
type declaration struct {
	Comment string // lines; may be empty
	Apart   bool   // whether an empty line precedes it
	Name    string
	Value   string
}

// entry is a step in the list of a plan.
type entry struct{ Name, Variable string }

// String returns the entry as an element of a slice.
func (e entry) String() string {
	name := quote(e.Name, quoteWidth)
	if line := fmt.Sprintf("{Name: %s, Kernel: &%s}", name, e.Variable); columns(line) < wideLiteral-2*tabColumns {
		return line
	}
	return fmt.Sprintf("{\nName: %s,\nKernel: &%s,\n}", name, e.Variable)
}

// newLayersSources returns the files of batches that share weights. The plan of
// the first batch has all load steps.
func newLayersSources(batches []*batch) []*layersSource {
	vs := newVariables()
	list := make([]*layers, len(batches))
	for i, b := range batches {
		list[i] = newLayers(vs, b)
	}
	first := batches[0].program
	loads := make([]entry, len(first.Loads))
	for i, load := range first.Loads {
		k := reflect.ValueOf(first.Plan.Load[i].Kernel).Elem()
		l, step := reader(list, k)
		loads[i] = entry{load.Name, l.nameLoad(load, k, step)}
	}
	files := make([]*layersSource, len(list))
	for i, l := range list {
		files[i] = l.file()
	}
	files[0].Loads = loads
	return files
}

// history returns text that lists the layers whose results lie in a place one
// after another. It returns "" if there is only one layer.
func (l *layers) history(held []cpu.Held) string {
	var names []string
	for _, h := range held {
		if _, ok := l.makes[h.Value]; ok {
			names = append(names, short(h.Layer))
		}
	}
	n := len(names)
	if n < 2 {
		return ""
	}
	return fmt.Sprintf("the results of %s and %s in turn", strings.Join(names[:n-1], ", "), names[n-1])
}

// channels returns text that gives the channels of the buffer's image that an
// operand has. It returns "" if the operand has all channels or is no image.
func (l *layers) channels(b *plan.Buffer, o operand) string {
	m, ok := o.value.Interface().(kernel.Image)
	all := 0
	for _, h := range l.program.Holds(b) {
		all = max(all, h.Where.Image.C)
	}
	if !ok || m.C == all {
		return ""
	}
	first := (m.Off - b.Off) / m.PlaneBytes() * m.Lanes()
	return fmt.Sprintf("channels %d to %d", first, first+m.C-1)
}

// short returns the name of a layer for comments.
func short(name string) string {
	const most = 60
	if r := []rune(comment(name)); len(r) > most {
		return string(r[:most]) + "…"
	}
	return comment(name)
}

// file returns the contents of the file.
func (l *layers) file() *layersSource {
	f := &layersSource{}
	packages := map[string]bool{runtimePath: true}
	operands := &printer{packages: packages}
	for i, s := range l.program.Plan.Steps {
		f.Steps = append(f.Steps, entry{s.Name, l.steps[i]})
	}
	slices.SortStableFunc(l.portsUsed, func(a, b variableOf) int { return int(a.ref.Space) - int(b.ref.Space) })
	f.Ports = declare(operands, l.portsUsed)
	for _, i := range l.order {
		f.Buffers = append(f.Buffers, l.bufferSection(i, operands))
		f.Bytes = f.Bytes || slices.ContainsFunc(l.buffers[i], func(v variableOf) bool {
			m, ok := v.value.Interface().(kernel.Image)
			return ok && m.Elem == kernel.Uint8
		})
		f.Images = f.Images || slices.ContainsFunc(l.buffers[i], func(v variableOf) bool { return v.value.Type() != refType })
	}
	for i := range l.program.Layers {
		f.Layers = append(f.Layers, l.layerSection(i, operands))
	}
	for p := range packages {
		f.Imports = append(f.Imports, p)
	}
	slices.Sort(f.Imports)
	return f
}

// declare returns the declarations of places. Their width allows for the alignment
// by gofmt.
func declare(p *printer, places []variableOf) []declaration {
	longest := 0
	for _, v := range places {
		longest = max(longest, columns(v.name))
	}
	list := make([]declaration, len(places))
	for i, v := range places {
		list[i] = declaration{Comment: lines(joined(": ", v.comment, v.history)), Name: v.name, Value: p.packed(v.value, longest+len(" = "), wideLiteral-tabColumns)}
	}
	return list
}

// bufferSection declares the places in a buffer.
func (l *layers) bufferSection(i int, p *printer) section {
	b := l.program.Buffers[i]
	first, last := short(l.program.Layers[b.First].Name), short(l.program.Layers[b.Last].Name)
	use := fmt.Sprintf("%s, in use from %s to %s", units.Bytes(b.Bytes), first, last)
	if first == last {
		use = fmt.Sprintf("%s, in use during %s", units.Bytes(b.Bytes), first)
	}
	places := l.buffers[i]
	if len(places) == 1 {
		text := joined(", ", places[0].comment, joined(": ", use, places[0].history)) + "."
		return section{lines(text), []declaration{{Name: places[0].name, Value: p.packed(places[0].value, columns(places[0].name)+7, wideLiteral)}}}
	}
	return section{lines(fmt.Sprintf("The buffer of %s: %s.", short(b.Name), use)), declare(p, places)}
}

// layerSection declares a step, the weights that it is the first to read, and
// the load steps that prepare them.
func (l *layers) layerSection(i int, operands *printer) section {
	layer := &l.program.Layers[i]
	doc := comment(layer.Name) + ": " + layer.Doc
	if to := l.resultPlace(i); to != "" && !strings.HasPrefix(to, l.steps[i]) {
		doc += "; the result is in " + to
	}
	s := section{Comment: lines(doc)}
	var places []variableOf
	for _, load := range l.loads[i] {
		places = append(places, load.stored...)
	}
	s.Declarations = declare(operands, append(places, l.weights[i]...))
	add := func(name string, v reflect.Value, comment string, buffer func(o operand) int) {
		p := &printer{packages: operands.packages, name: func(v reflect.Value) string {
			o, ok := asOperand(v)
			if !ok {
				return ""
			}
			if n := l.shared[v.Interface()]; n != "" {
				return n
			}
			return l.places[place{buffer(o), v.Interface()}]
		}}
		s.Declarations = append(s.Declarations, declaration{Comment: comment, Apart: len(s.Declarations) > 0, Name: name, Value: p.kernel(v, wideLiteral-tabColumns)})
	}
	for _, load := range l.loads[i] {
		add(load.name, load.kernel, lines("When the model is opened: "+load.doc), func(operand) int { return -1 })
	}
	add(l.steps[i], reflect.ValueOf(l.program.Plan.Steps[i].Kernel).Elem(), "", func(o operand) int { return l.bufferOf(i, o) })
	return s
}

// joined returns two texts with between between them, or one of them if the other
// is empty.
func joined(between, a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + between + b
}

// lines returns text as lines of a comment. It returns "" if text is empty.
func lines(text string) string {
	if text == "" {
		return ""
	}
	return wrap(text, "// ", "// ", layerColumns)
}

// layerColumns is the width to which comments of layers.go are filled.
const layerColumns = 104
