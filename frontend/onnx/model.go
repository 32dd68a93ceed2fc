// Package onnx reads ONNX models (IR version 3 to 13, opsets 7 to 24) into
// the IR.
//
// wire.go decodes the protobuf, tensor.go the weights, import.go walks the
// graph; the operators stand in one file per family and are listed in
// operators.go. What a file leaves implicit is resolved here: defaults,
// auto_pad, ceil_mode, opset variants, shape arithmetic, functions, constant
// branches.
package onnx

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"modelc/frontend/source"
	"modelc/ir"
)

// The versions of the format that are understood.
const (
	minIR, maxIR = 3, 14
	maxOpset     = 28
)

// Load reads the model at path. Its weights may stay slices of the mapped
// file until Release.
func Load(path string, opts source.Options) (*source.Model, error) {
	data, release, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	m, err := Parse(path, data, filepath.Dir(path), opts)
	if err != nil {
		release()
		return nil, err
	}
	rest := m.Release
	m.Release = func() error {
		if err := rest(); err != nil {
			return err
		}
		return release()
	}
	return m, nil
}

// Parse reads a model from memory. name stands in messages; external data is
// looked for in dir, and refused when dir is empty.
func Parse(name string, data []byte, dir string, opts source.Options) (*source.Model, error) {
	p, err := decodeModel(data)
	if err != nil {
		return nil, fmt.Errorf("%s: not an ONNX model, or damaged: %w", name, err)
	}
	if p.graph == nil || p.irVersion == 0 {
		return nil, fmt.Errorf("%s: not an ONNX model: it has no graph", name)
	}
	if p.irVersion < minIR || p.irVersion > maxIR {
		return nil, fmt.Errorf("%s: ONNX IR version %d; %d to %d are supported", name, p.irVersion, minIR, maxIR)
	}
	if v, ok := p.opsets[""]; ok && (v < 1 || v > maxOpset) {
		return nil, fmt.Errorf("%s: ONNX opset %d; up to %d is supported", name, v, maxOpset)
	}
	digest := sha256.New()
	digest.Write(data)
	im := &importer{
		g: ir.NewGraph(p.graph.name), opts: opts, opsets: p.opsets,
		files:     &files{dir: dir, open: map[string][]byte{}, hash: func(b []byte) { digest.Write(b) }},
		functions: map[string]*functionProto{},
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
		SHA256: hex.EncodeToString(digest.Sum(nil)), Notes: im.notes, Metadata: meta, Release: release,
	}, nil
}

func (im *importer) run(p *modelProto) error {
	g := p.graph
	if g.sparse > 0 {
		return fmt.Errorf("%d sparse initializers: not supported; store them dense", g.sparse)
	}
	for _, f := range p.functions {
		im.functions[functionKey(f.domain, f.name, f.overload)] = f
	}
	s := newScope(p.opsets)
	for _, t := range g.initializers {
		s.pending[t.name] = t
	}
	for _, v := range g.inputs {
		if _, weight := s.pending[v.name]; weight {
			continue // IR version 3 lists weights as inputs too
		}
		if err := im.input(v, s); err != nil {
			return err
		}
	}
	im.nodes(g.nodes, s, 0)
	if len(g.outputs) == 0 {
		return fmt.Errorf("the graph has no outputs")
	}
	for _, o := range g.outputs {
		v, known, err := im.value(s, o.name)
		if err != nil {
			return err
		}
		if !known {
			return fmt.Errorf("output %q is not computed by any node", o.name)
		}
		if v == nil {
			continue // its node was reported
		}
		if v.Const != nil && v.Const.Shape.Len() == 0 && o.dataType == 0 {
			return fmt.Errorf("output %q has no type", o.name)
		}
		im.g.AddOutput(o.name, v)
	}
	return nil
}

// input declares a graph input, or a constant where it is bound.
func (im *importer) input(v *valueInfo, s *scope) error {
	if t := im.opts.Bind[v.name]; t != nil {
		s.values[v.name] = im.g.AddConst(v.name, t)
		return nil
	}
	if v.kind != "" {
		return fmt.Errorf("input %q is a %s: only tensors are supported", v.name, v.kind)
	}
	d, err := elementType(v.dataType)
	if err != nil {
		return fmt.Errorf("input %q has %w, which are not supported", v.name, err)
	}
	im.widened = im.widened || isHalf(v.dataType)
	shape, err := im.inputShape(v)
	if err != nil {
		return err
	}
	s.values[v.name] = im.g.AddInput(v.name, ir.Type{DType: d, Shape: shape})
	return nil
}

// inputShape binds the open dimensions of an input.
func (im *importer) inputShape(v *valueInfo) (ir.Shape, error) {
	want, given := im.opts.Shapes[v.name]
	if i := len(im.g.Inputs); !given && i < len(im.opts.InputShapes) {
		want, given = im.opts.InputShapes[i], true
	}
	if !v.hasShape {
		if !given {
			return nil, fmt.Errorf("input %q has no shape: give one with --shape %s=…", v.name, v.name)
		}
		return want, nil
	}
	if given && len(want) != len(v.dims) {
		return nil, fmt.Errorf("input %q has %d axes, the shape %s given for it has %d", v.name, len(v.dims), want, len(want))
	}
	shape := make(ir.Shape, len(v.dims))
	for i, d := range v.dims {
		name := d.param
		if name == "" {
			name = fmt.Sprintf("%s.%d", v.name, i)
		}
		n, bound := im.opts.Dims[name]
		switch {
		case d.known && d.value > 0:
			if given && want[i] != int(d.value) {
				return nil, fmt.Errorf("input %q has extent %d along axis %d, the data has %d", v.name, d.value, i, want[i])
			}
			if d.value > math.MaxInt32 {
				return nil, fmt.Errorf("input %q has extent %d", v.name, d.value)
			}
			shape[i] = int(d.value)
		case given:
			shape[i] = want[i]
		case bound:
			shape[i] = n
		case d.known && d.value == 0 && d.param == "":
			shape[i] = 0
		case i == 0:
			shape[i] = 1
			note := fmt.Sprintf("dimension %s is open: compiled for 1 (--dim %s=N for another)", name, name)
			if !slices.Contains(im.notes, note) {
				im.notes = append(im.notes, note)
			}
		default:
			return nil, fmt.Errorf("input %q: dimension %q is open: bind it with --dim %s=N", v.name, name, name)
		}
		if shape[i] < 0 {
			return nil, fmt.Errorf("input %q: extent %d", v.name, shape[i])
		}
	}
	return shape, nil
}
