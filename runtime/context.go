package runtime

import (
	"fmt"
	"unsafe"
)

// Space names a region of memory that a [Ref] points into.
type Space uint8

// The spaces. Inputs and outputs of the model follow as IO, IO+1, …: inputs
// first, then outputs.
const (
	Arena    Space = iota // activations of one session
	Weights               // the weights file, shared and read-only
	Prepared              // weights transformed behind NewModel, then shared and read-only
	IO                    // first model input
)

// Ref is a place in a space. The zero Ref means "absent".
type Ref struct {
	Space Space
	Off   int // bytes from the start of the space, a multiple of the element size
	Len   int // elements
}

// Present reports whether r points to anything.
func (r Ref) Present() bool { return r.Len > 0 }

// Image describes float32 activations in NC16:
// [N][ceil(C/16)][Top+H+Bottom][Left+W+Right][16].
//
// The border is zero whenever a kernel reads the image. Channels beyond C in
// the last block hold finite values that no kernel lets reach the others:
// weights are zero there.
type Image struct {
	Ref                      // starts at the first border element of block 0 of image 0
	N, C, H, W               int
	Top, Left, Bottom, Right int
	// BatchStride is the distance in floats from one image to the next: more
	// than the image itself where it is a slice of a concatenation's buffer.
	BatchStride int
	// Clear makes the kernel that writes the image zero its border too. It is
	// false where nothing else ever uses the memory of the border, which then
	// stays zero from the session's start.
	Clear bool
}

// Blocks returns the number of 16-channel blocks.
func (m *Image) Blocks() int { return (m.C + 15) / 16 }

// Row returns the distance in floats between vertical neighbours.
func (m *Image) Row() int { return (m.Left + m.W + m.Right) * 16 }

// Plane returns the distance in floats between blocks.
func (m *Image) Plane() int { return (m.Top + m.H + m.Bottom) * m.Row() }

// Origin returns the offset in floats, from the start of Ref, of the pixel
// (0,0) of block 0 of image 0.
func (m *Image) Origin() int { return m.Top*m.Row() + m.Left*16 }

// Size returns the floats between the start of Ref and the end of the last
// image.
func (m *Image) Size() int { return (m.N-1)*m.BatchStride + m.Blocks()*m.Plane() }

// Context is what a running kernel sees: the spaces of one session, its
// scratch memory and its workers.
type Context struct {
	spaces  [][]byte
	scratch [][]byte // one per worker, 64-byte aligned
	double  bool     // Plan.Double
	team    *team
	first   int // the first of the blocks of tiles in work, see Winograd.Run
	// preparation is that of the model, nil for what prepares.
	preparation *preparation
}

// bytes returns the memory of r for elements of the given size, once it is
// prepared. A Ref outside its space is a bug in the plan.
func (c *Context) bytes(r Ref, size int) []byte {
	if r.Space == Prepared && c.preparation != nil {
		c.preparation.await(r.Off + r.Len*size)
	}
	return c.spaces[r.Space][r.Off : r.Off+r.Len*size]
}

// f32 returns the memory of r as float32, nil for an absent Ref.
func (c *Context) f32(r Ref) []float32 {
	if r.Len == 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(c.bytes(r, 4)))), r.Len)
}

// Number is an element type of the plain kernels.
type Number interface {
	~float32 | ~float64 | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// view returns the memory of r as elements of type T. Bool tensors are viewed
// as uint8 holding 0 or 1.
func view[T Number](c *Context, r Ref) []T {
	if r.Len == 0 {
		return nil
	}
	var z T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(c.bytes(r, int(unsafe.Sizeof(z)))))), r.Len)
}

// alignedBytes returns n zero bytes that start on a cache line.
func alignedBytes(n int) []byte {
	b := make([]byte, n+64)
	hugePages(b)
	off := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & 63)
	return b[off : off+n : off+n]
}

// BytesOf returns the memory of s as bytes, without copying.
func BytesOf[T Number | ~bool](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	var z T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(z)))
}

func (r Ref) String() string { return fmt.Sprintf("%d:%d+%d", r.Space, r.Off, r.Len) }

// floats views bytes as float32.
func floats(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}
