package ir

// ResizeMode is the interpolation of [Resize].
type ResizeMode uint8

// The interpolations.
const (
	ResizeNearest ResizeMode = iota
	ResizeLinear
	ResizeCubic
)

// CoordMode maps a coordinate of the result to one of x (ONNX Resize,
// coordinate_transformation_mode).
type CoordMode uint8

// The mappings.
const (
	HalfPixel CoordMode = iota
	HalfPixelSymmetric
	PytorchHalfPixel
	AlignCorners
	Asymmetric
	TfHalfPixelForNN
)

// NearestMode rounds a coordinate to an element.
type NearestMode uint8

// The roundings.
const (
	RoundPreferFloor NearestMode = iota
	RoundPreferCeil
	RoundFloor
	RoundCeil
)

var (
	resizeModeNames  = enumNames{"nearest", "linear", "cubic"}
	coordModeNames   = enumNames{"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn"}
	nearestModeNames = enumNames{"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}
)

func (m ResizeMode) String() string                 { return resizeModeNames.name(uint8(m)) }
func (m ResizeMode) MarshalText() ([]byte, error)   { return []byte(m.String()), nil }
func (m *ResizeMode) UnmarshalText(b []byte) error  { return resizeModeNames.parse(b, (*uint8)(m)) }
func (m CoordMode) String() string                  { return coordModeNames.name(uint8(m)) }
func (m CoordMode) MarshalText() ([]byte, error)    { return []byte(m.String()), nil }
func (m *CoordMode) UnmarshalText(b []byte) error   { return coordModeNames.parse(b, (*uint8)(m)) }
func (m NearestMode) String() string                { return nearestModeNames.name(uint8(m)) }
func (m NearestMode) MarshalText() ([]byte, error)  { return []byte(m.String()), nil }
func (m *NearestMode) UnmarshalText(b []byte) error { return nearestModeNames.parse(b, (*uint8)(m)) }

// Resize interpolates x to Shape. Scales holds result/input per axis as the
// coordinate mapping uses it: it may differ from the quotient of the extents
// when a model gives scales.
type Resize struct {
	Mode           ResizeMode
	Coord          CoordMode
	Nearest        NearestMode
	Shape          Shape
	Scales         []float64
	CubicA         float64 // cubic coefficient, usually −0.75
	ExcludeOutside bool    // cubic weights outside x count as zero
	Antialias      bool    // widen linear and cubic filters when shrinking
}

func (Resize) Name() string { return "Resize" }

func (r Resize) Infer(in []Type) ([]Type, error) {
	if len(r.Shape) != in[0].Rank() || len(r.Scales) != in[0].Rank() {
		return typeErr("x is %s, but shape %s and scales %v", in[0], r.Shape, r.Scales)
	}
	return one(Type{in[0].DType, r.Shape})
}
