package ir

import "math"

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
	TfCropAndResize // relative to Region
	TfBicubic       // HalfPixel rounded to 1/1024: TensorFlow looks cubic weights up in a table
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
	coordModeNames   = enumNames{"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize", "tf_bicubic"}
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

// Resize interpolates x to Shape. The mapping of coordinates uses Scales, the quotients of
// the extents of the result and of x. Scales that a model gives may differ from the
// quotients of the rounded extents.
type Resize struct {
	Mode           ResizeMode
	Coord          CoordMode
	Nearest        NearestMode
	Shape          Shape
	Scales         []float64
	Region         []float64 // for TfCropAndResize: starts of all axes, then ends, relative to extents; zeros lie outside x
	CubicA         float64   // cubic coefficient, usually −0.75
	ExcludeOutside bool      // cubic weights outside x count as zero
	Antialias      bool      // widen linear and cubic filters when shrinking
}

func (Resize) Name() string { return "Resize" }

func (r Resize) Infer(in []Type) ([]Type, error) {
	if len(r.Shape) != in[0].Rank() || len(r.Scales) != in[0].Rank() {
		return typeErr("x is %s, but shape %s and scales %v", in[0], r.Shape, r.Scales)
	}
	if crops := r.Coord == TfCropAndResize; crops != (r.Region != nil) || crops && len(r.Region) != 2*in[0].Rank() {
		return typeErr("x is %s, %s with region %v", in[0], r.Coord, r.Region)
	}
	if err := r.Shape.Check(); err != nil {
		return nil, err
	}
	if in[0].Shape.Len() == 0 && r.Shape.Len() > 0 {
		return typeErr("x %s has no elements to interpolate", in[0])
	}
	for a, s := range r.Scales {
		if r.Shape.Len() == 0 {
			break // no coordinate is computed
		}
		extent := s * float64(in[0].Shape[a])
		if !(s > 0) || s > MaxExtent || r.Antialias && extent < 0.5 {
			return typeErr("axis %d of %s: scale %g to %d elements", a, in[0], s, r.Shape[a])
		}
	}
	for _, at := range r.Region {
		if !(math.Abs(at) <= MaxExtent) {
			return typeErr("region %v", r.Region)
		}
	}
	return one(Type{in[0].DType, r.Shape})
}

// Keeps reports whether the op does not change an axis of n elements.
func (r Resize) Keeps(axis, n int) bool {
	if r.Region != nil && (r.Region[axis] != 0 || r.Region[len(r.Shape)+axis] != 1) {
		return false
	}
	return r.Shape[axis] == n && r.Scales[axis] == 1
}

// Source maps position p along an axis of the result to a coordinate of x, which has n
// elements along the axis. inside is false if the coordinate is in a part of Region outside
// x.
func (r Resize) Source(axis, p, n int) (at float64, inside bool) {
	if r.Keeps(axis, n) {
		return float64(p), true // tf_half_pixel_for_nn would move it
	}
	out, scale := r.Shape[axis], r.Scales[axis]
	f, last := float64(p), float64(n-1)
	// The extent before it was rounded down. Models store scales as float32, so a small
	// distance from a whole number is noise.
	extent := scale * float64(n)
	if math.Abs(extent-float64(out)) < 1e-6*extent {
		extent = float64(out)
	}
	switch r.Coord {
	case HalfPixelSymmetric:
		// Both ends share the extent that rounding removed.
		return float64(n)/2*(1-float64(out)/extent) + (f+0.5)/scale - 0.5, true
	case PytorchHalfPixel:
		if out == 1 {
			return 0, true
		}
	case AlignCorners:
		if out == 1 {
			return 0, true
		}
		// The text of ONNX has the extent of the result here, and corners meet. Its tests,
		// which shrink an axis, have the extent before it was rounded.
		if scale >= 1 {
			extent = float64(out)
		}
		return f * last / (extent - 1), true
	case Asymmetric:
		return f / scale, true
	case TfHalfPixelForNN:
		return (f + 0.5) / scale, true
	case TfBicubic:
		return math.RoundToEven(((f+0.5)/scale-0.5)*1024) / 1024, true
	case TfCropAndResize:
		start, end := r.Region[axis], r.Region[len(r.Shape)+axis]
		at = (start + end) / 2 * last
		if out > 1 {
			at = (start + f*(end-start)/float64(out-1)) * last
		}
		return at, at >= 0 && at <= last
	}
	return (f+0.5)/scale - 0.5, true
}
