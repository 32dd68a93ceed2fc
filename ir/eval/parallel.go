package eval

import (
	"runtime"
	"sync"
	"sync/atomic"

	"modelc/ir"
)

// parallel calls f(0) … f(n−1) on all processors. Each call must write a separate part of a
// result, and compute it in an order that does not depend on other calls. Then results have
// the same bits on any number of processors.
func parallel(n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		}()
	}
	wg.Wait()
}

// ranges calls f for consecutive ranges that make up 0 … n−1, on all processors. Elements of a
// range are computed in float64; all elements of a large tensor would take too much memory.
func ranges(n int, f func(lo, hi int)) {
	const most = 1 << 13
	parallel((n+most-1)/most, func(i int) { f(i*most, min((i+1)*most, n)) })
}

// part returns the elements lo … hi−1 of t, in float64. t must have its memory: see [ir.Filled].
func part(t *ir.Tensor, lo, hi int) []float64 {
	size := t.DType.Size()
	v, err := ir.FromBytes(ir.T(t.DType, hi-lo), t.Bytes()[lo*size:hi*size])
	if err != nil {
		panic("eval: " + err.Error())
	}
	return v.Float64s()
}

// each returns the only result, whose elements lo … hi−1 are those that f returns.
func (c call) each(f func(lo, hi int) []float64) ([]*ir.Tensor, error) {
	t := c.out[0]
	out := ir.NewTensor(t)
	b, size := out.Bytes(), t.DType.Size()
	for _, x := range c.in {
		if x != nil {
			x.Bytes() // not on several processors
		}
	}
	ranges(t.Shape.Len(), func(lo, hi int) {
		copy(b[lo*size:], ir.FromFloat64s(ir.T(t.DType, hi-lo), f(lo, hi)).Bytes())
	})
	return one(out)
}

// reader returns the elements of t as float64 without converting all of them.
func reader(t *ir.Tensor) func(i int) float64 {
	switch t.DType {
	case ir.Float32:
		f := t.Float32s()
		return func(i int) float64 { return float64(f[i]) }
	case ir.Int8:
		f := ir.Elements[int8](t)
		return func(i int) float64 { return float64(f[i]) }
	case ir.Uint8:
		f := ir.Elements[uint8](t)
		return func(i int) float64 { return float64(f[i]) }
	case ir.Float64:
		f := ir.Elements[float64](t)
		return func(i int) float64 { return f[i] }
	}
	f := t.Float64s()
	return func(i int) float64 { return f[i] }
}

// writer returns a function that sets an element of t.
func writer(t *ir.Tensor) func(i int, x float64) {
	switch t.DType {
	case ir.Float32:
		f := t.Float32s()
		return func(i int, x float64) { f[i] = float32(x) }
	case ir.Float64:
		f := ir.Elements[float64](t)
		return func(i int, x float64) { f[i] = x }
	case ir.Int8:
		f := ir.Elements[int8](t)
		return func(i int, x float64) { f[i] = int8(x) }
	case ir.Uint8:
		f := ir.Elements[uint8](t)
		return func(i int, x float64) { f[i] = uint8(x) }
	}
	b, size := t.Bytes(), t.DType.Size()
	return func(i int, x float64) {
		copy(b[i*size:(i+1)*size], ir.FromFloat64s(ir.T(t.DType), []float64{x}).Bytes())
	}
}
