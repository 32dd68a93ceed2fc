// Package vision turns pictures into the inputs of networks and scores into
// answers: decode, resize, crop, normalise; the best classes and their names.
//
//	p, err := vision.Preset("caffe", 224, 224)
//	img, err := vision.Open("cat.jpg")
//	err = p.Apply(in.Data, img)
//	…
//	for _, c := range vision.Top(out.Data, 5, names) { fmt.Println(c) }
//
// Results are those of the Python libraries that networks are trained with,
// so that an answer does not change with the language: resizing repeats
// Pillow's arithmetic to the bit, or TensorFlow's.
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

// String is the name of the constant.
func (l Layout) String() string { return [...]string{"NCHW", "NHWC"}[min(l, NHWC)] }

// Fit is how a picture of any shape becomes one of the network's shape.
type Fit uint8

const (
	// Stretch scales width and height separately, as Keras' load_img does.
	Stretch Fit = iota
	// Crop scales until the short side is Preprocess.ShortSide and cuts the
	// centre out, as torchvision's Resize and CenterCrop do.
	Crop
	// Letterbox scales until the picture just fits in and leaves bars of
	// Preprocess.Bars on two sides, as detectors of the YOLO family want.
	Letterbox
)

// String is the name of the constant.
func (f Fit) String() string { return [...]string{"Stretch", "Crop", "Letterbox"}[min(f, Letterbox)] }

// Preprocess says how a picture becomes a tensor.
//
// Levels go from 0 to 255 in a picture. A tensor's element is
//
//	(level·Scale − Mean[c]) / Std[c]
//
// where c counts the tensor's channels, after BGR has exchanged them.
type Preprocess struct {
	Width, Height int // of the tensor
	Channels      int // 3, or 1 for grey; 0 means 3
	Layout        Layout
	Fit           Fit
	ShortSide     int   // for Crop, in pixels; 0 means the longer of Width and Height
	Bars          uint8 // for Letterbox, the level of the bars; YOLO's is 114
	Filter        Filter
	BGR           bool    // blue first
	Scale         float64 // 0 means 1
	Mean          [3]float64
	Std           [3]float64 // each 0 means 1
}

// Len is the number of elements that Apply writes: channels × Height × Width.
func (p Preprocess) Len() int { return p.channels() * p.Height * p.Width }

func (p Preprocess) channels() int {
	if p.Channels == 0 {
		return 3
	}
	return p.Channels
}

// Apply writes img into dst, whose length must be p.Len(). For a batch, pass
// the part of the tensor that belongs to one image.
//
// Transparency is ignored: the colour below counts, as in Pillow's
// convert("RGB"). Grey is Pillow's convert("L"). Apply allocates a few
// buffers, in size about the tensor's width times the picture's height.
func (p Preprocess) Apply(dst []float32, img image.Image) error {
	if err := p.Check(); err != nil {
		return err
	}
	if img == nil {
		return errors.New("vision: no image")
	}
	if len(dst) != p.Len() {
		return fmt.Errorf("vision: the tensor has %d elements, an image fills %d×%d×%d = %d", len(dst), p.channels(), p.Height, p.Width, p.Len())
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

// Check says why p cannot make a tensor of any picture.
func (p Preprocess) Check() error {
	switch {
	case p.Width <= 0 || p.Height <= 0:
		return fmt.Errorf("vision: Preprocess wants %d×%d pixels; set Width and Height", p.Width, p.Height)
	case p.channels() != 1 && p.channels() != 3:
		return fmt.Errorf("vision: Preprocess wants %d channels; pictures have 3, or 1 for grey", p.Channels)
	case p.BGR && p.channels() == 1:
		return errors.New("vision: the tensor is grey, with 1 channel; BGR (mode caffe) needs 3")
	case p.ShortSide < 0:
		return fmt.Errorf("vision: Preprocess.ShortSide is %d", p.ShortSide)
	case int(p.Filter) >= len(filters):
		return fmt.Errorf("vision: Preprocess.Filter is %d; there are %s", uint8(p.Filter), FilterNames())
	}
	return nil
}

// axes returns which part of which scale of a picture the tensor shows, and
// where in it.
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
		return axis{}, axis{}, fmt.Errorf("vision: a picture of %d×%d with short side %d has %d×%d pixels, fewer than the %d×%d to cut out; set a larger ShortSide",
			size.X, size.Y, short, w, h, p.Width, p.Height)
	}
	return axis{in: size.X, out: w, first: centre(w - p.Width), n: p.Width}, axis{in: size.Y, out: h, first: centre(h - p.Height), n: p.Height}, nil
}

// Value returns what a level becomes in the tensor's channel c.
func (p Preprocess) Value(c int, level float64) float32 {
	scale, std := p.factors(c)
	return float32((float64(level*scale) - p.Mean[c]) / std)
}

// factors returns Scale and Std[c] with their defaults.
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

// channel is where the elements of one channel of the tensor go.
type channel struct {
	index  int // in the tensor
	source int // in the picture
	offset int // of its first element in the tensor
}

// plan returns the tensor's channels and the distance between neighbours.
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

// fill makes the whole tensor a picture of level Bars.
func (p Preprocess) fill(dst []float32) {
	channels, step := p.plan()
	for _, c := range channels {
		v := p.Value(c.index, float64(p.Bars))
		for i := range p.Width * p.Height {
			dst[c.offset+i*step] = v
		}
	}
}

// normalise writes a picture to the part of the tensor that begins at column
// x and row y.
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

// sample interpolates between the four nearest pixels as TensorFlow does,
// in float32 and in its order of operations.
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
