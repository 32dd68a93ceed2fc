package kernel

import (
	"math"
	"unsafe"

	"modelc/runtime/internal/mem"
	"modelc/runtime/internal/team"
)

// Context holds the state that a kernel runs with: the spaces of one session, its
// scratch memory and its workers.
type Context struct {
	spaces  [][]byte
	scratch [][]byte // one per worker, 64-byte aligned
	double  bool     // sums are accumulated in float64
	team    *team.Team[*Context]
	first   int            // the first block of tiles in progress, see Winograd.Run
	ready   *team.Progress // bytes of Prepared, nil for kernels that prepare
}

// NewContext returns a context with the given number of threads, for kernels that
// need at most scratch bytes of memory per worker. spaces holds the memory of each
// [Space]. double makes convolutions and dense layers accumulate in float64. ready,
// unless nil, counts the bytes of Prepared that kernels may read.
func NewContext(spaces [][]byte, threads, scratch int, double bool, ready *team.Progress) *Context {
	c := &Context{spaces: spaces, double: double, team: team.New[*Context](threads), ready: ready}
	c.scratch = make([][]byte, c.Threads())
	for i := range c.scratch { // an odd number of cache lines apart, so that workers use different sets
		c.scratch[i] = mem.Aligned(scratch + 64)[:scratch:scratch]
	}
	return c
}

// Bind sets the memory of a space.
func (c *Context) Bind(s Space, mem []byte) { c.spaces[s] = mem }

// Bound reports whether a space has memory.
func (c *Context) Bound(s Space) bool { return c.spaces[s] != nil }

// Closer returns a function that ends the workers and does not keep c alive.
func (c *Context) Closer() func() { return c.team.Close }

// Threads returns the number of workers.
func (c *Context) Threads() int { return c.team.Threads() }

// Use limits the number of workers that the next jobs use.
func (c *Context) Use(workers int) { c.team.Use(workers) }

// Discard releases the memory of the context at once. No kernel may run with c after it.
func (c *Context) Discard() {
	mem.Discard(c.spaces[Arena])
	for _, s := range c.scratch {
		mem.Discard(s)
	}
	c.spaces, c.scratch = nil, nil
}

// Double reports whether sums are accumulated in float64.
func (c *Context) Double() bool { return c.double }

// Job is the work of a kernel, cut into parts.
type Job = team.Job[*Context]

// small is the minimum amount of work, in operations on one float, that justifies
// waking workers. It is zero in tests.
var small = 1 << 14

// Do runs n parts of j on all workers. If work, the number of operations on one
// float, is small, Do runs them on the calling goroutine alone.
func (c *Context) Do(n, work int, j Job) {
	if work < small {
		for i := range n {
			j.Part(c, i, 0)
		}
		return
	}
	c.team.Do(n, c, j)
}

// DoAll runs n parts of j on all workers.
func (c *Context) DoAll(n int, j Job) { c.team.Do(n, c, j) }

// slices returns the number of pieces into which each region is cut so that every
// worker finds work. It is at most most. regions is the number of regions.
func (c *Context) slices(regions, most int) int {
	n, threads := 1, c.Threads()
	for n < most && regions*n < 4*threads && regions*n%threads != 0 {
		n++
	}
	return n
}

// Scratch returns the scratch memory of a worker.
func (c *Context) Scratch(worker int) []byte { return c.scratch[worker] }

// Bytes returns the memory of r, whose elements have size bytes. It waits until the
// elements are prepared. It panics if r is outside its space, which is a bug in the
// plan.
func (c *Context) Bytes(r Ref, size int) []byte {
	if r.Space == Prepared && c.ready != nil {
		c.ready.Await(r.Off + r.Len*size)
	}
	return c.spaces[r.Space][r.Off : r.Off+r.Len*size]
}

// F32 returns the memory of r as float32, or nil if r is absent.
func (c *Context) F32(r Ref) []float32 {
	if r.Len == 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(c.Bytes(r, 4)))), r.Len)
}

// Number is an element type of tensors.
type Number interface {
	~float32 | ~float64 | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// View returns the memory of r as elements of type T, or nil if r is absent. Bool
// tensors are viewed as uint8 with the values 0 and 1.
func View[T Number](c *Context, r Ref) []T {
	if r.Len == 0 {
		return nil
	}
	var z T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(c.Bytes(r, int(unsafe.Sizeof(z)))))), r.Len)
}

// IsFloat reports whether T is a floating-point type.
func IsFloat[T Number]() bool {
	half := 0.5
	return T(half) != 0
}

// Floats returns the memory b as float32, without a copy.
func Floats(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

// Move copies src to dst like copy. A garbage collection can stop it in between.
func Move[T Number](dst, src []T) {
	for len(src) > callFloats {
		moveAll(dst, src[:callFloats])
		dst, src = dst[callFloats:], src[callFloats:]
	}
	moveAll(dst, src)
}

//go:noinline
func moveAll[T Number](dst, src []T) { copy(dst, src) }

// Zero clears x like clear. A garbage collection can stop it in between.
func Zero[T Number](x []T) {
	for len(x) > callFloats {
		zeroAll(x[:callFloats])
		x = x[callFloats:]
	}
	zeroAll(x)
}

//go:noinline
func zeroAll[T Number](x []T) { clear(x) }

// Int32s returns the memory b as int32, without a copy.
func Int32s(b []byte) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

// Float32 values that have no literal in Go.
var (
	Inf32 = float32(math.Inf(1))
	Inf64 = math.Inf(1)
	NaN32 = float32(math.NaN())
	NaN64 = math.NaN()
)
