package vision

import (
	"fmt"
	"math"
	"strings"
)

// Filter is how pixels are interpolated when a picture is resized. All but
// Sampled are those of Pillow's Image.resize, to the bit: they average over
// all pixels that one of the result covers, and round to 8 bits. Keras'
// load_img takes them by these names.
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
	// Sampled interpolates between the four nearest pixels, also when it
	// shrinks, and does not round: tf.image.resize and Keras' Resizing layer
	// with their default, bilinear without antialiasing.
	Sampled
)

// filters holds, by Filter, the name and the weight of a pixel at a distance
// from the centre, in units of the coarser of both pictures' pixels: zero
// beyond support. The others are no weighted averages of this kind.
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

// String is the name that Pillow and Keras' load_img use, or "sampled".
func (f Filter) String() string {
	if int(f) < len(filters) {
		return filters[f].name
	}
	return fmt.Sprintf("Filter(%d)", uint8(f))
}

// FilterNames lists the filters.
func FilterNames() string {
	var names []string
	for _, f := range filters {
		names = append(names, f.name)
	}
	return strings.Join(names, ", ")
}

// ParseFilter returns the filter of that name.
func ParseFilter(name string) (Filter, error) {
	for i, f := range filters {
		if f.name == name {
			return Filter(i), nil
		}
	}
	return 0, fmt.Errorf("vision: no interpolation %q; there are %s", name, FilterNames())
}

// The functions below are those of Pillow's src/libImaging/Resample.c, with
// its order of operations. The conversions keep products from being fused
// with sums, so that all machines round alike.

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
