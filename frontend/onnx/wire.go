package onnx

import (
	"fmt"
	"iter"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"modelc/internal/plaintext"
)

// The messages of onnx.proto that the compiler reads. Weights are slices of the file:
// rawData is never copied.

type modelProto struct {
	irVersion       int64
	producer        string
	producerVersion string
	graph           *graphProto
	opsets          map[string]int
	functions       []*functionProto
	metadata        map[string]string
}

type graphProto struct {
	name         string
	nodes        []*nodeProto
	initializers []*tensorProto
	sparse       []string // names of sparse initializers, which are not supported
	inputs       []*valueInfo
	outputs      []*valueInfo
}

type functionProto struct {
	name, domain    string
	overload        string
	inputs, outputs []string
	nodes           []*nodeProto
	opsets          map[string]int
	defaults        []*attribute // attributes with default values
}

type nodeProto struct {
	name, opType, domain string
	overload             string
	inputs, outputs      []string
	attrs                []*attribute
}

type attribute struct {
	name    string
	ref     string // name of the function's attribute to which it refers
	f       float32
	i       int64
	s       string
	t       *tensorProto
	g       *graphProto
	floats  []float32
	ints    []int64
	strings []string
}

type tensorProto struct {
	name     string
	dims     []int64
	dataType int64
	raw      []byte
	hasRaw   bool
	floats   []float32
	ints     varints // int32_data, int64_data and uint64_data alike
	doubles  []float64
	strings  int
	external map[string]string
	location int64
}

type valueInfo struct {
	name     string
	dataType int64
	kind     string // its kind with an article if it is not a tensor: "a sequence"
	hasShape bool
	dims     []dimension
}

// dimension is a fixed extent if known is set. Otherwise it is open and may have a
// name.
type dimension struct {
	value int64
	known bool
	param string
}

// maxDepth is the maximum nesting of graphs in attributes.
const maxDepth = 16

// decoder decodes a message. base is its position in the file, for error messages.
type decoder struct {
	base  int
	depth int
}

// field is a field of a message: x is the value of a number, b that of a field with a
// length.
type field struct {
	num  protowire.Number
	typ  protowire.Type
	x    uint64
	b    []byte
	base int // position of the value in the file, in bytes
}

func (d decoder) each(b []byte, f func(fl field) error) error {
	at := 0
	for at < len(b) {
		num, typ, n := protowire.ConsumeTag(b[at:])
		if n < 0 {
			return fmt.Errorf("byte %d: %w", d.base+at, protowire.ParseError(n))
		}
		at += n
		fl := field{num: num, typ: typ, base: d.base + at}
		switch typ {
		case protowire.VarintType:
			fl.x, n = protowire.ConsumeVarint(b[at:])
		case protowire.Fixed32Type:
			var x uint32
			x, n = protowire.ConsumeFixed32(b[at:])
			fl.x = uint64(x)
		case protowire.Fixed64Type:
			fl.x, n = protowire.ConsumeFixed64(b[at:])
		case protowire.BytesType:
			fl.b, n = protowire.ConsumeBytes(b[at:])
			fl.base = d.base + at + n - len(fl.b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b[at:])
		}
		if n < 0 {
			return fmt.Errorf("byte %d: %w", d.base+at, protowire.ParseError(n))
		}
		if err := f(fl); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// in returns the decoder of a nested message.
func (d decoder) in(fl field) decoder { return decoder{fl.base, d.depth + 1} }

// nested decodes a nested message with f.
func nested[T any](d decoder, fl field, f func(decoder, []byte) (T, error)) (T, error) {
	var zero T
	if fl.typ != protowire.BytesType {
		return zero, fmt.Errorf("byte %d: field %d has wire type %d, want a message", fl.base, fl.num, fl.typ)
	}
	if d.depth >= maxDepth {
		return zero, fmt.Errorf("byte %d: messages nested more than %d deep", fl.base, maxDepth)
	}
	return f(d.in(fl), fl.b)
}

func decodeModel(b []byte) (*modelProto, error) {
	m := &modelProto{opsets: map[string]int{}, metadata: map[string]string{}}
	d := decoder{}
	err := d.each(b, func(fl field) (err error) {
		switch fl.num {
		case 1:
			m.irVersion = int64(fl.x)
		case 2:
			m.producer = nameOf(fl)
		case 3:
			m.producerVersion = nameOf(fl)
		case 7:
			m.graph, err = nested(d, fl, decodeGraph)
		case 8:
			err = decodeOpset(d, fl, m.opsets)
		case 14:
			err = decodeEntry(d, fl, m.metadata)
		case 25:
			var f *functionProto
			if f, err = nested(d, fl, decodeFunction); err == nil {
				m.functions = append(m.functions, f)
			}
		}
		return err
	})
	return m, err
}

func decodeOpset(d decoder, fl field, into map[string]int) error {
	name, version := "", 0
	err := d.in(fl).each(fl.b, func(fl field) error {
		switch fl.num {
		case 1:
			name = domain(fl)
		case 2:
			version = int(min(fl.x, math.MaxInt32))
		}
		return nil
	})
	into[name] = version
	return err
}

// nameOf reads a string that messages and generated files may contain.
func nameOf(fl field) string { return plaintext.Name(string(fl.b)) }

// domain reads the name of an operator domain. The default domain has two names.
func domain(fl field) string {
	if string(fl.b) == "ai.onnx" {
		return ""
	}
	return nameOf(fl)
}

func decodeEntry(d decoder, fl field, into map[string]string) error {
	key, value := "", ""
	err := d.in(fl).each(fl.b, func(fl field) error {
		switch fl.num {
		case 1:
			key = nameOf(fl)
		case 2:
			value = string(fl.b)
		}
		return nil
	})
	into[key] = value
	return err
}

func decodeGraph(d decoder, b []byte) (*graphProto, error) {
	g := &graphProto{}
	err := d.each(b, func(fl field) (err error) {
		switch fl.num {
		case 1:
			var n *nodeProto
			if n, err = nested(d, fl, decodeNode); err == nil {
				g.nodes = append(g.nodes, n)
			}
		case 2:
			g.name = nameOf(fl)
		case 5:
			var t *tensorProto
			if t, err = nested(d, fl, decodeTensor); err == nil {
				g.initializers = append(g.initializers, t)
			}
		case 11, 12:
			var v *valueInfo
			if v, err = nested(d, fl, decodeValueInfo); err != nil {
				return err
			}
			if fl.num == 11 {
				g.inputs = append(g.inputs, v)
			} else {
				g.outputs = append(g.outputs, v)
			}
		case 15:
			var t *tensorProto
			if t, err = nested(d, fl, decodeSparse); err == nil {
				g.sparse = append(g.sparse, t.name)
			}
		}
		return err
	})
	return g, err
}

func decodeFunction(d decoder, b []byte) (*functionProto, error) {
	f := &functionProto{opsets: map[string]int{}}
	err := d.each(b, func(fl field) (err error) {
		switch fl.num {
		case 1:
			f.name = nameOf(fl)
		case 4:
			f.inputs = append(f.inputs, nameOf(fl))
		case 5:
			f.outputs = append(f.outputs, nameOf(fl))
		case 7:
			var n *nodeProto
			if n, err = nested(d, fl, decodeNode); err == nil {
				f.nodes = append(f.nodes, n)
			}
		case 9:
			err = decodeOpset(d, fl, f.opsets)
		case 10:
			f.domain = domain(fl)
		case 11:
			var a *attribute
			if a, err = nested(d, fl, decodeAttribute); err == nil {
				f.defaults = append(f.defaults, a)
			}
		case 13:
			f.overload = nameOf(fl)
		}
		return err
	})
	return f, err
}

func decodeNode(d decoder, b []byte) (*nodeProto, error) {
	n := &nodeProto{}
	err := d.each(b, func(fl field) (err error) {
		switch fl.num {
		case 1:
			n.inputs = append(n.inputs, nameOf(fl))
		case 2:
			n.outputs = append(n.outputs, nameOf(fl))
		case 3:
			n.name = nameOf(fl)
		case 4:
			n.opType = nameOf(fl)
		case 5:
			var a *attribute
			if a, err = nested(d, fl, decodeAttribute); err == nil {
				n.attrs = append(n.attrs, a)
			}
		case 7:
			n.domain = domain(fl)
		case 8:
			n.overload = nameOf(fl)
		}
		return err
	})
	return n, err
}

func decodeAttribute(d decoder, b []byte) (*attribute, error) {
	a := &attribute{}
	err := d.each(b, func(fl field) (err error) {
		switch fl.num {
		case 1:
			a.name = nameOf(fl)
		case 2:
			a.f = math.Float32frombits(uint32(fl.x))
		case 3:
			a.i = int64(fl.x)
		case 4:
			a.s = nameOf(fl)
		case 5:
			a.t, err = nested(d, fl, decodeTensor)
		case 6:
			a.g, err = nested(d, fl, decodeGraph)
		case 7:
			a.floats, err = appendFloats(a.floats, fl)
		case 8:
			a.ints, err = appendInts(a.ints, fl)
		case 9:
			a.strings = append(a.strings, nameOf(fl))
		case 21:
			a.ref = nameOf(fl)
		}
		return err
	})
	return a, err
}

func decodeTensor(d decoder, b []byte) (*tensorProto, error) {
	t := &tensorProto{}
	err := d.each(b, func(fl field) (err error) {
		switch fl.num {
		case 1:
			t.dims, err = appendInts(t.dims, fl)
		case 2:
			t.dataType = int64(fl.x)
		case 4:
			t.floats, err = appendFloats(t.floats, fl)
		case 5, 7, 11:
			err = t.ints.add(fl)
		case 6:
			t.strings++
		case 8:
			t.name = nameOf(fl)
		case 9:
			t.raw, t.hasRaw = fl.b, true
		case 10:
			t.doubles, err = appendDoubles(t.doubles, fl)
		case 13:
			if t.external == nil {
				t.external = map[string]string{}
			}
			err = decodeEntry(d, fl, t.external)
		case 14:
			t.location = int64(fl.x)
		}
		return err
	})
	return t, err
}

// decodeSparse returns the values of a SparseTensorProto, which have its name.
func decodeSparse(d decoder, b []byte) (*tensorProto, error) {
	t := &tensorProto{}
	err := d.each(b, func(fl field) (err error) {
		if fl.num == 1 {
			t, err = nested(d, fl, decodeTensor)
		}
		return err
	})
	return t, err
}

func decodeValueInfo(d decoder, b []byte) (*valueInfo, error) {
	v := &valueInfo{}
	err := d.each(b, func(fl field) error {
		switch fl.num {
		case 1:
			v.name = nameOf(fl)
		case 2:
			return d.in(fl).each(fl.b, v.decodeType(d.in(fl)))
		}
		return nil
	})
	return v, err
}

// The functions below read the fields of a TypeProto and of its parts.

func (v *valueInfo) decodeType(d decoder) func(field) error {
	return func(fl field) error {
		switch fl.num {
		case 1:
			return d.in(fl).each(fl.b, v.decodeTensorType(d.in(fl)))
		case 4:
			v.kind = "a sequence"
		case 5:
			v.kind = "a map"
		case 8:
			v.kind = "a sparse tensor"
		case 9:
			v.kind = "an optional value"
		}
		return nil
	}
}

func (v *valueInfo) decodeTensorType(d decoder) func(field) error {
	return func(fl field) error {
		switch fl.num {
		case 1:
			v.dataType = int64(fl.x)
		case 2:
			v.hasShape = true
			return d.in(fl).each(fl.b, v.decodeShape(d.in(fl)))
		}
		return nil
	}
}

func (v *valueInfo) decodeShape(d decoder) func(field) error {
	return func(fl field) error {
		if fl.num != 1 {
			return nil
		}
		dim := dimension{}
		err := d.in(fl).each(fl.b, func(fl field) error {
			switch fl.num {
			case 1:
				dim.value, dim.known = int64(fl.x), true
			case 2:
				dim.param = nameOf(fl)
			}
			return nil
		})
		v.dims = append(v.dims, dim)
		return err
	}
}

// Numbers are stored one by one or packed.

// varints are integers as the file stores them. Decoded they could be eight times as large
// as the file.
type varints struct {
	b   []byte
	len int
}

// add appends the integers of fl, and checks them.
func (v *varints) add(fl field) error {
	if fl.typ != protowire.BytesType {
		v.b, v.len = protowire.AppendVarint(v.b, fl.x), v.len+1
		return nil
	}
	for b := fl.b; len(b) > 0; v.len++ {
		_, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return fmt.Errorf("byte %d: %w", fl.base+len(fl.b)-len(b), protowire.ParseError(n))
		}
		b = b[n:]
	}
	if len(v.b) == 0 {
		v.b = slices.Clip(fl.b) // a part of the file, which append must not change
	} else {
		v.b = append(v.b, fl.b...)
	}
	return nil
}

// all returns the integers.
func (v *varints) all() iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for b := v.b; len(b) > 0; {
			x, n := protowire.ConsumeVarint(b)
			if b = b[n:]; !yield(int64(x)) {
				return
			}
		}
	}
}

// maxInts is the maximum number of integers of an attribute, or axes of a tensor.
const maxInts = 1 << 22

func appendInts(to []int64, fl field) ([]int64, error) {
	if fl.typ != protowire.BytesType && len(to) < maxInts {
		return append(to, int64(fl.x)), nil
	}
	var v varints
	if err := v.add(fl); err != nil {
		return nil, err
	}
	if len(to)+v.len > maxInts {
		return nil, fmt.Errorf("byte %d: more than %d integers", fl.base, maxInts)
	}
	return slices.AppendSeq(slices.Grow(to, v.len), v.all()), nil
}

func appendFloats(to []float32, fl field) ([]float32, error) {
	if fl.typ != protowire.BytesType {
		return append(to, math.Float32frombits(uint32(fl.x))), nil
	}
	if len(fl.b)%4 != 0 {
		return nil, fmt.Errorf("byte %d: %d bytes of packed floats", fl.base, len(fl.b))
	}
	to = slices.Grow(to, len(fl.b)/4)
	for b := fl.b; len(b) > 0; b = b[4:] {
		x, _ := protowire.ConsumeFixed32(b)
		to = append(to, math.Float32frombits(x))
	}
	return to, nil
}

func appendDoubles(to []float64, fl field) ([]float64, error) {
	if fl.typ != protowire.BytesType {
		return append(to, math.Float64frombits(fl.x)), nil
	}
	if len(fl.b)%8 != 0 {
		return nil, fmt.Errorf("byte %d: %d bytes of packed doubles", fl.base, len(fl.b))
	}
	to = slices.Grow(to, len(fl.b)/8)
	for b := fl.b; len(b) > 0; b = b[8:] {
		x, _ := protowire.ConsumeFixed64(b)
		to = append(to, math.Float64frombits(x))
	}
	return to, nil
}
