// Package vision converts pictures to inputs of networks, and scores to classes.
// It decodes, resizes, crops and normalises pictures, and finds the best classes
// and their names.
//
//	p, err := vision.Preset("caffe", 224, 224)
//	img, err := vision.Open("cat.jpg")
//	err = p.Apply(in.Data, img)
//	…
//	for _, c := range vision.Top(out.Data, 5, names) { fmt.Println(c) }
//
// Results are equal to those of the Python libraries with which networks are
// trained. Resizing is bit-identical to Pillow's or TensorFlow's.
package vision

import (
	"errors"
	"fmt"
	"image"
	"math"
)

// Layout is the order of a tensor's elements.
type Layout uint8

const (
	NCHW Layout = iota // channel by channel: ONNX, PyTorch
	NHWC               // pixel by pixel: Keras, TensorFlow
)

// String returns the name of the constant.
func (l Layout) String() string { return [...]string{"NCHW", "NHWC"}[min(l, NHWC)] }

// Fit is a method of fitting a picture of any shape to the network's shape.
type Fit uint8

const (
	// Stretch scales width and height separately, like Keras' load_img.
	Stretch Fit = iota
	// Crop scales the picture so that its short side is Preprocess.ShortSide,
	// and crops the centre, like torchvision's Resize and CenterCrop.
	Crop
	// Letterbox scales the picture to the largest size that fits, and fills bars
	// on two sides with the level Preprocess.Bars. Detectors of the YOLO family
	// use it.
	Letterbox
)

// String returns the name of the constant.
func (f Fit) String() string { return [...]string{"Stretch", "Crop", "Letterbox"}[min(f, Letterbox)] }

// Preprocess describes the conversion of a picture to a tensor.
//
// Levels of a picture are from 0 to 255. An element of the tensor is
//
//	(level·Scale − Mean[c]) / Std[c]
//
// where c is the index of the tensor's channel, after the exchange for BGR.
type Preprocess struct {
	Width, Height int // size of the tensor
	Channels      int // 3, or 1 for grey; 0 means 3
	Layout        Layout
	Fit           Fit
	ShortSide     int   // for Crop: the short side in pixels; 0 means the larger of Width and Height
	Bars          uint8 // for Letterbox: the level of the bars; YOLO uses 114
	Filter        Filter
	BGR           bool    // order of the channels: blue, green, red
	Scale         float64 // 0 means 1
	Mean          [3]float64
	Std           [3]float64 // each 0 means 1
}

// Len returns the number of elements that Apply writes: channels × Height × Width.
func (p Preprocess) Len() int { return p.channels() * p.Height * p.Width }

func (p Preprocess) channels() int {
	if p.Channels == 0 {
		return 3
	}
	return p.Channels
}

// Apply converts img and writes it to dst, whose length must be p.Len(). For a
// batch, dst is the part of the tensor for one image.
//
// Apply ignores transparency and uses the colour, like Pillow's convert("RGB").
// Grey is computed like Pillow's convert("L"). Apply allocates a few buffers; each
// has about the tensor's width times the picture's height elements.
func (p Preprocess) Apply(dst []float32, img image.Image) error {
	if err := p.Check(); err != nil {
		return err
	}
	if img == nil {
		return errors.New("vision: no image")
	}
	if len(dst) != p.Len() {
		return fmt.Errorf("vision: the tensor has %d elements, want %d×%d×%d = %d", len(dst), p.channels(), p.Height, p.Width, p.Len())
	}
	size := img.Bounds().Size()
	if size.X <= 0 || size.Y <= 0 {
		return errors.New("vision: the image is empty")
	}
	across, down, err := p.axes(size)
	if err != nil {
		return err
	}
	if across.n < p.Width || down.n < p.Height {
		p.fill(dst)
	}
	src := newRows(img, p.channels())
	if p.Filter == Sampled {
		p.sample(dst, src, across, down)
	} else {
		p.normalise(dst, src.resample(across, down, p.Filter), across.at, down.at)
	}
	return nil
}

// Check returns an error if the fields of p are invalid.
func (p Preprocess) Check() error {
	switch {
	case p.Width <= 0 || p.Height <= 0:
		return fmt.Errorf("vision: Preprocess has a size of %d×%d pixels; set Width and Height", p.Width, p.Height)
	case p.channels() != 1 && p.channels() != 3:
		return fmt.Errorf("vision: Preprocess has %d channels; want 3, or 1 for grey", p.Channels)
	case p.BGR && p.channels() == 1:
		return errors.New("vision: the tensor has 1 channel (grey); BGR (mode caffe) needs 3")
	case p.ShortSide < 0:
		return fmt.Errorf("vision: Preprocess.ShortSide is %d", p.ShortSide)
	case int(p.Filter) >= len(filters):
		return fmt.Errorf("vision: Preprocess.Filter is %d; want %s", uint8(p.Filter), FilterNames())
	}
	return nil
}

// axes returns the scale of a picture, the part of the scaled picture that is
// used, and its position in the tensor, for both dimensions.
func (p Preprocess) axes(size image.Point) (across, down axis, err error) {
	centre := func(room int) int { return int(math.RoundToEven(float64(room) / 2)) }
	switch p.Fit {
	case Stretch:
		return axis{in: size.X, out: p.Width, n: p.Width}, axis{in: size.Y, out: p.Height, n: p.Height}, nil
	case Letterbox:
		scale := min(float64(p.Width)/float64(size.X), float64(p.Height)/float64(size.Y))
		side := func(in, most int) axis {
			n := min(max(int(math.RoundToEven(float64(in)*scale)), 1), most)
			return axis{in: in, out: n, n: n, at: (most - n) / 2}
		}
		return side(size.X, p.Width), side(size.Y, p.Height), nil
	}
	short := p.ShortSide
	if short == 0 {
		short = max(p.Width, p.Height)
	}
	w, h := short, short
	if size.X > size.Y {
		w = int(int64(short) * int64(size.X) / int64(size.Y))
	} else {
		h = int(int64(short) * int64(size.Y) / int64(size.X))
	}
	if w < p.Width || h < p.Height {
		return axis{}, axis{}, fmt.Errorf("vision: a picture of %d×%d scaled to short side %d has %d×%d pixels and cannot be cropped to %d×%d; set a larger ShortSide",
			size.X, size.Y, short, w, h, p.Width, p.Height)
	}
	return axis{in: size.X, out: w, first: centre(w - p.Width), n: p.Width}, axis{in: size.Y, out: h, first: centre(h - p.Height), n: p.Height}, nil
}

// Value returns the value of a level in the tensor's channel c.
func (p Preprocess) Value(c int, level float64) float32 {
	scale, std := p.factors(c)
	return float32((float64(level*scale) - p.Mean[c]) / std)
}

// factors returns Scale and Std[c], with defaults for zero.
func (p Preprocess) factors(c int) (scale, std float64) {
	scale, std = p.Scale, p.Std[c]
	if scale == 0 {
		scale = 1
	}
	if std == 0 {
		std = 1
	}
	return scale, std
}

// channel describes a channel of the tensor.
type channel struct {
	index  int // index in the tensor
	source int // index in the picture
	offset int // offset of its first element in the tensor
}

// plan returns the tensor's channels and the stride between adjacent pixels.
func (p Preprocess) plan() (channels []channel, step int) {
	n := p.channels()
	channels = make([]channel, n)
	for c := range channels {
		ch := channel{index: c, source: c, offset: c * p.Height * p.Width}
		if p.BGR {
			ch.source = n - 1 - c
		}
		if p.Layout == NHWC {
			ch.offset = c
		}
		channels[c] = ch
	}
	if p.Layout == NHWC {
		return channels, n
	}
	return channels, 1
}

// fill sets the whole tensor to the value of level Bars.
func (p Preprocess) fill(dst []float32) {
	channels, step := p.plan()
	for _, c := range channels {
		v := p.Value(c.index, float64(p.Bars))
		for i := range p.Width * p.Height {
			dst[c.offset+i*step] = v
		}
	}
}

// normalise writes a picture to the part of the tensor that starts at column x
// and row y.
func (p Preprocess) normalise(dst []float32, src pixels, x, y int) {
	channels, step := p.plan()
	for _, c := range channels {
		var values [256]float32
		for level := range values {
			values[level] = p.Value(c.index, float64(level))
		}
		for r := range src.height {
			to := c.offset + ((y+r)*p.Width+x)*step
			row := src.row(r)
			for from := c.source; from < len(row); from += src.channels {
				dst[to] = values[row[from]]
				to += step
			}
		}
	}
}

// sample interpolates between the four nearest pixels in float32 and in
// TensorFlow's order of operations.
func (p Preprocess) sample(dst []float32, src *rows, across, down axis) {
	channels, step := p.plan()
	columns := across.between()
	above, below := make([]uint8, src.width*src.channels), make([]uint8, src.width*src.channels)
	for y, row := range down.between() {
		src.read(above, row.low)
		src.read(below, row.high)
		for _, c := range channels {
			to := c.offset + ((down.at+y)*p.Width+across.at)*step
			for _, col := range columns {
				l, r := col.low*src.channels+c.source, col.high*src.channels+c.source
				top := lerp(float32(above[l]), float32(above[r]), col.part)
				bottom := lerp(float32(below[l]), float32(below[r]), col.part)
				dst[to] = p.Value(c.index, float64(lerp(top, bottom, row.part)))
				to += step
			}
		}
	}
}

func lerp(a, b, part float32) float32 { return a + float32((b-a)*part) }
