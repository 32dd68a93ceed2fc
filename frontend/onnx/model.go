// Package onnx converts ONNX models (IR version 1 to 14, opsets up to 28) to the IR.
//
// wire.go decodes the protobuf and tensor.go the weights. model.go reads the
// model's frame, import.go walks its graph. Each family of operators has a file
// of builders, which use the methods of node.go; operators.go lists the
// families. The package resolves what a file leaves implicit: defaults, auto_pad,
// ceil_mode, variants of opsets, shape arithmetic, functions and constant
// branches.
package onnx

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"modelc/frontend/source"
	"modelc/ir"
)

// The supported versions of the format.
const (
	OldestIR, NewestIR = 1, 14 // IR versions
	maxOpset           = 28    // of the default domain
)

// Load reads the model at path. Its weights may be slices of the mapped file, which
// are valid until Release.
func Load(path string, opts source.Options) (*source.Model, error) {
	data, release, err := source.MapFile(path)
	if err != nil {
		return nil, err
	}
	m, err := Parse(path, data, filepath.Dir(path), opts)
	if err != nil {
		release()
		return nil, err
	}
	m.Mapped = append(m.Mapped, data)
	m.Unload() // the digest read all weights
	rest := m.Release
	m.Release = func() error {
		if err := rest(); err != nil {
			return err
		}
		return release()
	}
	return m, nil
}

// Parse reads a model from memory. Errors contain name. External data is read from
// files in dir; if dir is empty, external data is an error.
func Parse(name string, data []byte, dir string, opts source.Options) (*source.Model, error) {
	p, err := decodeModel(data)
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("%s: the file ends in the middle of the model: it is truncated, or not ONNX", name)
		}
		return nil, fmt.Errorf("%s: not an ONNX model, or damaged: %w", name, err)
	}
	return load(name, p, data, dir, opts)
}

// load converts a decoded model. data is the file's content.
func load(name string, p *modelProto, data []byte, dir string, opts source.Options) (*source.Model, error) {
	if p.graph == nil || p.irVersion == 0 {
		return nil, fmt.Errorf("%s: not an ONNX model: it has no graph", name)
	}
	if p.irVersion < OldestIR || p.irVersion > NewestIR {
		return nil, fmt.Errorf("%s: ONNX IR version %d; %d to %d are supported", name, p.irVersion, OldestIR, NewestIR)
	}
	undeclared := len(p.opsets) == 0 // as in files of IR version 1 and 2
	if undeclared {
		p.opsets = map[string]int{"": 1}
	}
	if v, ok := p.opsets[""]; ok && (v < 1 || v > maxOpset) {
		return nil, fmt.Errorf("%s: ONNX opset %d; up to %d is supported", name, v, maxOpset)
	}
	digest := sha256.New()
	digest.Write(data)
	im := &importer{
		g: ir.NewGraph(p.graph.name), opts: opts, opsets: p.opsets, operators: operators,
		files:     &externals{dir: dir, open: map[string][]byte{}, lost: map[string]bool{}},
		functions: map[string]*functionProto{}, tensors: map[*tensorProto]*ir.Tensor{}, narrow: map[*ir.Tensor]string{}, constants: map[*tensorProto]*ir.Value{}, stored: int64(len(data)),
	}
	im.g.Bounds = opts.Bounds
	if undeclared && p.irVersion > 2 {
		im.notes = append(im.notes, "the model does not declare its opset: its operators are those of opset 1")
	}
	im.files.read = func(b []byte) {
		digest.Write(b)
		im.stored += int64(len(b))
	}
	release := func() error {
		for _, f := range im.files.undo {
			if err := f(); err != nil {
				return err
			}
		}
		return nil
	}
	if err := im.run(p); err != nil {
		release()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(im.problems) > 0 {
		release()
		return nil, &source.Unsupported{Path: name, Problems: im.problems}
	}
	im.g.Prune()
	if err := ir.Verify(im.g); err != nil {
		release()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if im.widened {
		im.notes = append(im.notes, "half-precision tensors are computed in float32")
	}
	meta := p.metadata
	if p.producer != "" {
		meta["producer"] = p.producer + " " + p.producerVersion
	}
	return &source.Model{
		Graph: im.g, Path: name, Format: fmt.Sprintf("ONNX, IR version %d, opset %d", p.irVersion, p.opsets[""]),
		SHA256: hex.EncodeToString(digest.Sum(nil)), Notes: im.notes, Half: im.widened, Layers: im.layers.All(), Calls: im.layers.Calls(), Metadata: meta, Release: release,
		Mapped: slices.Collect(maps.Values(im.files.open)),
	}, nil
}

// InputNames returns the names of a model's inputs in order. It omits weights, which
// old files also list as inputs. Options.Bind and Options.Shapes use these names.
func InputNames(data []byte) ([]string, error) {
	p, err := decodeModel(data)
	if err != nil {
		return nil, fmt.Errorf("not an ONNX model, or damaged: %w", err)
	}
	if p.graph == nil {
		return nil, errors.New("not an ONNX model: it has no graph")
	}
	var names []string
	for _, v := range p.graph.inputs {
		if !slices.ContainsFunc(p.graph.initializers, func(t *tensorProto) bool { return t.name == v.name }) {
			names = append(names, v.name)
		}
	}
	return names, nil
}

func (im *importer) run(p *modelProto) error {
	g := p.graph
	if len(g.sparse) > 0 {
		return fmt.Errorf("sparse initializers %q are not supported: store them dense", g.sparse)
	}
	for _, f := range p.functions {
		im.functions[functionKey(f.domain, f.name, f.overload)] = f
	}
	s := newScope(p.opsets)
	if err := s.initialize(g.initializers); err != nil {
		return err
	}
	if err := im.inputs(g.inputs, s); err != nil {
		return err
	}
	if im.nodes(g.nodes, s, 0); im.stopped {
		return nil // the problem is reported, and outputs are missing
	}
	if len(g.outputs) == 0 {
		return errors.New("the graph has no outputs")
	}
	for _, o := range g.outputs {
		if _, ok := s.sequence(o.name); ok {
			return fmt.Errorf("output %q is a sequence: only tensors are supported", o.name)
		}
		v, known, err := im.value(s, o.name)
		if err != nil {
			return err
		}
		if !known {
			return fmt.Errorf("output %q is not computed by any node", o.name)
		}
		if v != nil && im.narrow[v.Const] != "" {
			return fmt.Errorf("output %q has elements of type %s", o.name, im.narrow[v.Const])
		}
		if v != nil { // if it is nil, its node was reported
			im.g.AddOutput(o.name, v)
		}
	}
	given := im.g.Outputs
	for _, m := range im.padded {
		if rows := m.Out[0]; len(rows.Uses()) > 0 {
			count := counted(rows, given, len(im.padded)) + ".count"
			im.g.AddOutput(count, m.Out[1])
			im.notes = append(im.notes, fmt.Sprintf("%q always has %d rows; the output %q is the number of rows with boxes", rows.Name, rows.Type.Shape[0], count))
		}
	}
	return nil
}

// counted returns the name from which the name of a count of rows is derived. It is
// the name of the only output of the model if this output has one row per box, and
// otherwise the name of the rows.
func counted(rows *ir.Value, outputs []ir.Output, counts int) string {
	if len(outputs) == 1 && counts == 1 {
		if s := outputs[0].Value.Type.Shape; len(s) > 0 && s[0] == rows.Type.Shape[0] {
			return outputs[0].Name
		}
	}
	return rows.Name
}

// inputs adds the graph's inputs, and constants for the inputs that are bound.
func (im *importer) inputs(list []*valueInfo, s *scope) error {
	named := map[string]bool{}
	dims := map[string]int{} // the number of extents of each open dimension
	var open []string        // flags that set the open dimensions
	for _, v := range list {
		if named[v.name] {
			return fmt.Errorf("two inputs have the name %q", v.name)
		}
		named[v.name] = true
		if t := im.opts.Bind[v.name]; t != nil {
			if err := bindable(v, t); err != nil {
				return err
			}
			s.values[v.name] = im.g.AddConst(v.name, widen(t))
			delete(s.pending, v.name)
			continue
		}
		if s.pending[v.name] != nil {
			continue // IR version 3 lists weights as inputs too
		}
		d, err := elementType(v.dataType)
		if v.kind != "" {
			err = errors.New(v.kind)
		}
		if err != nil {
			im.problems = append(im.problems, source.Problem{Node: v.name, Op: "input", Reason: err.Error() + " cannot be an input",
				Remedy: "tensors of floats, integers and truth values can"})
			s.values[v.name] = nil
			continue
		}
		im.widened = im.widened || isHalf(v.dataType)
		shape, flags, err := im.inputShape(v, dims)
		if err != nil {
			return fmt.Errorf("input %q %w", v.name, err)
		}
		open = append(open, flags...)
		if err := shape.Check(); err != nil {
			return fmt.Errorf("input %q: %w", v.name, err)
		}
		if err := im.opts.Bounds.Check(ir.BoundElements, int64(shape.Len())); err != nil {
			return fmt.Errorf("input %q of shape %s: %w", v.name, shape, err)
		}
		s.values[v.name] = im.g.AddInput(v.name, ir.Type{DType: d, Shape: shape})
	}
	for name := range im.opts.Bind {
		if !named[name] {
			return fmt.Errorf("the model has no input %q to bind", name)
		}
	}
	for name := range im.opts.Dims {
		if dims[name] == 0 {
			return source.UnknownDim(name, slices.Sorted(maps.Keys(dims)))
		}
	}
	slices.Sort(open)
	if open = slices.Compact(open); len(open) > 0 {
		return fmt.Errorf("the model has open dimensions: set them with %s", strings.Join(open, " "))
	}
	return nil
}

// bindable reports whether t can be the value of v.
func bindable(v *valueInfo, t *ir.Tensor) error {
	d, err := elementType(v.dataType)
	if err != nil {
		return fmt.Errorf("input %q cannot be bound: %w", v.name, err)
	}
	fits := widen(t).DType == d && (!v.hasShape || len(v.dims) == len(t.Shape))
	for i := 0; fits && v.hasShape && i < len(t.Shape); i++ {
		fits = !v.dims[i].known || v.dims[i].value <= 0 || v.dims[i].value == int64(t.Shape[i])
	}
	if !fits {
		return fmt.Errorf("input %q cannot be bound to %s: the types differ", v.name, t.Type)
	}
	return nil
}

// pattern returns a shape as a value of --shape, with N for open extents.
func pattern(dims []dimension) string {
	var list []string
	for i, d := range dims {
		switch {
		case d.known && d.value > 0:
			list = append(list, fmt.Sprint(d.value))
		case i == 0:
			list = append(list, "1")
		default:
			list = append(list, "N")
		}
	}
	return strings.Join(list, ",")
}

// anonymous reports whether a dimension has a name such as "?", which some exporters write for
// unrelated extents. --dim cannot bind several of them.
func anonymous(name string) bool { return !strings.ContainsFunc(name, unicode.IsLetter) }

// inputShape sets the open dimensions of an input and adds their names to dims. It
// returns flags for the dimensions without a value.
func (im *importer) inputShape(v *valueInfo, dims map[string]int) (shape ir.Shape, open []string, err error) {
	want, given := im.opts.Shapes[v.name]
	if i := len(im.g.Inputs); !given && i < len(im.opts.InputShapes) {
		want, given = im.opts.InputShapes[i], true
	}
	if !v.hasShape {
		if !given {
			return nil, []string{"--shape " + v.name + "=…"}, nil
		}
		return want, nil, nil
	}
	if given && len(want) != len(v.dims) {
		return nil, nil, fmt.Errorf("has %d axes, the shape %s given for it has %d", len(v.dims), want, len(want))
	}
	shape = make(ir.Shape, len(v.dims))
	for i, d := range v.dims {
		// Some exporters write an open dimension as zero or less. Zero without a
		// name may be an empty tensor.
		if d.known && (d.value > 0 || d.value == 0 && d.param == "" && !given) {
			if d.value > ir.MaxExtent {
				return nil, nil, fmt.Errorf("has extent %d along axis %d", d.value, i)
			}
			if given && want[i] != int(d.value) {
				return nil, nil, fmt.Errorf("has extent %d along axis %d, the data has %d", d.value, i, want[i])
			}
			shape[i] = int(d.value)
			if n := im.opts.Rebatch(shape[i], len(shape)); i == 0 && !given && n != shape[i] {
				im.batch, shape[i] = shape[i], n
			}
			continue
		}
		name := d.param
		if name == "" {
			name = fmt.Sprintf("%s.%d", v.name, i)
		}
		dims[name]++
		n, bound := im.opts.Dims[name]
		switch {
		case given:
			shape[i] = want[i]
		case bound && !(anonymous(name) && dims[name] > 1):
			shape[i] = n
		case i == 0 && im.opts.Batch > 0:
			shape[i] = im.opts.Batch
		case i == 0:
			shape[i] = 1
			note := fmt.Sprintf("dimension %s is open: compiled for 1 (--batch N for more)", name)
			if !slices.Contains(im.notes, note) {
				im.notes = append(im.notes, note)
			}
		case anonymous(name):
			open = append(open, "--shape "+v.name+"="+pattern(v.dims))
		default:
			open = append(open, "--dim "+name+"=N")
		}
		if shape[i] < 0 {
			return nil, nil, fmt.Errorf("has extent %d along axis %d", shape[i], i)
		}
	}
	return shape, open, nil
}
