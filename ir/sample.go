package ir

import "slices"

// SampleBorder selects the elements that [GridSample] reads outside x.
type SampleBorder uint8

// The borders.
const (
	SampleZeros      SampleBorder = iota
	SampleEdge                    // the nearest element
	SampleReflection              // mirrored at the outer pixels' centers with AlignCorners, else at their outer edges
)

var sampleBorderNames = enumNames{"zeros", "border", "reflection"}

func (b SampleBorder) String() string                { return sampleBorderNames.name(uint8(b)) }
func (b SampleBorder) MarshalText() ([]byte, error)  { return []byte(b.String()), nil }
func (b *SampleBorder) UnmarshalText(t []byte) error { return sampleBorderNames.parse(t, (*uint8)(b)) }

// GridSample interpolates x [N,C,D…] at the coordinates in grid [N,E…,r], where r is the
// number of spatial axes. The coordinate along the last axis comes first (x, y, z).
// Coordinates are −1 and 1 at the ends of x. The ends are the centers of the outer pixels
// with AlignCorners, otherwise their outer edges. The result is [N,C,E…].
type GridSample struct {
	Mode         ResizeMode
	Border       SampleBorder
	AlignCorners bool
}

// GridSampleGrid is the position of an operand of GridSample.
const GridSampleGrid = 1

func (GridSample) Name() string { return "GridSample" }

func (g GridSample) Infer(in []Type) ([]Type, error) {
	x, grid := in[0], in[1]
	r := x.Rank() - 2
	if r < 1 || grid.Rank() != r+2 || grid.Shape[0] != x.Shape[0] || grid.Shape[r+1] != r || grid.DType != x.DType || !x.DType.IsFloat() {
		return typeErr("x %s and grid %s, want floats [N,C,D…] and [N,E…,r] for r spatial axes", x, grid)
	}
	if x.Shape[2:].Len() == 0 && grid.Shape.Len() > 0 {
		return typeErr("x %s has no elements to sample", x)
	}
	return one(Type{x.DType, slices.Concat(x.Shape[:2], grid.Shape[1:r+1])})
}
