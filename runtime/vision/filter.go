package vision

import (
	"fmt"
	"math"
	"strings"
)

// Filter is an interpolation method for resizing. All filters except Sampled are
// bit-identical to those of Pillow's Image.resize. They average over all pixels
// that a pixel of the result covers, and round to 8 bits. Their names are those
// of Keras' load_img.
type Filter uint8

const (
	// Bilinear is torchvision's default for pictures.
	Bilinear Filter = iota
	// Nearest is the default of Keras' load_img.
	Nearest
	Bicubic
	Lanczos
	Box
	Hamming
	// Sampled interpolates between the four nearest pixels, for shrinking too,
	// and does not round. It is the default of tf.image.resize and of Keras'
	// Resizing layer: bilinear without antialiasing.
	Sampled
)

// filters holds the name and the weight function of each Filter. The argument of
// a weight function is the distance of a pixel from the centre, in pixels of the
// coarser of the two pictures. The weight is zero beyond support. Filters without
// a weight function are not weighted averages of this kind.
var filters = [...]struct {
	name    string
	support float64
	weight  func(x float64) float64
}{
	Bilinear: {"bilinear", 1, func(x float64) float64 { return max(0, 1-math.Abs(x)) }},
	Nearest:  {name: "nearest"},
	Bicubic:  {"bicubic", 2, cubic},
	Lanczos:  {"lanczos", 3, lanczos},
	Box:      {"box", 0.5, box},
	Hamming:  {"hamming", 1, hamming},
	Sampled:  {name: "sampled"},
}

// String returns the name that Pillow and Keras' load_img use, or "sampled".
func (f Filter) String() string {
	if int(f) < len(filters) {
		return filters[f].name
	}
	return fmt.Sprintf("Filter(%d)", uint8(f))
}

// FilterNames returns the names of all filters.
func FilterNames() string {
	var names []string
	for _, f := range filters {
		names = append(names, f.name)
	}
	return strings.Join(names, ", ")
}

// ParseFilter returns the filter with the given name.
func ParseFilter(name string) (Filter, error) {
	for i, f := range filters {
		if f.name == name {
			return Filter(i), nil
		}
	}
	return 0, fmt.Errorf("vision: unknown interpolation %q; want %s", name, FilterNames())
}

// The functions below are those of Pillow's src/libImaging/Resample.c, in its
// order of operations. The conversions prevent fused multiply-adds, so that
// results are equal on all machines.

func box(x float64) float64 {
	if x > -0.5 && x <= 0.5 {
		return 1
	}
	return 0
}

func hamming(x float64) float64 {
	x = math.Abs(x)
	switch {
	case x == 0:
		return 1
	case x >= 1:
		return 0
	}
	x *= math.Pi
	const a, b = float64(float32(0.54)), float64(float32(0.46)) // Pillow has 0.54f, 0.46f
	return math.Sin(x) / x * (a + float64(b*math.Cos(x)))
}

// cubic is Keys' kernel with a = −0.5.
func cubic(x float64) float64 {
	const a = -0.5
	x = math.Abs(x)
	switch {
	case x < 1:
		return float64(float64((float64((a+2)*x)-(a+3))*x)*x) + 1
	case x < 2:
		return (float64((float64((x-5)*x)+8)*x) - 4) * a
	}
	return 0
}

func lanczos(x float64) float64 {
	if x < -3 || x >= 3 {
		return 0
	}
	return sinc(x) * sinc(x/3)
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}
