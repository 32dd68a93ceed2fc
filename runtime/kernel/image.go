package kernel

// Elem is the element type of an image.
type Elem uint8

// The element types.
const (
	Float32 Elem = iota
	BFloat16
	Int8
	Uint8
)

// Bytes returns the size of an element in bytes.
func (e Elem) Bytes() int {
	switch e {
	case Float32:
		return 4
	case BFloat16:
		return 2
	}
	return 1
}

// Image describes activations in blocks of channels:
// [N][ceil(C/Block)][Top+H+Bottom][Left+W+Right][Block]. The layout of float32
// with blocks of 16 is called NC16.
//
// The border is zero, or Fill for bytes, whenever a kernel reads the image. Channels
// beyond C in the last block hold finite values. They do not affect other channels,
// because their weights are zero.
//
// A tensor of type i8 is stored with 128 added to each element, as Uint8.
//
// The methods of Image compute all sizes and strides of images. Kernels on float32 may
// use the constants lanes and pixelBytes instead.
type Image struct {
	Ref                      // starts at the first border element of block 0 of image 0
	Elem                     Elem
	Block                    int // channels of a block; 0 means 16
	N, C, H, W               int
	Top, Left, Bottom, Right int
	// BatchStride is the distance in elements from one image of the batch to the
	// next. It exceeds the size of an image that is a slice of the buffer of a
	// concatenation.
	BatchStride int
	// Clear makes the kernel that writes the image also write its border. It is false if
	// the border is zero and nothing else uses its memory, which is zero when a session
	// starts.
	Clear bool
	// Fill is the value of the border of an image of bytes: the zero point. If that is
	// known only at run time, it is the byte that FillFrom refers to.
	Fill     byte
	FillFrom Ref
}

// lanes is the number of channels in a block of float32. pixelBytes is the size in
// bytes of a pixel of one block.
const (
	lanes      = 16
	pixelBytes = lanes * 4
)

// Lanes returns the number of channels in a block.
func (m *Image) Lanes() int {
	if m.Block == 0 {
		return lanes
	}
	return m.Block
}

// Lane returns the position of channel c in its block.
func (m *Image) Lane(c int) int {
	c %= m.Lanes()
	if m.Elem == BFloat16 { // pairs of channels c and 16+c
		return c%lanes*2 + c/lanes
	}
	return c
}

// Blocks returns the number of blocks of channels.
func (m *Image) Blocks() int { return (m.C + m.Lanes() - 1) / m.Lanes() }

// Row returns the distance in elements between vertical neighbours.
func (m *Image) Row() int { return (m.Left + m.W + m.Right) * m.Lanes() }

// Plane returns the distance in elements between blocks.
func (m *Image) Plane() int { return (m.Top + m.H + m.Bottom) * m.Row() }

// Origin returns the offset in elements, from the start of Ref, of pixel (0,0) of
// block 0 of image 0.
func (m *Image) Origin() int { return m.Top*m.Row() + m.Left*m.Lanes() }

// At returns the offset in elements, from the start of Ref, of pixel (y,x) of
// block b of image n. The pixel may lie in the border.
func (m *Image) At(n, b, y, x int) int {
	return n*m.BatchStride + ((b*(m.Top+m.H+m.Bottom)+m.Top+y)*(m.Left+m.W+m.Right)+m.Left+x)*m.Lanes()
}

// Size returns the number of elements from the start of Ref to the end of the
// last image.
func (m *Image) Size() int { return (m.N-1)*m.BatchStride + m.Blocks()*m.Plane() }

// Bytes returns Size in bytes.
func (m *Image) Bytes() int { return m.Size() * m.Elem.Bytes() }

// PixelBytes returns the size of a pixel of one block in bytes.
func (m *Image) PixelBytes() int { return m.Lanes() * m.Elem.Bytes() }

// RowBytes returns Row in bytes.
func (m *Image) RowBytes() int { return m.Row() * m.Elem.Bytes() }

// PlaneBytes returns Plane in bytes.
func (m *Image) PlaneBytes() int { return m.Plane() * m.Elem.Bytes() }

// line returns the bytes of row y of block b of image n, without the border. data is
// the memory of the image.
func (m *Image) line(data []byte, n, b, y int) []byte {
	o, size := m.At(n, b, y, 0), m.Elem.Bytes()
	return data[o*size:][:m.W*m.PixelBytes()]
}

// bytes returns the memory of m.
func (m *Image) bytes(c *Context) []byte { return c.Bytes(m.Ref, m.Elem.Bytes()) }

// tight reports whether rows of pixels follow one another without a border.
func (m *Image) tight() bool { return m.Top+m.Left+m.Bottom+m.Right == 0 }

// row returns row y of block b of image n, without the border. data is the memory of
// the image, which has float32 elements.
func (m *Image) row(data []float32, n, b, y int) []float32 {
	o := m.At(n, b, y, 0)
	return data[o : o+m.W*lanes]
}

// ClearBorder writes zeros, or Fill, to the border if Clear is set.
func (m *Image) ClearBorder(c *Context) {
	if !m.Clear {
		return
	}
	size, pixel, row := m.Elem.Bytes(), m.PixelBytes(), m.RowBytes()
	data := c.Bytes(m.Ref, size)
	value := m.Fill
	if m.FillFrom.Present() {
		value = c.Bytes(m.FillFrom, 1)[0]
	}
	for n := range m.N {
		for b := range m.Blocks() {
			p := data[n*m.BatchStride*size+b*m.PlaneBytes():][:m.PlaneBytes()]
			// The end of a row and the start of the next are one run.
			at := m.Top*row + m.Left*pixel
			fill(p[:at], value)
			for range m.H {
				at += m.W * pixel
				end := min(at+(m.Right+m.Left)*pixel, len(p))
				fill(p[at:end], value)
				at = end
			}
			fill(p[at:], value)
		}
	}
}

// fill sets all elements of p to v.
func fill(p []byte, v byte) {
	if v == 0 {
		clear(p)
		return
	}
	var many [16]byte
	for i := range many {
		many[i] = v
	}
	for len(p) >= len(many) {
		*(*[16]byte)(p) = many // one instruction
		p = p[len(many):]
	}
	copy(p, many[:])
}

// wholeBlocks returns n rounded up to whole blocks of channels.
func wholeBlocks(n int) int { return (n + lanes - 1) &^ (lanes - 1) }
