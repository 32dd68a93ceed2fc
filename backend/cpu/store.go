package cpu

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"unsafe"

	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime"
	"modelc/runtime/kernel"
)

// store collects the sections of the weights file and the steps that prepare
// weights at load. The programs of several batch sizes share one store.
type store struct {
	sections []section
	byKey    map[string]kernel.Ref // sections and prepared memory, by key
	weights  int                   // bytes so far
	prepared int                   // bytes so far
	replaced int                   // bytes of stored weights that prepared weights replace
	loads    []load
	programs int // number of programs lowered so far
}

// load is a step that prepares weights.
type load struct {
	layer plan.Layer
	make  func() kernel.Kernel
}

// section is a range of the weights file that holds a constant in a form. parts
// returns its bytes, in parts that are valid until the next one. They are made when the
// section is written, so that only one part is in memory at a time.
type section struct {
	form    string
	t       *ir.Tensor
	node    string // name of the first node that reads it
	program int    // number of the first program that reads it
	off     int
	bytes   int
	parts   iter.Seq[[]byte]
}

// weights stores the constants of one program.
type weights struct {
	*store
	rec    *plan.Recorder      // rec.Node reads the constants
	stored kernel.Format       // format of the tensors in halves
	halves map[*ir.Tensor]bool // tensors that are stored in half precision
}

// section reserves n elements of size bytes in the weights file for the constant t
// in a form. If several steps read a constant in the same form, it is stored once.
func (w *weights) section(form string, t *ir.Tensor, n, size int, pack func() []byte) kernel.Ref {
	return w.sectionOf(form, t, n, size, func(yield func([]byte) bool) { yield(pack()) })
}

// sectionOf is like section, for content in parts.
func (w *weights) sectionOf(form string, t *ir.Tensor, n, size int, parts iter.Seq[[]byte]) kernel.Ref {
	key := fmt.Sprintf("%s %s %p", form, t.Type, unsafe.SliceData(t.Bytes()))
	r, ok := w.byKey[key]
	if !ok {
		if r, ok = w.earlier(form, t, n); !ok {
			r = kernel.Ref{Space: kernel.Weights, Off: alignUp(w.weights), Len: n}
			w.weights = r.Off + n*size
			w.sections = append(w.sections, section{form, t, plan.NodeName(w.rec.Node), w.programs, r.Off, n * size, parts})
		}
		w.byKey[key] = r
	}
	return r
}

// earlier returns the section of an earlier program with the same content, if
// there is one. Of several equal sections it prefers the one that a node of the
// same name reads. Otherwise the offsets in a program could depend on the values
// of the weights.
func (w *weights) earlier(form string, t *ir.Tensor, n int) (r kernel.Ref, found bool) {
	reader := plan.NodeName(w.rec.Node)
	for _, s := range w.sections {
		same := s.node == reader
		if s.program == w.programs || s.form != form || !s.t.Type.Equal(t.Type) || found && !same || !bytes.Equal(s.t.Bytes(), t.Bytes()) {
			continue
		}
		r, found = kernel.Ref{Space: kernel.Weights, Off: s.off, Len: n}, true
		if same {
			break
		}
	}
	return r, found
}

// floats stores t in a form of n float32 values, which pack returns.
func (w *weights) floats(form string, t *ir.Tensor, n int, pack func() []float32) kernel.Ref {
	return w.section(form, t, n, ir.Float32.Size(), func() []byte { return runtime.BytesOf(pack()) })
}

// layerWeights stores the weights of a layer in the format of the file.
func (w *weights) layerWeights(form string, t *ir.Tensor, n int, pack func() []float32) kernel.Ref {
	f := w.format(t)
	if f == kernel.F32 {
		return w.floats(form, t, n, pack)
	}
	return w.section(form, t, n, sizeOf(f), func() []byte { return narrow(f, pack()) })
}

// layerParts is like layerWeights, for content in parts.
func (w *weights) layerParts(form string, t *ir.Tensor, n int, parts iter.Seq[[]float32]) kernel.Ref {
	f := w.format(t)
	return w.sectionOf(form, t, n, sizeOf(f), func(yield func([]byte) bool) {
		for part := range parts {
			b := runtime.BytesOf(part)
			if f != kernel.F32 {
				b = narrow(f, part)
			}
			if !yield(b) {
				return
			}
		}
	})
}

// format returns the format in which t is stored.
func (w *weights) format(t *ir.Tensor) kernel.Format {
	if w.halves[t] {
		return w.stored
	}
	return kernel.F32
}

// sizeOf returns the size in bytes of an element in the format.
func sizeOf(f kernel.Format) int {
	if f == kernel.F32 {
		return ir.Float32.Size()
	}
	return ir.Float16.Size()
}

// floats32 returns the weights t, stored in the section r, as float32. A load step
// widens weights in half precision.
func (w *weights) floats32(t *ir.Tensor, r kernel.Ref) kernel.Ref {
	f := w.format(t)
	if f == kernel.F32 {
		return r
	}
	return w.prepare(r.Len, ir.Float32.Size(), r.Len*ir.Float32.Size(), fmt.Sprintf("Widen %s weights", f), r, func(dst kernel.Ref) kernel.Kernel {
		return &kernel.Widen{Format: f, Src: r, Dst: dst}
	})
}

// transformed reserves n floats that a load step computes from the weights t,
// stored in the section r. The section is not needed after that.
func (w *weights) transformed(t *ir.Tensor, n int, doc string, r kernel.Ref, makeKernel func(dst kernel.Ref) kernel.Kernel) kernel.Ref {
	return w.prepare(n, ir.Float32.Size(), r.Len*sizeOf(w.format(t)), doc, r, makeKernel)
}

// prepare reserves n elements of size bytes that a load step computes from the section r.
// They replace the given number of bytes of the section.
func (w *weights) prepare(n, size, replaces int, doc string, r kernel.Ref, makeKernel func(dst kernel.Ref) kernel.Kernel) kernel.Ref {
	key := fmt.Sprint(doc, r)
	if d, ok := w.byKey[key]; ok {
		return d
	}
	d := kernel.Ref{Space: kernel.Prepared, Off: alignUp(w.prepared), Len: n}
	w.prepared = d.Off + n*size
	w.replaced += replaces
	w.byKey[key] = d
	w.loads = append(w.loads, load{plan.Layer{Name: plan.NodeName(w.rec.Node), Doc: doc}, func() kernel.Kernel { return makeKernel(d) }})
	return d
}

// channels stores a constant with one value for each of c channels, or one value
// for all, padded with zeros to whole blocks. It returns an absent operand if t is
// nil.
func (w *weights) channels(t *ir.Tensor, c int) kernel.Ref { return w.channelsPadded(t, c, 0) }

// channelsPadded is like channels, with the value pad for unused channels.
func (w *weights) channelsPadded(t *ir.Tensor, c int, pad float32) kernel.Ref {
	if t == nil {
		return kernel.Ref{}
	}
	n := nc16.whole(c)
	return w.floats(fmt.Sprint("channels ", c, pad), t, n, func() []float32 {
		out := slices.Repeat([]float32{pad}, n)
		v := t.Float32s()
		for i := range c {
			out[i] = v[i%len(v)]
		}
		return out
	})
}

// tensor stores a constant dense and row-major.
func (w *weights) tensor(name string, t *ir.Tensor) *place {
	var r kernel.Ref
	if w.halves[t] {
		r = w.floats32(t, w.layerWeights("plain", t, t.Shape.Len(), t.Float32s))
	} else {
		r = w.section("plain", t, t.Shape.Len(), t.DType.Size(), t.Bytes)
	}
	return &place{Tensor: plan.Tensor{Buffer: fixed(name, r.Space, r.Off, t.Type.Bytes()), Type: t.Type}}
}

// channelImage stores a constant with one value for each of c channels, or one
// value for all, as an image of 1×1 pixels.
func (w *weights) channelImage(t *ir.Tensor, c int, pad float32) *place {
	r := w.channelsPadded(t, c, pad)
	p := imageOf(ir.T(ir.Float32, 1, c, 1, 1), nc16, border{})
	p.Buffer = fixed("constant", r.Space, r.Off, p.bytes())
	return p
}

// fixed returns a buffer outside the arena.
func fixed(name string, s kernel.Space, off, bytes int) *plan.Buffer {
	return &plan.Buffer{Name: name, Space: int(s), Off: off, Bytes: bytes}
}

// shape4 returns the extents of weights. It gives weights with one spatial axis a
// height of 1.
func shape4(w ir.Shape) (oc, ic, kh, kw int) {
	if len(w) == 3 {
		return w[0], w[1], 1, w[2]
	}
	return w[0], w[1], w[2], w[3]
}
