package plain

import (
	"unsafe"

	"modelc/runtime/kernel"
)

// TopK finds the K largest or smallest elements of Src [Outer,Axis,Inner] along Axis,
// in order. Equal elements keep their order. NaN counts as smaller than every number.
// Values and Indices are [Outer,K,Inner]; Indices is int64.
type TopK[T kernel.Number] struct {
	Src, Values, Indices  kernel.Ref
	Outer, Axis, K, Inner int
	Smallest              bool
}

// NonMaxSuppression selects boxes [N,B,4] by scores [N,Classes,B], both float32, like
// ir.NonMaxSuppression. Rows is int64 [N·Classes·PerClass,3]; unused rows are −1. Count
// is int64 [1], the number of used rows.
type NonMaxSuppression struct {
	Boxes, Scores, Rows, Count kernel.Ref
	N, Classes, B, PerClass    int
	Overlap, Score             float32
	Center                     bool
}

// MaxUnpool fills Dst with zeros, and with the elements of Src at the flat positions in
// Indices, which is int64. It ignores positions outside Dst, so that no index writes to
// other memory.
type MaxUnpool[T kernel.Number] struct {
	Src, Indices, Dst kernel.Ref
}

// Scatter copies Src [Axis,Inner] to Dst and combines slices of it with Updates
// [Indices.Len,Inner], in their order: slice Indices[k] with update k. Fn combines elements
// if Combine is set; otherwise an update replaces the slice. Negative indices count from
// the end. Scatter ignores updates of other indices outside the axis, so that no index
// writes to other memory. I is int32 or int64.
type Scatter[T, I kernel.Number] struct {
	Src, Indices, Updates, Dst kernel.Ref
	Axis, Inner                int
	Combine                    bool
	Fn                         kernel.BinaryFn
}

// ints views scratch memory as n positions.
func ints(scratch []byte, n int) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(scratch))), n)
}

// siftDown restores the heap below position i, whose element may be out of place. before
// defines the order: the root of a heap is its first element.
func siftDown(heap []int32, i int, before func(a, b int32) bool) {
	for {
		c := 2*i + 1
		if c >= len(heap) {
			return
		}
		if c+1 < len(heap) && before(heap[c+1], heap[c]) {
			c++
		}
		if !before(heap[c], heap[i]) {
			return
		}
		heap[c], heap[i] = heap[i], heap[c]
		i = c
	}
}

// heapify makes a heap of the elements of heap.
func heapify(heap []int32, before func(a, b int32) bool) {
	for i := len(heap)/2 - 1; i >= 0; i-- {
		siftDown(heap, i, before)
	}
}

// Check declares the memory of the step.
func (k *TopK[T]) Check(v *kernel.Verifier) {
	v.Positive("extents", k.Outer, k.Axis, k.Inner)
	v.Require(k.K >= 0 && k.K <= k.Axis, "K is more than the axis has")
	v.Read("Src", k.Src, size[T](), kernel.Product(k.Outer, k.Axis, k.Inner))
	v.Write("Values", k.Values, size[T](), kernel.Product(k.Outer, k.K, k.Inner))
	v.Write("Indices", k.Indices, 8, kernel.Product(k.Outer, k.K, k.Inner))
	v.Scratch(kernel.Product(k.K, 4))
}

// ScratchBytes is the size of a heap of K positions.
func (k *TopK[T]) ScratchBytes() int { return k.K * 4 }

// Run computes the step.
func (k *TopK[T]) Run(c *kernel.Context) {
	if k.K > 0 {
		c.Do(k.Outer*k.Inner, k.Src.Len*16, k)
	}
}

// Part orders one line.
func (k *TopK[T]) Part(c *kernel.Context, i, worker int) {
	src := kernel.View[T](c, k.Src)[i/k.Inner*k.Axis*k.Inner+i%k.Inner:]
	// The heap holds the best elements so far. Its root is the worst of them.
	worse := func(a, b int32) bool {
		x, y := src[int(a)*k.Inner], src[int(b)*k.Inner]
		if k.Smallest {
			x, y = y, x
		}
		switch {
		case x < y || x != x && y == y:
			return true
		case x > y || x == x && y != y:
			return false
		}
		return a > b
	}
	heap := ints(c.Scratch(worker), k.K)
	for j := range heap {
		heap[j] = int32(j)
	}
	heapify(heap, worse)
	for j := int32(k.K); int(j) < k.Axis; j++ {
		if worse(heap[0], j) {
			heap[0] = j
			siftDown(heap, 0, worse)
		}
	}
	values, indices := kernel.View[T](c, k.Values), kernel.View[int64](c, k.Indices)
	at := i/k.Inner*k.K*k.Inner + i%k.Inner
	for n := k.K - 1; n >= 0; n-- {
		top := heap[0]
		values[at+n*k.Inner], indices[at+n*k.Inner] = src[int(top)*k.Inner], int64(top)
		heap[0] = heap[n]
		heap = heap[:n]
		siftDown(heap, 0, worse)
	}
}

// Check declares the memory of the step.
func (k *NonMaxSuppression) Check(v *kernel.Verifier) {
	extents(v, k.N, k.Classes, k.B)
	v.Read("Boxes", k.Boxes, 4, kernel.Product(k.N, k.B, 4))
	v.Read("Scores", k.Scores, 4, kernel.Product(k.N, k.Classes, k.B))
	v.Write("Rows", k.Rows, 8, kernel.Product(k.N, k.Classes, k.PerClass, 3))
	v.Write("Count", k.Count, 8, 1)
	v.Scratch(kernel.Product(k.B, 4) + kernel.Product(k.PerClass, 16))
}

// ScratchBytes is the size of a heap of all boxes and of the corners of the selected
// ones.
func (k *NonMaxSuppression) ScratchBytes() int { return k.B*4 + k.PerClass*16 }

// Run computes the step.
func (k *NonMaxSuppression) Run(c *kernel.Context) {
	boxes, scores := c.F32(k.Boxes), c.F32(k.Scores)
	rows := kernel.View[int64](c, k.Rows)
	at := 0
	for i := range k.N * k.Classes {
		of := boxes[i/k.Classes*k.B*4:][:k.B*4]
		for _, b := range k.pick(c, of, scores[i*k.B:][:k.B]) {
			rows[at], rows[at+1], rows[at+2] = int64(i/k.Classes), int64(i%k.Classes), int64(b)
			at += 3
		}
	}
	kernel.View[int64](c, k.Count)[0] = int64(at / 3)
	for ; at < len(rows); at++ {
		rows[at] = -1
	}
}

// pick returns the selected boxes of one image and class.
func (k *NonMaxSuppression) pick(c *kernel.Context, boxes, scores []float32) []int32 {
	better := func(a, b int32) bool {
		return scores[a] > scores[b] || scores[a] == scores[b] && a < b
	}
	heap := ints(c.Scratch(0), k.B)[:0]
	for j, s := range scores {
		if s > k.Score {
			heap = append(heap, int32(j))
		}
	}
	heapify(heap, better)
	corners := kernel.Floats(c.Scratch(0)[k.B*4:])[:0]
	// Each pop frees one place behind the heap. Selected boxes go there, in reverse
	// order.
	all := heap[:len(heap):len(heap)]
	picked := len(all)
	for len(heap) > 0 && len(all)-picked < k.PerClass {
		top, n := heap[0], len(heap)-1
		heap[0] = heap[n]
		heap = heap[:n]
		siftDown(heap, 0, better)
		x0, y0, x1, y1 := k.corners(boxes[top*4:])
		if k.covered(corners, x0, y0, x1, y1) {
			continue
		}
		corners = append(corners, x0, y0, x1, y1)
		picked--
		all[picked] = top
	}
	all = all[picked:]
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	return all
}

// corners returns the corners of a box, the lesser coordinates first.
func (k *NonMaxSuppression) corners(b []float32) (x0, y0, x1, y1 float32) {
	if k.Center {
		w, h := b[2]/2, b[3]/2
		return b[0] - w, b[1] - h, b[0] + w, b[1] + h
	}
	return min(b[1], b[3]), min(b[0], b[2]), max(b[1], b[3]), max(b[0], b[2])
}

// covered reports whether a selected box overlaps the given one by more than the
// threshold. Boxes without an area overlap nothing.
func (k *NonMaxSuppression) covered(picked []float32, x0, y0, x1, y1 float32) bool {
	area := (x1 - x0) * (y1 - y0)
	for ; len(picked) > 0; picked = picked[4:] {
		px0, py0, px1, py1 := picked[0], picked[1], picked[2], picked[3]
		w, h := min(x1, px1)-max(x0, px0), min(y1, py1)-max(y0, py0)
		other := (px1 - px0) * (py1 - py0)
		overlap := float32(0)
		if w > 0 && h > 0 && area > 0 && other > 0 {
			overlap = w * h / (area + other - w*h)
		}
		if overlap > k.Overlap {
			return true
		}
	}
	return false
}

// Check declares the memory of the step.
func (k *MaxUnpool[T]) Check(v *kernel.Verifier) {
	v.Read("Indices", k.Indices, 8, int64(k.Indices.Len))
	v.Read("Src", k.Src, size[T](), int64(k.Indices.Len))
	v.Write("Dst", k.Dst, size[T](), int64(k.Dst.Len))
}

// ScratchBytes is zero.
func (k *MaxUnpool[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *MaxUnpool[T]) Run(c *kernel.Context) {
	src, idx, dst := kernel.View[T](c, k.Src), kernel.View[int64](c, k.Indices), kernel.View[T](c, k.Dst)
	kernel.Zero(dst)
	for i, p := range idx {
		if p >= 0 && p < int64(len(dst)) {
			dst[p] = src[i]
		}
	}
}

// Check declares the memory of the step.
func (k *Scatter[T, I]) Check(v *kernel.Verifier) {
	v.Positive("extents", k.Axis, k.Inner)
	v.Read("Src", k.Src, size[T](), kernel.Product(k.Axis, k.Inner))
	v.Read("Indices", k.Indices, size[I](), int64(k.Indices.Len))
	v.Read("Updates", k.Updates, size[T](), kernel.Product(k.Indices.Len, k.Inner))
	v.Write("Dst", k.Dst, size[T](), kernel.Product(k.Axis, k.Inner))
	v.Require(k.Fn < kernel.BinEqual, "there is no such arithmetic")
}

// ScratchBytes is zero.
func (k *Scatter[T, I]) ScratchBytes() int { return 0 }

// Run computes the step. It is one part, because the order of equal indices counts.
func (k *Scatter[T, I]) Run(c *kernel.Context) {
	n := k.Axis * k.Inner
	dst, updates := kernel.View[T](c, k.Dst), kernel.View[T](c, k.Updates)
	kernel.Move(dst[:n], kernel.View[T](c, k.Src)[:n])
	for i, at := range kernel.View[I](c, k.Indices) {
		p := int64(at)
		if p < 0 {
			p += int64(k.Axis)
		}
		if p < 0 || p >= int64(k.Axis) {
			continue
		}
		to, by := dst[int(p)*k.Inner:][:k.Inner], updates[i*k.Inner:][:k.Inner]
		if !k.Combine {
			kernel.Move(to, by)
			continue
		}
		for j, u := range by {
			to[j] = kernel.EvalBinary(k.Fn, to[j], u)
		}
	}
}
