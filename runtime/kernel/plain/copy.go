package plain

import (
	"modelc/runtime/kernel"
)

// StridedCopy copies between two strided views of the same extents. It implements
// Slice, Transpose, Expand (with strides of 0), Concat and constant Pad.
type StridedCopy[T kernel.Number] struct {
	Src, Dst             kernel.Ref
	Shape                []int // up to 8 axes
	SrcStart, DstStart   int   // in elements
	SrcStride, DstStride []int // in elements; those of Src may be 0 or negative
}

// Gather selects slices along one axis: Dst [Outer,len(Indices),Inner] of Src
// [Outer,Axis,Inner]. Negative indices count from the end. Indices outside the axis are
// clamped, so that no index reads other memory.
type Gather[T, I kernel.Number] struct {
	Src, Indices, Dst  kernel.Ref
	Outer, Axis, Inner int
}

// Resize interpolates one axis, Src [Outer,In,Inner] to Dst [Outer,Out,Inner]. Its
// tables are as in [kernel.ResizeImage].
type Resize[T kernel.Number] struct {
	Src, Dst              kernel.Ref
	Outer, In, Out, Inner int
	Taps                  int
	Index                 []int32
	Weight                []float32
}

// Pad adds a border. An element of the result has the source positions in the index
// tables of the axes; −1 stands for Value.
type Pad[T kernel.Number] struct {
	Src, Dst kernel.Ref
	InShape  []int
	Index    [][]int32 // per axis, one source position per result position
	Value    T
}

// Check declares the memory of the step.
func (k *StridedCopy[T]) Check(v *kernel.Verifier) {
	if len(k.Shape) == 1 && k.Shape[0] == 0 {
		v.Require(k.SrcStart == 0 && k.DstStart == 0 && len(k.SrcStride) == 1 && len(k.DstStride) == 1, "a copy of nothing has a start")
		optional(v, "Src", k.Src, size[T](), 0)
		if k.Dst.Len != 0 {
			v.Write("Dst", k.Dst, size[T](), 0)
		}
		return
	}
	axes(v, k.Shape)
	strided(v, "Src", k.Src, size[T](), k.SrcStart, k.Shape, k.SrcStride, false)
	strided(v, "Dst", k.Dst, size[T](), k.DstStart, k.Shape, k.DstStride, true)
}

// ScratchBytes is zero.
func (k *StridedCopy[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *StridedCopy[T]) Run(c *kernel.Context) {
	src, dst := kernel.View[T](c, k.Src), kernel.View[T](c, k.Dst)
	outer, n := inner(k.Shape)
	ss, ds := last(k.SrcStride), last(k.DstStride)
	strides := [4][]int{outerOf(k.SrcStride), outerOf(k.DstStride)}
	w := walk{shape: outer, off: [4]int{k.SrcStart, k.DstStart}}
	for {
		s, d := w.off[0], w.off[1]
		switch {
		case ss == 1 && ds == 1:
			kernel.Move(dst[d:d+n], src[s:s+n])
		default:
			for i := range n {
				dst[d+i*ds] = src[s+i*ss]
			}
		}
		if !w.next(&strides) {
			return
		}
	}
}

// Check declares the memory of the step.
func (k *Gather[T, I]) Check(v *kernel.Verifier) {
	v.Positive("extents", k.Outer, k.Axis, k.Inner)
	v.Read("Src", k.Src, size[T](), kernel.Product(k.Outer, k.Axis, k.Inner))
	v.Read("Indices", k.Indices, size[I](), int64(k.Indices.Len))
	v.Write("Dst", k.Dst, size[T](), kernel.Product(k.Outer, k.Indices.Len, k.Inner))
}

// ScratchBytes is zero.
func (k *Gather[T, I]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Gather[T, I]) Run(c *kernel.Context) {
	src, idx, dst := kernel.View[T](c, k.Src), kernel.View[I](c, k.Indices), kernel.View[T](c, k.Dst)
	for o := range k.Outer {
		for j, ix := range idx {
			wide := int64(ix) // int may have 32 bits
			if wide < 0 {
				wide += int64(k.Axis)
			}
			at := int(min(max(wide, 0), int64(k.Axis)-1))
			kernel.Move(dst[(o*len(idx)+j)*k.Inner:][:k.Inner], src[(o*k.Axis+at)*k.Inner:][:k.Inner])
		}
	}
}

// Check declares the memory of the step.
func (k *Resize[T]) Check(v *kernel.Verifier) {
	v.Positive("extents", k.Outer, k.In, k.Out, k.Inner)
	v.Read("Src", k.Src, size[T](), kernel.Product(k.Outer, k.In, k.Inner))
	v.Write("Dst", k.Dst, size[T](), kernel.Product(k.Outer, k.Out, k.Inner))
	v.Table("Index", k.Index, k.Weight, k.Out, k.Taps, k.In)
}

// ScratchBytes is zero.
func (k *Resize[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Resize[T]) Run(c *kernel.Context) {
	src, dst := kernel.View[T](c, k.Src), kernel.View[T](c, k.Dst)
	for o := range k.Outer {
		for x := range k.Out {
			out := dst[(o*k.Out+x)*k.Inner:][:k.Inner]
			if k.Taps == 1 {
				if k.Weight[x] == 0 { // outside the region
					clear(out)
				} else {
					copy(out, src[(o*k.In+int(k.Index[x]))*k.Inner:])
				}
				continue
			}
			for i := range out {
				sum := 0.0
				for t := range k.Taps {
					sum += float64(k.Weight[x*k.Taps+t]) * float64(src[(o*k.In+int(k.Index[x*k.Taps+t]))*k.Inner+i])
				}
				out[i] = T(sum)
			}
		}
	}
}

// Check declares the memory of the step.
func (k *Pad[T]) Check(v *kernel.Verifier) {
	v.Require(len(k.Index) <= maxAxes && len(k.Index) <= len(k.InShape), "there are too many axes")
	if v.Failed() {
		return
	}
	in := k.InShape[:len(k.Index)]
	extents(v, in...)
	for a, index := range k.Index {
		v.Require(len(index) > 0, "a table is empty")
		v.Indices("Index", index, -1, in[a])
	}
	n := kernel.Product(in...)
	if len(in) == 0 {
		n = int64(min(k.Src.Len, k.Dst.Len))
	}
	v.Read("Src", k.Src, size[T](), n)
	v.Write("Dst", k.Dst, size[T](), int64(k.Dst.Len))
}

// ScratchBytes is zero.
func (k *Pad[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Pad[T]) Run(c *kernel.Context) {
	src, dst := kernel.View[T](c, k.Src), kernel.View[T](c, k.Dst)
	r := len(k.Index)
	if r == 0 {
		copy(dst, src)
		return
	}
	var at [maxAxes]int
	for i := range dst {
		from, ok := 0, true
		for a := range r {
			x := int(k.Index[a][at[a]])
			ok = ok && x >= 0
			from = from*k.InShape[a] + x
		}
		dst[i] = k.Value
		if ok {
			dst[i] = src[from]
		}
		for a := r - 1; a >= 0; a-- {
			if at[a]++; at[a] < len(k.Index[a]) {
				break
			}
			at[a] = 0
		}
	}
}
