package golang

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"modelc/backend/cpu"
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime/kernel"
)

// layers.go has a variable for each step, and a variable for each place in memory
// that steps read or write. A place that several steps use is declared once. A
// place in the arena has the name of the layer whose result it holds. Weights have
// the name of the layer that reads them.

// variables holds the names of a package's variables.
type variables struct {
	taken map[string]bool
	// shared has the variables of places in the stored and the prepared weights,
	// which the programs of a package share.
	shared map[any]string
}

func newVariables() *variables {
	return &variables{taken: reserved(), shared: map[any]string{}}
}

func (vs *variables) unique(name string) string { return uniqueVariable(name, vs.taken) }

// stepVariables returns the name of each step's variable. The step that completes
// the result of a layer has the name of the layer. A helper step has the name of
// the layer, followed by the name of its kernel.
func (vs *variables) stepVariables(layers []plan.Layer, prefix string) []string {
	names := make([]string, len(layers))
	for _, completes := range []bool{true, false} {
		for i, l := range layers {
			if (l.Value != nil) != completes {
				continue
			}
			typ := l.Kernel[strings.LastIndexByte(l.Kernel, '.')+1:]
			kind := uncapitalised(typ)
			name := variable(l.Name, kind)
			if !completes && name != kind {
				name += typ
			}
			names[i] = vs.unique(prefixed(prefix, name))
		}
	}
	return names
}

// prefixed returns an unexported name after a prefix, which may be empty.
func prefixed(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + capitalised(name)
}

// layers collects the variables of a program.
type layers struct {
	*variables
	program *cpu.Program
	prefix  string
	steps   []string                   // variables of the steps
	makes   map[*ir.Value]int          // indices of the steps that complete the values
	places  map[place]string           // variables of places in the arena and of ports
	images  map[*ir.Value]*plan.Buffer // buffers of values that lie as images
	ports   map[kernel.Ref]port

	portsUsed []variableOf
	buffers   [][]variableOf // places in each buffer
	order     []int          // indices of the buffers, by first use
	weights   [][]variableOf // by step, the weights that it is the first to read
	loads     [][]loading    // by step, the load steps that prepare its weights
}

// place identifies an operand. An offset in the arena belongs to different buffers
// at different times.
type place struct {
	buffer int // result of bufferOf
	value  any // Ref, or the struct that holds it
}

// variableOf is the variable of an operand.
type variableOf struct {
	operand
	name    string
	comment string // describes its contents
	history string // result of history
}

// loading is a load step.
type loading struct {
	name   string
	doc    string
	stored []variableOf // stored weights that it is the first to read
	kernel reflect.Value
}

// newLayers names the variables of a batch, except those of load steps.
func newLayers(vs *variables, b *batch) *layers {
	p, prefix := b.program, ""
	if b.Suffix != "" {
		prefix = "batch" + b.Suffix
	}
	ports := map[kernel.Ref]port{}
	for i, x := range slices.Concat(b.Inputs, b.Outputs) {
		x.Variable = vs.unique(prefixed(prefix, uncapitalised(x.Name)))
		ports[kernel.Ref{Space: kernel.IO + kernel.Space(i), Len: x.Len}] = x
	}
	l := &layers{
		variables: vs, program: p, prefix: prefix, steps: vs.stepVariables(p.Layers, prefix), ports: ports,
		makes: map[*ir.Value]int{}, images: map[*ir.Value]*plan.Buffer{}, places: map[place]string{},
		buffers: make([][]variableOf, len(p.Buffers)), weights: make([][]variableOf, len(p.Layers)), loads: make([][]loading, len(p.Layers)),
	}
	for i, x := range p.Layers {
		if x.Value != nil {
			l.makes[x.Value] = i
		}
	}
	for _, b := range p.Buffers {
		for _, h := range p.Holds(b) {
			if h.Where.Image.N > 0 {
				l.images[h.Value] = b
			}
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

// nameOperand gives an operand of a step a variable, unless it has one. field is
// the name of the operand in the kernel.
func (l *layers) nameOperand(step int, o operand, field string) {
	own := prefixed(l.steps[step], field)
	switch {
	case !o.ref.Present() && o.value.Type() != refType:
		at := place{l.bufferOf(step, o), o.value.Interface()}
		if l.places[at] == "" {
			l.places[at] = l.unique(l.steps[step] + "Between")
			l.weights[step] = append(l.weights[step], variableOf{o, l.places[at], "Extents of an image that is never whole in memory: the step makes a few rows at a time.", ""})
		}
	case o.ref.Space == kernel.Weights || o.ref.Space == kernel.Prepared:
		if l.shared[o.value.Interface()] == "" {
			name := l.unique(own)
			l.shared[o.value.Interface()] = name
			l.weights[step] = append(l.weights[step], variableOf{operand: o, name: name})
		}
	case o.ref.Space == kernel.Arena:
		l.nameInArena(step, o, own)
	default:
		at := place{-1, o.value.Interface()}
		if l.places[at] != "" {
			return
		}
		v := variableOf{operand: o}
		if p, ok := l.ports[o.ref]; ok && o.value.Type() == refType {
			v.name, v.comment = p.Variable, fmt.Sprintf("%s%s, the tensor %q", p.Go, p.Shape, p.Text)
		} else {
			v.name = l.unique(own)
		}
		l.places[at] = v.name
		l.portsUsed = append(l.portsUsed, v)
	}
}

// nameInArena gives an operand in the arena a variable, unless it has one. own is
// the name of the variable if the operand holds no result of a layer.
func (l *layers) nameInArena(step int, o operand, own string) {
	i := l.bufferOf(step, o)
	at := place{i, o.value.Interface()}
	if l.places[at] != "" {
		return
	}
	if i < 0 { // does not occur in plans
		l.places[at] = l.unique(own)
		l.weights[step] = append(l.weights[step], variableOf{operand: o, name: l.places[at]})
		return
	}
	v := variableOf{operand: o, name: own}
	b := l.program.Buffers[i]
	if held := l.valuesAt(b, o); len(held) > 0 {
		v.name, v.comment, v.history = l.resultName(b, held[0], o), held[0].Value.Type.String(), l.history(held)
		if c := l.channels(b, o); c != "" {
			v.comment += ", " + c
		}
	} else if k := slices.IndexFunc(l.buffers[i], func(v variableOf) bool { return v.ref == o.ref }); k >= 0 && o.value.Type() == refType {
		v.name = strings.TrimSuffix(l.buffers[i][k].name, "Out") + "Flat"
		v.comment = fmt.Sprintf("the memory of %s as %d numbers", l.buffers[i][k].name, o.ref.Len)
	} else if c := l.channels(b, o); c != "" {
		v.comment = c
	}
	v.name = l.unique(v.name)
	l.places[at] = v.name
	if len(l.buffers[i]) == 0 {
		l.order = append(l.order, i)
	}
	l.buffers[i] = append(l.buffers[i], v)
}

// valuesAt returns the values that lie at an operand at different times, earliest
// first.
func (l *layers) valuesAt(b *plan.Buffer, o operand) []cpu.Held {
	var list []cpu.Held
	for _, h := range l.program.Holds(b) {
		if at := o.value.Interface(); at == any(h.Where.Image) || at == any(h.Where.Dense) {
			list = append(list, h)
		}
	}
	return list
}

// resultName returns the name of the place where a value lies.
func (l *layers) resultName(b *plan.Buffer, h cpu.Held, o operand) string {
	base := prefixed(l.prefix, variable(h.Layer, "value"))
	if step, ok := l.makes[h.Value]; ok {
		base = l.steps[step]
	}
	switch image := l.images[h.Value]; {
	case image == b && o.value.Type() == refType:
		return base + "Flat"
	case image != nil && o.value.Type() == refType:
		return base + "Dense"
	case h.Value.Def() == nil:
		return base + "Packed"
	}
	return base + "Out"
}

// resultPlace returns the variable of the place in the arena of the value that a
// step completes. It returns "" if there is none.
func (l *layers) resultPlace(step int) string {
	if l.program.Layers[step].Value == nil {
		return ""
	}
	where := l.program.Where(step)
	for _, v := range []any{where.Image, where.Dense} {
		if o, ok := asOperand(reflect.ValueOf(v)); ok && o.ref.Space == kernel.Arena {
			return l.places[place{l.bufferOf(step, o), v}]
		}
	}
	return ""
}

// bufferOf returns the index of the buffer in which an operand of a step lies. It
// returns −1 for an operand outside the arena. For an image without memory it
// returns a number that no other step has.
func (l *layers) bufferOf(step int, o operand) int {
	switch {
	case !o.ref.Present():
		return -2 - step
	case o.ref.Space != kernel.Arena:
		return -1
	}
	return slices.IndexFunc(l.program.Buffers, func(b *plan.Buffer) bool {
		return b.First <= step && step <= b.Last && b.Off <= o.ref.Off && o.ref.Off < b.Off+b.Bytes
	})
}

// reader returns the program that has the first step that reads the weights that a
// load step prepares, and the index of that step.
func reader(list []*layers, load reflect.Value) (l *layers, step int) {
	for _, l := range list {
		for step, variables := range l.weights {
			for _, v := range variables {
				if v.ref.Space == kernel.Prepared && slices.ContainsFunc(fields(load), func(f field) bool { return f.ref == v.ref }) {
					return l, step
				}
			}
		}
	}
	return list[0], len(list[0].program.Layers) - 1 // does not occur: plans read all weights that they prepare
}

// nameLoad gives a load step a variable. It is declared with the step that reads
// the weights that the load step prepares.
func (l *layers) nameLoad(load plan.Layer, of reflect.Value, step int) string {
	list := fields(of)
	base := l.steps[step]
	for _, f := range list {
		if name, ok := l.shared[f.value.Interface()]; ok && f.ref.Space == kernel.Prepared {
			base = strings.TrimSuffix(name, "Weights")
		}
	}
	k := loading{name: l.unique(base + "Load"), doc: load.Doc, kernel: of}
	for _, f := range list {
		if l.shared[f.value.Interface()] == "" {
			name := l.unique(base + "Stored")
			l.shared[f.value.Interface()] = name
			k.stored = append(k.stored, variableOf{operand: f.operand, name: name})
		}
	}
	l.loads[step] = append(l.loads[step], k)
	return k.name
}
