package golang

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"modelc/backend/schedule"
	"modelc/ir"
	"modelc/runtime"
)

// layersSource is the contents of layers.go for one batch size.
type layersSource struct {
	Loads, Steps []entry
	// Ports are the inputs and outputs that steps use.
	Ports []declaration
	// Buffers are the places in the arena, a section for each buffer.
	Buffers []section
	Images  bool // some are images
	// Layers are the steps with the weights that they read, a section each.
	Layers []section
	// Imports are the packages that the file needs, as the compiler spells
	// them.
	Imports []string
}

// section is a group of variables under a comment.
type section struct {
	Comment      string // lines, or none
	Declarations []declaration
}

// declaration is a variable.
type declaration struct {
	Comment string // lines, or none
	Apart   bool   // behind an empty line
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
// the first has all load steps.
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

// layers collects the variables of a program.
type layers struct {
	*variables
	program *schedule.Program
	prefix  string
	steps   []string          // the variable of each step
	makes   map[*ir.Value]int // the step that completes a value
	places  map[place]string  // variables
	ports   map[runtime.Ref]port

	portsUsed []variableOf
	buffers   [][]variableOf // of each buffer
	order     []int          // buffers by their first use
	weights   [][]variableOf // of each step: what it is the first to read
	loads     [][]loading    // of each step: what prepares its weights
}

// place is an operand. The same offset in the arena belongs to different
// buffers at different times.
type place struct {
	buffer int // as bufferOf returns it
	value  any
}

// variableOf is the variable of an operand.
type variableOf struct {
	operand
	name    string
	comment string
}

// loading is a load step.
type loading struct {
	name   string
	doc    string
	stored []variableOf // what it is the first to read
	kernel reflect.Value
}

func newLayers(vs *variables, b *batch) *layers {
	p, prefix := b.program, ""
	if b.Suffix != "" {
		prefix = "batch" + b.Suffix
	}
	l := &layers{variables: vs, program: p, prefix: prefix, makes: map[*ir.Value]int{}, places: map[place]string{}, ports: map[runtime.Ref]port{},
		buffers: make([][]variableOf, len(p.Buffers)), weights: make([][]variableOf, len(p.Layers)), loads: make([][]loading, len(p.Layers))}
	for i, x := range slices.Concat(b.Inputs, b.Outputs) {
		x.Variable = vs.unique(prefixed(prefix, uncapitalised(x.Name)))
		l.ports[runtime.Ref{Space: runtime.IO + runtime.Space(i), Len: x.Len}] = x
	}
	l.steps = vs.stepVariables(p.Layers, prefix)
	for i, x := range p.Layers {
		if x.Value != nil {
			l.makes[x.Value] = i
		}
	}
	for i, s := range p.Plan.Steps {
		list := fields(reflect.ValueOf(s.Kernel).Elem())
		for k, name := range fieldNames(list) {
			l.nameOperand(i, list[k].operand, name)
		}
	}
	return l
}

// nameOperand gives an operand of a step a variable, unless it has one. field
// is its name in the kernel.
func (l *layers) nameOperand(step int, o operand, field string) {
	own := prefixed(l.steps[step], field)
	switch {
	case !o.ref.Present() && o.value.Type() != refType:
		at := place{l.bufferOf(step, o), o.value.Interface()}
		if l.places[at] == "" {
			l.places[at] = l.unique(l.steps[step] + "Between")
			l.weights[step] = append(l.weights[step], variableOf{o, l.places[at], "Extents of an image that is never whole in memory: the step makes a few rows at a time."})
		}
	case o.ref.Space == runtime.Weights || o.ref.Space == runtime.Prepared:
		if l.shared[o.value.Interface()] == "" {
			name := l.unique(own)
			l.shared[o.value.Interface()] = name
			l.weights[step] = append(l.weights[step], variableOf{o, name, ""})
		}
	case o.ref.Space == runtime.Arena:
		l.nameInArena(step, o, own)
	default:
		at := place{-1, o.value.Interface()}
		if l.places[at] != "" {
			return
		}
		v := variableOf{o, "", ""}
		if p, ok := l.ports[o.ref]; ok && o.value.Type() == refType {
			v.name, v.comment = p.Variable, fmt.Sprintf("%s%s, the tensor %q", p.Type, p.Shape, p.Text)
		} else {
			v.name = l.unique(own)
		}
		l.places[at] = v.name
		l.portsUsed = append(l.portsUsed, v)
	}
}

// nameInArena does the same for an operand in the arena.
func (l *layers) nameInArena(step int, o operand, own string) {
	i := l.bufferOf(step, o)
	at := place{i, o.value.Interface()}
	if l.places[at] != "" {
		return
	}
	if i < 0 { // no plan has one
		l.places[at] = l.unique(own)
		l.weights[step] = append(l.weights[step], variableOf{o, l.places[at], ""})
		return
	}
	v := variableOf{o, own, ""}
	b := &l.program.Buffers[i]
	if held := valuesAt(b, o); len(held) > 0 {
		v.name, v.comment = l.resultName(b, held[0], o), l.placeText(b, held, o)
	} else if k := slices.IndexFunc(l.buffers[i], func(v variableOf) bool { return v.ref == o.ref }); k >= 0 && o.value.Type() == refType {
		v.name = strings.TrimSuffix(l.buffers[i][k].name, "Out") + "Flat"
		v.comment = fmt.Sprintf("the memory of %s as %d numbers", l.buffers[i][k].name, o.ref.Len)
	} else if c := channels(b, o); c != "" {
		v.comment = c
	}
	v.name = l.unique(v.name)
	l.places[at] = v.name
	if len(l.buffers[i]) == 0 {
		l.order = append(l.order, i)
	}
	l.buffers[i] = append(l.buffers[i], v)
}

// valuesAt returns the values that lie at an operand, in the order of time.
func valuesAt(b *schedule.Buffer, o operand) []schedule.Held {
	var list []schedule.Held
	for _, h := range b.Holds {
		if at := o.value.Interface(); at == any(h.Where.Image) || at == any(h.Where.Dense) {
			list = append(list, h)
		}
	}
	return list
}

// resultName returns the name of the place where a value lies.
func (l *layers) resultName(b *schedule.Buffer, h schedule.Held, o operand) string {
	base := prefixed(l.prefix, variable(h.Layer, "value"))
	if step, ok := l.makes[h.Value]; ok {
		base = l.steps[step]
	}
	image := slices.ContainsFunc(b.Holds, func(x schedule.Held) bool { return x.Value == h.Value && x.Where.Image.N > 0 })
	switch {
	case image && o.value.Type() == refType:
		return base + "Flat"
	case h.Value.Def() == nil:
		return base + "Packed"
	}
	return base + "Out"
}

// placeText says what lies at an operand.
func (l *layers) placeText(b *schedule.Buffer, held []schedule.Held, o operand) string {
	text := held[0].Value.Type.String()
	if c := channels(b, o); c != "" {
		text += ", " + c
	}
	var names []string
	for _, h := range held {
		if _, ok := l.makes[h.Value]; ok {
			names = append(names, short(h.Layer))
		}
	}
	if n := len(names); n > 1 {
		text += fmt.Sprintf(": the results of %s and %s in turn", strings.Join(names[:n-1], ", "), names[n-1])
	}
	return text
}

// channels says which channels of the buffer's image an operand has, "" for
// all or where that is not an image.
func channels(b *schedule.Buffer, o operand) string {
	m, ok := o.value.Interface().(runtime.Image)
	all := 0
	for _, h := range b.Holds {
		all = max(all, h.Where.Image.C)
	}
	if !ok || m.C == all {
		return ""
	}
	first := (m.Off - b.Off) / (m.Plane() * 4) * 16
	return fmt.Sprintf("channels %d to %d", first, first+m.C-1)
}

// short returns a name of a layer as comments show it.
func short(name string) string {
	const most = 60
	if r := []rune(comment(name)); len(r) > most {
		return string(r[:most]) + "…"
	}
	return comment(name)
}

// reader returns the program with the first step that reads what a load step
// prepares.
func reader(list []*layers, load reflect.Value) (l *layers, step int) {
	for _, l := range list {
		for step, variables := range l.weights {
			for _, v := range variables {
				if v.ref.Space == runtime.Prepared && slices.ContainsFunc(fields(load), func(f field) bool { return f.ref == v.ref }) {
					return l, step
				}
			}
		}
	}
	return list[0], len(list[0].program.Layers) - 1 // no plan prepares what it does not read
}

// nameLoad gives a load step a variable beside the step that reads what it
// prepares.
func (l *layers) nameLoad(load schedule.Layer, kernel reflect.Value, step int) string {
	list := fields(kernel)
	base := l.steps[step]
	for _, f := range list {
		if name, ok := l.shared[f.value.Interface()]; ok && f.ref.Space == runtime.Prepared {
			base = strings.TrimSuffix(name, "Weights")
		}
	}
	k := loading{name: l.unique(base + "Load"), doc: load.Doc, kernel: kernel}
	for _, f := range list {
		if l.shared[f.value.Interface()] == "" {
			name := l.unique(base + "Stored")
			l.shared[f.value.Interface()] = name
			k.stored = append(k.stored, variableOf{f.operand, name, ""})
		}
	}
	l.loads[step] = append(l.loads[step], k)
	return k.name
}

// file prints what was collected.
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

// declare returns the declarations of places, which gofmt aligns.
func declare(p *printer, places []variableOf) []declaration {
	longest := 0
	for _, v := range places {
		longest = max(longest, columns(v.name))
	}
	list := make([]declaration, len(places))
	for i, v := range places {
		list[i] = declaration{Comment: lines(v.comment), Name: v.name, Value: p.packed(v.value, longest+len(" = "), wideLiteral-tabColumns)}
	}
	return list
}

// bufferSection declares the places in a buffer.
func (l *layers) bufferSection(i int, p *printer) section {
	b := &l.program.Buffers[i]
	use := fmt.Sprintf("%s, in use from %s to %s", Size(b.Bytes), short(l.program.Layers[b.First].Name), short(l.program.Layers[b.Last].Name))
	if b.First == b.Last {
		use = fmt.Sprintf("%s, in use during %s", Size(b.Bytes), short(l.program.Layers[b.First].Name))
	}
	places := l.buffers[i]
	if len(places) == 1 {
		what, turn, _ := strings.Cut(places[0].comment, ": ")
		if turn != "" {
			use += ": " + turn
		}
		if what != "" {
			what += ", "
		}
		return section{lines(what + use + "."), declare(p, places)}
	}
	return section{lines(fmt.Sprintf("The buffer of %s: %s.", short(b.Name), use)), declare(p, places)}
}

// layerSection declares a step, what only it or what it first reads, and what
// prepares that.
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
	kernel := func(name string, v reflect.Value, comment string, buffer func(o operand) int) {
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
		kernel(load.name, load.kernel, lines("When the model is opened: "+load.doc), func(operand) int { return -1 })
	}
	kernel(l.steps[i], reflect.ValueOf(l.program.Plan.Steps[i].Kernel).Elem(), "", func(o operand) int { return l.bufferOf(i, o) })
	return s
}

// resultPlace returns the variable of the place in the arena where the value
// that a step completes lies, "" for none.
func (l *layers) resultPlace(step int) string {
	x := &l.program.Layers[step]
	for _, v := range []any{x.Where.Image, x.Where.Dense} {
		if o, ok := asOperand(reflect.ValueOf(v)); ok && x.Value != nil && o.ref.Space == runtime.Arena {
			return l.places[place{l.bufferOf(step, o), v}]
		}
	}
	return ""
}

// bufferOf returns the buffer in which an operand of a step lies, −1 for
// memory outside the arena, and a number of the step's own for an image without
// memory.
func (l *layers) bufferOf(step int, o operand) int {
	switch {
	case !o.ref.Present():
		return -2 - step
	case o.ref.Space != runtime.Arena:
		return -1
	}
	return slices.IndexFunc(l.program.Buffers, func(b schedule.Buffer) bool {
		return b.First <= step && step <= b.Last && b.Off <= o.ref.Off && o.ref.Off < b.Off+b.Bytes
	})
}

// lines returns text as lines of a comment, "" for none.
func lines(text string) string {
	if text == "" {
		return ""
	}
	return wrap(text, "// ", "// ", layerColumns)
}

// layerColumns is the width to which comments of layers.go are filled.
const layerColumns = 104
