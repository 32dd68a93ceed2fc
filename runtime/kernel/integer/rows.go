package integer

import (
	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// lanes is the number of channels in a block of float32, and of bytes unless an image
// has at most 4 channels.
const lanes = 16

// rowsPerPart is the number of rows of a block that one part of a kernel computes.
const rowsPerPart = 16

// parts returns the number of parts of a kernel that computes the rows of m.
func parts(m *kernel.Image) int { return m.N * m.Blocks() * team.Split(m.H, rowsPerPart) }

// span returns the rows of block b of image n that part i of m computes.
func span(m *kernel.Image, i int) (n, b, from, to int) {
	groups := team.Split(m.H, rowsPerPart)
	from = i % groups * rowsPerPart
	i /= groups
	return i / m.Blocks(), i % m.Blocks(), from, min(m.H, from+rowsPerPart)
}

// lines returns the number of rows that a kernel treats as one: all n rows of a span if
// they follow one another without a border in every image, otherwise 1.
func lines(n int, images ...*kernel.Image) int {
	for _, m := range images {
		if m.Left+m.Right > 0 {
			return 1
		}
	}
	return max(1, n)
}

// rows is like row, for n rows without a border between them.
func rows[T byte | float32](data []T, m *kernel.Image, n, b, y, count int) []T {
	at := m.At(n, b, y, 0)
	return data[at : at+count*m.W*m.Lanes()]
}

// row returns row y of block b of image n, without the border. data is the memory of
// the image, which has elements of type T.
func row[T byte | float32](data []T, m *kernel.Image, n, b, y int) []T {
	at := m.At(n, b, y, 0)
	return data[at : at+m.W*m.Lanes()]
}

// bytesOf returns the memory of an image of bytes.
func bytesOf(c *kernel.Context, r kernel.Ref) []byte { return c.Bytes(r, 1) }

// saturate is [simd.Saturate] for bytes.
func saturate(v float32, zero, lo, hi int) byte { return byte(simd.Saturate(float64(v), zero, lo, hi)) }

// quantizeRow computes dst = saturate(src/scale) + zero.
func quantizeRow(dst []byte, src []float32, scale float32, zero int) {
	whole := len(src) / lanes
	if whole > 0 && simd.QuantizeRow(&dst[0], &src[0], whole, scale, int32(zero)) {
		dst, src = dst[whole*lanes:], src[whole*lanes:]
	}
	for i, v := range src {
		dst[i] = saturate(v/scale, zero, 0, 255)
	}
}

// dequantizeRow computes dst = scale·(src − zero).
func dequantizeRow(dst []float32, src []byte, scale float32, zero int) {
	whole := len(src) / lanes
	if whole > 0 && simd.DequantizeRow(&dst[0], &src[0], whole, scale, int32(zero)) {
		dst, src = dst[whole*lanes:], src[whole*lanes:]
	}
	for i, q := range src {
		dst[i] = float32(int(q)-zero) * scale
	}
}
