package cuda

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"modelc/backend/plan"
	"modelc/ir"
)

// Config configures [Build].
type Config struct {
	// Precision is that of convolutions and dense layers. A layer with a weight beyond the
	// range of half precision has the next higher precision instead of F16.
	Precision Precision
}

// lowering emits the kernels of a node and gives its results places.
type lowering func(b *builder, n *ir.Node) error

// do returns the lowering that calls f with the op of the node.
func do[O ir.Op](f func(b *builder, n *ir.Node, op O) error) lowering {
	return func(b *builder, n *ir.Node) error { return f(b, n, n.Op.(O)) }
}

// builder collects the kernels of a program while nodes are lowered.
type builder struct {
	*plan.Recorder
	*layout
	*plan.Sharing
	g       *ir.Graph
	prefix  string // of the names of functions
	cfg     Config
	tile    chooser
	outputs []*plan.Buffer

	places map[*ir.Value]*place
	roots  map[*ir.Value]*place // memory that several values share
	joined map[*ir.Value]bool   // operands whose first copy into a concatenation is emitted

	weights   []byte
	constants map[any]*plan.Buffer // by what is stored

	launches  []launch
	functions []*function
	byText    map[string]*function
	parts     map[string]bool // files of device code that the functions use
}

// chooser is the type of chooseTile.
type chooser func(p, m, k, groups int, precision Precision) (tile, int)

// function is a kernel in the source.
type function struct {
	name, signature, body string
	layers                []string // comments
}

// launch is a Kernel before offsets are final.
type launch struct {
	kernel Kernel
	args   []*place
}

// param is a parameter of a kernel.
type param struct {
	name  string
	at    *place
	write bool
}

// code is a kernel before it has a name.
type code struct {
	params []param
	// head comes before the function; NAME stands for its name.
	head, body  string
	grid, block [3]int
	// parts are the files of device code that the body uses.
	parts []string
	rate  float64 // Kernel.Rate; 0 for 1
}

// reads adds an operand to the parameters, unless it is absent, and returns it.
func (c *code) reads(name string, p *place) *place {
	if p != nil {
		c.params = append(c.params, param{name, p, false})
	}
	return p
}

// writes adds a result to the parameters.
func (c *code) writes(name string, p *place) { c.params = append(c.params, param{name, p, true}) }

// overwrites reports whether p is an operand and a result at once.
func (c *code) overwrites(p param) bool {
	return slices.ContainsFunc(c.params, func(q param) bool {
		return p.write != q.write && p.at.Buffer == q.at.Buffer && p.at.Off == q.at.Off
	})
}

// emit adds a launch. Launches of equal code share a function.
func (b *builder) emit(doc string, c code) {
	var reads, writes []*plan.Tensor
	for _, p := range c.params {
		if p.write {
			writes = append(writes, &p.at.Tensor)
		} else {
			reads = append(reads, &p.at.Tensor)
		}
	}
	b.Step(doc, reads, writes)
	var list []string
	l := launch{kernel: Kernel{Grid: c.grid, Block: c.block, Rate: cmp.Or(c.rate, 1)}}
	for _, p := range c.params {
		s := cType(p.at.DType) + "* "
		if !p.write {
			s = "const " + s
		}
		if !c.overwrites(p) {
			s += "__restrict__ "
		}
		list = append(list, s+p.name)
		l.args = append(l.args, p.at)
	}
	threads := c.block[0] * c.block[1] * c.block[2]
	signature := fmt.Sprintf("extern \"C\" __global__ void __launch_bounds__(%d) NAME(%s)", threads, strings.Join(list, ", "))
	layer := b.Last()
	key := c.head + signature + c.body
	f := b.byText[key]
	if f == nil {
		f = &function{name: fmt.Sprintf("%sk%03d_%s", b.prefix, len(b.functions)+1, identifier(layer.Name))}
		rename := strings.NewReplacer("NAME", f.name)
		f.signature, f.body = rename.Replace(c.head+signature), rename.Replace(c.body)
		b.functions = append(b.functions, f)
		b.byText[key] = f
	}
	f.layers = append(f.layers, strconv.QuoteToASCII(layer.Name)+": "+comment(doc))
	for _, p := range c.parts {
		b.parts[p] = true
	}
	layer.Kernel = f.name
	l.kernel.Name, l.kernel.Layer = f.name, layer.Name
	b.launches = append(b.launches, l)
	if b.Node != nil {
		for _, v := range b.Node.Out {
			for _, p := range c.params {
				if p.write && p.at == b.places[v] {
					b.Complete(v)
				}
			}
		}
	}
}

// emitGeneric is like emit, for a kernel of any type and rank where faster kernels exist for
// some.
func (b *builder) emitGeneric(doc string, c code) {
	b.emit(doc+", generic", c)
	b.Last().Generic = true
}

// comment returns text that stays within a comment to the end of a line.
func comment(s string) string {
	return strings.TrimRight(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s), "\\ ")
}

// identifier returns the letters and digits of a name, at most 40, for the end of a name in C.
func identifier(name string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, name)
	return s[:min(len(s), 40)]
}

// temp returns a dense place for an intermediate result.
func (b *builder) temp(name string, t ir.Type) *place {
	return dense(b.NewBuffer(name, t.Bytes()), 0, t)
}

// stored returns weights: the elements of data, of type t, once for each key.
func (b *builder) stored(key any, t ir.Type, data func() []byte) *place {
	buf := b.constants[key]
	if buf == nil {
		buf = &plan.Buffer{Name: "weights", Space: weightSpace, Off: plan.AlignUp(len(b.weights), align), Bytes: t.Bytes()}
		b.weights = append(b.weights, make([]byte, buf.Off-len(b.weights))...)
		b.weights = append(b.weights, data()...)
		b.constants[key] = buf
	}
	return dense(buf, 0, t)
}

// packed is like stored, for floats.
func (b *builder) packed(key any, shape ir.Shape, pack func(w []float32)) *place {
	return b.stored(key, ir.Type{DType: ir.Float32, Shape: shape}, func() []byte {
		w := make([]float32, shape.Len())
		pack(w)
		return floatBytes(w)
	})
}

// words returns the bytes of 32-bit integers.
func words(t []uint32) []byte {
	out := make([]byte, 4*len(t))
	for i, x := range t {
		binary.LittleEndian.PutUint32(out[4*i:], x)
	}
	return out
}

func floatBytes(w []float32) []byte {
	out := make([]byte, 4*len(w))
	for i, x := range w {
		binary.LittleEndian.PutUint32(out[4*i:], math.Float32bits(x))
	}
	return out
}

// integers returns a table of 32-bit integers in the weights.
func (b *builder) integers(t []int32) *place {
	return b.stored(fmt.Sprint("table", t), ir.T(ir.Int32, len(t)), func() []byte {
		out := make([]byte, 4*len(t))
		for i, x := range t {
			binary.LittleEndian.PutUint32(out[4*i:], uint32(x))
		}
		return out
	})
}

// in returns the place of a value that is computed, an input or a constant; nil for nil.
func (b *builder) in(v *ir.Value) *place {
	if v == nil {
		return nil
	}
	if v.Const != nil {
		return b.stored(v.Const, v.Type, v.Const.Bytes)
	}
	return b.places[v]
}

// new gives v a place: a slice of shared memory, an image, the memory of the output that v
// becomes, or a dense buffer.
func (b *builder) new(v *ir.Value) *place {
	var p *place
	switch s, ok := b.SliceOf(v); {
	case ok:
		root := b.roots[s.Root]
		if root == nil {
			root = b.newImage(s.Root.Name, s.Root.Type)
			b.roots[s.Root] = root
		}
		p = root.as(v.Type.Shape, root.strides)
		p.Off += 4 * s.Channel
	case b.image[v]:
		p = b.newImage(v.Name, v.Type)
	case plan.OutputOf(v) >= 0:
		p = dense(b.output(plan.OutputOf(v)), 0, v.Type)
	default:
		p = b.temp(v.Name, v.Type)
	}
	b.places[v] = p
	return p
}

// newImage returns an image in a buffer of its own.
func (b *builder) newImage(name string, t ir.Type) *place {
	st := imageStrides(t.Shape)
	return dense(b.NewBuffer(name, 4*st[0]*t.Shape[0]), 0, t).as(t.Shape, st)
}

// overwrite gives the result of n the place of the operand x if it can overwrite it,
// otherwise a place of its own.
func (b *builder) overwrite(n *ir.Node, x *ir.Value) *place {
	if x.Const == nil && b.CanOverwrite(n, x) {
		p := *b.places[x]
		b.places[n.Out[0]] = &p
		return &p
	}
	return b.new(n.Out[0])
}
