package kernel

import (
	"math"
	"unsafe"

	"modelc/runtime/internal/mem"
	"modelc/runtime/internal/team"
)

// Context is what a running kernel sees: the spaces of one session, its scratch
// memory and its workers.
type Context struct {
	spaces  [][]byte
	scratch [][]byte // one per worker, 64-byte aligned
	double  bool     // sums are accumulated in float64
	team    *team.Team[*Context]
	first   int            // the first of the blocks of tiles in work, see Winograd.Run
	ready   *team.Progress // bytes of Prepared, nil for kernels that prepare
}

// NewContext returns a context for kernels that need scratch bytes of memory per
// worker. spaces holds the memory of each [Space]. double makes convolutions and
// dense layers accumulate in float64. ready, unless nil, counts the bytes of
// Prepared that may be read.
func NewContext(spaces [][]byte, threads, scratch int, double bool, ready *team.Progress) *Context {
	c := &Context{spaces: spaces, double: double, team: team.New[*Context](threads), ready: ready}
	c.scratch = make([][]byte, c.Threads())
	for i := range c.scratch { // an odd number of cache lines apart, so that workers do not share sets
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

// Job is the work of a kernel, cut into parts.
type Job = team.Job[*Context]

// small is the amount of work, in operations on one float, below which waking a
// worker costs more than it saves. It is zero in tests.
var small = 1 << 14

// Do runs n parts of j on all workers, or on the caller alone if the work, in
// operations on one float, is small.
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

// slices returns the number of pieces, at most most, into which each of regions
// regions is cut so that every worker finds work.
func (c *Context) slices(regions, most int) int {
	n, threads := 1, c.Threads()
	for n < most && regions*n < 4*threads && regions*n%threads != 0 {
		n++
	}
	return n
}

// Scratch returns the scratch memory of a worker.
func (c *Context) Scratch(worker int) []byte { return c.scratch[worker] }

// Bytes returns the memory of r for elements of size bytes. It waits until they
// are prepared. A Ref outside its space is a bug in the plan.
func (c *Context) Bytes(r Ref, size int) []byte {
	if r.Space == Prepared && c.ready != nil {
		c.ready.Await(r.Off + r.Len*size)
	}
	return c.spaces[r.Space][r.Off : r.Off+r.Len*size]
}

// F32 returns the memory of r as float32, nil for an absent Ref.
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

// View returns the memory of r as elements of type T, nil for an absent Ref. Bool
// tensors are viewed as uint8 that hold 0 or 1.
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

// Floats views bytes as float32.
func Floats(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

// Values that have no literal in Go.
var (
	Inf32 = float32(math.Inf(1))
	Inf64 = math.Inf(1)
	NaN32 = float32(math.NaN())
	NaN64 = math.NaN()
)
