package schedule

import (
	"bytes"
	"fmt"
	"slices"
	"unsafe"

	"modelc/ir"
	"modelc/runtime"
	"modelc/runtime/pack"
)

func alignTo(n, k int) int { return (n + k - 1) / k * k }

// store is the weights file in the making, and what is prepared from it at
// load. The programs of several batch sizes share one.
type store struct {
	sections []section
	byKey    map[string]runtime.Ref // sections and prepared memory, by key
	weights  int                    // bytes so far
	prepared int
	loads    []step
	programs int // built so far
}

// section is a run of weights in the file: a constant in a form. pack makes
// its bytes; it is called once per write so that only one section is in memory
// at a time.
type section struct {
	form    string
	t       *ir.Tensor
	node    string // that first read it
	program int    // that first read it
	off     int
	bytes   int
	pack    func() []byte
}

// section reserves room for n elements of the given size in the weights file,
// which hold the constant t in a form. One that several steps read in the same
// form is stored once.
func (b *builder) section(form string, t *ir.Tensor, n, size int, pack func() []byte) runtime.Ref {
	key := key(form, t)
	r, ok := b.byKey[key]
	if !ok {
		if r, ok = b.earlier(form, t, n); !ok {
			r = runtime.Ref{Space: runtime.Weights, Off: alignUp(b.weights), Len: n}
			b.weights = r.Off + n*size
			b.sections = append(b.sections, section{form, t, NodeName(b.node), b.programs, r.Off, n * size, pack})
		}
		b.byKey[key] = r
	}
	return r
}

// earlier returns the section of an earlier program with the same content, if
// there is one. Of several that are equal it prefers the one that the node of
// this name reads: which of them are equal is up to the values, and the
// program must not depend on those.
func (b *builder) earlier(form string, t *ir.Tensor, n int) (r runtime.Ref, found bool) {
	for _, s := range b.sections {
		same := s.node == NodeName(b.node)
		if s.program == b.programs || s.form != form || !s.t.Type.Equal(t.Type) || found && !same || !bytes.Equal(s.t.Bytes(), t.Bytes()) {
			continue
		}
		r, found = runtime.Ref{Space: runtime.Weights, Off: s.off, Len: n}, true
		if same {
			break
		}
	}
	return r, found
}

func (b *builder) floats(form string, t *ir.Tensor, n int, pack func() []float32) runtime.Ref {
	return b.section(form, t, n, 4, func() []byte { return runtime.BytesOf(pack()) })
}

// weightSection stores the weights of a layer in the format of the file.
func (b *builder) weightSection(form string, t *ir.Tensor, n int, pack func() []float32) runtime.Ref {
	if b.format(t) == runtime.F32 {
		return b.floats(form, t, n, pack)
	}
	return b.section(form, t, n, 2, func() []byte { return narrow(b.cfg.Weights, pack()) })
}

// format returns the format in which t is stored.
func (b *builder) format(t *ir.Tensor) runtime.Format {
	if b.halves[t] {
		return b.cfg.Weights
	}
	return runtime.F32
}

// floats32 returns the float32 form of the section w of weights t, which is
// made at load where they are stored in half precision.
func (b *builder) floats32(t *ir.Tensor, w runtime.Ref) runtime.Ref {
	f := b.format(t)
	if f == runtime.F32 {
		return w
	}
	return b.prepare(w.Len, fmt.Sprintf("Widen %s weights", f), w, func(dst runtime.Ref) runtime.Kernel {
		return &runtime.Widen{Format: f, Src: w, Dst: dst}
	})
}

// prepare reserves room for n floats that a load step computes from the
// section w.
func (b *builder) prepare(n int, doc string, w runtime.Ref, kernel func(dst runtime.Ref) runtime.Kernel) runtime.Ref {
	key := fmt.Sprint(doc, w)
	if r, ok := b.byKey[key]; ok {
		return r
	}
	r := runtime.Ref{Space: runtime.Prepared, Off: alignUp(b.prepared), Len: n}
	b.prepared = r.Off + n*4
	b.byKey[key] = r
	b.loads = append(b.loads, step{layer: Layer{Name: NodeName(b.node), Doc: doc}, make: func() runtime.Kernel { return kernel(r) }})
	return r
}

// key identifies a form of a constant.
func key(form string, t *ir.Tensor) string {
	return fmt.Sprintf("%s %s %p", form, t.Type, unsafe.SliceData(t.Bytes()))
}

// channels stores a per-channel constant padded with zeros to 16. A constant
// with one element is repeated. nil gives an absent operand.
func (b *builder) channels(t *ir.Tensor, c int) runtime.Ref { return b.channelsPadded(t, c, 0) }

// channelsPadded is channels with another value for the unused ones.
func (b *builder) channelsPadded(t *ir.Tensor, c int, pad float32) runtime.Ref {
	if t == nil {
		return runtime.Ref{}
	}
	n := alignTo(c, 16)
	return b.floats(fmt.Sprint("channels ", c, pad), t, n, func() []float32 {
		out := slices.Repeat([]float32{pad}, n)
		v := t.Float32s()
		for i := range c {
			out[i] = v[i%len(v)]
		}
		return out
	})
}

// shape4 views weights of one spatial axis as of height 1.
func shape4(w ir.Shape) (oc, ic, kh, kw int) {
	if len(w) == 3 {
		return w[0], w[1], 1, w[2]
	}
	return w[0], w[1], w[2], w[3]
}

func (b *builder) packConv(t *ir.Tensor) runtime.Ref {
	oc, ic, kh, kw := shape4(t.Shape)
	return b.weightSection("conv", t, pack.ConvLen(oc, ic, kh, kw), func() []float32 {
		return pack.Conv(t.Float32s(), oc, ic, kh, kw)
	})
}

func (b *builder) packFirst(t *ir.Tensor) runtime.Ref {
	oc, ic, kh, kw := shape4(t.Shape)
	return b.weightSection("first", t, pack.FirstLen(oc, ic, kh, kw), func() []float32 {
		return pack.First(t.Float32s(), oc, ic, kh, kw)
	})
}

func (b *builder) packLast(t *ir.Tensor) runtime.Ref {
	oc, ic, kh, kw := shape4(t.Shape)
	return b.weightSection("last", t, pack.LastLen(oc, ic, kh, kw), func() []float32 {
		return pack.Last(t.Float32s(), oc, ic, kh, kw)
	})
}

func (b *builder) packDepthwise(t *ir.Tensor) runtime.Ref {
	c, _, kh, kw := shape4(t.Shape)
	return b.weightSection("depthwise", t, pack.DepthwiseLen(c, kh, kw), func() []float32 {
		return pack.Depthwise(t.Float32s(), c, kh, kw)
	})
}

// packGrouped packs n groups, from the given one, as so many convolutions,
// each with zeros between the groups that it merges.
func (b *builder) packGrouped(t *ir.Tensor, groups, first, n, parts int) runtime.Ref {
	m, cg, kh, kw := shape4(t.Shape)
	mg := m / groups
	oc, ic := n/parts*mg, n/parts*cg
	return b.weightSection(fmt.Sprintf("groups %d+%d of %d, %d parts", first, n, groups, parts), t, parts*pack.ConvLen(oc, ic, kh, kw), func() []float32 {
		src := t.Float32s()[first*mg*cg*kh*kw:]
		k := kh * kw
		var packed []float32
		for part := range parts {
			w := make([]float32, oc*ic*k)
			for o := range oc {
				from := (part*oc + o) * cg * k
				copy(w[(o*ic+o/mg*cg)*k:], src[from:from+cg*k])
			}
			packed = append(packed, pack.Conv(w, oc, ic, kh, kw)...)
		}
		return packed
	})
}

// packDense packs a weight matrix. rows, if given, says which row of it each
// element of the operand meets, −1 for none.
func (b *builder) packDense(t *ir.Tensor, trans bool, rows []int) runtime.Ref {
	k, m := t.Shape[0], t.Shape[1]
	if trans {
		k, m = m, k
	}
	form := fmt.Sprintf("dense %v %d", trans, len(rows))
	if rows != nil {
		form += fmt.Sprint(" ", rows[:min(len(rows), 33)])
		k = len(rows)
	}
	return b.weightSection(form, t, pack.DenseLen(k, m), func() []float32 {
		return pack.Dense(t.Float32s(), k, m, trans, rows)
	})
}

// constPlace stores a constant as it is.
func (b *builder) constPlace(v *ir.Value) *place {
	if p := b.dense[v]; p != nil {
		return p
	}
	p := b.constTensor(v.Const)
	p.buf.name = v.Name
	b.dense[v] = p
	return p
}

// constTensor stores a tensor as it is.
func (b *builder) constTensor(t *ir.Tensor) *place {
	var r runtime.Ref
	if b.halves[t] {
		r = b.floats32(t, b.weightSection("plain", t, t.Shape.Len(), t.Float32s))
	} else {
		r = b.section("plain", t, t.Shape.Len(), t.DType.Size(), t.Bytes)
	}
	return &place{buf: &buffer{name: "constant", bytes: t.Type.Bytes(), fixed: true, space: r.Space, off: r.Off}, dtype: t.DType, shape: t.Shape}
}

// constChannels stores a constant that holds one value per channel, or one in
// all, as an image of 1×1 pixels.
func (b *builder) constChannels(t *ir.Tensor, c int, pad float32) *place {
	r := b.channelsPadded(t, c, pad)
	return &place{buf: &buffer{name: "constant", bytes: r.Len * 4, fixed: true, space: r.Space, off: r.Off},
		dtype: ir.Float32, shape: ir.Shape{1, c, 1, 1}, image: true, dims: dims{1, c, 1, 1}, batchStride: r.Len}
}
