package keras

import (
	"math"
	"slices"

	"modelc/ir"
)

// The operators of tf.image on batches [N,H,W,C].
var _ = register(nsTF, "image", builders{
	"compat.v1.image.resize_bilinear":         func(c *call) *ir.Value { return c.resize1("bilinear") },
	"compat.v1.image.resize_nearest_neighbor": func(c *call) *ir.Value { return c.resize1("nearest") },
	"compat.v1.image.resize_images":           resizeImages1,
	"compat.v1.image.resize":                  resizeImages1,
	"image.resize_with_pad":                   resizeWithPad,
	"image.resize_with_crop_or_pad": func(c *call) *ir.Value {
		x := c.picture()
		height, width := c.target()
		ch, cw := min(x.Type.Shape[1], height), min(x.Type.Shape[2], width)
		x = c.crop(x, (x.Type.Shape[1]-ch)/2, (x.Type.Shape[2]-cw)/2, ch, cw)
		return c.border4(x, (height-ch)/2, (width-cw)/2, height, width)
	},
	"image.crop_to_bounding_box": func(c *call) *ir.Value {
		height, width := c.target()
		return c.crop(c.picture(), c.whole(0, 1, "offset_height"), c.whole(0, 2, "offset_width"), height, width)
	},
	"image.pad_to_bounding_box": func(c *call) *ir.Value {
		height, width := c.target()
		return c.border4(c.picture(), c.whole(0, 1, "offset_height"), c.whole(0, 2, "offset_width"), height, width)
	},
	"image.central_crop": func(c *call) *ir.Value {
		x := c.picture()
		fraction := c.optional(1, 1, "central_fraction")
		if !(fraction > 0 && fraction <= 1) {
			c.failf("central_fraction is %v", fraction)
		}
		begin := func(n int) int { return int((float64(n) - float64(n)*fraction) / 2) }
		top, left := begin(x.Type.Shape[1]), begin(x.Type.Shape[2])
		return c.crop(x, top, left, x.Type.Shape[1]-2*top, x.Type.Shape[2]-2*left)
	},
	"image.flip_left_right": func(c *call) *ir.Value { return c.flip(c.picture(), 2) },
	"image.flip_up_down":    func(c *call) *ir.Value { return c.flip(c.picture(), 1) },
	"image.transpose":       func(c *call) *ir.Value { return c.transpose(c.picture(), []int{0, 2, 1, 3}) },
	"image.rot90": func(c *call) *ir.Value { // counter-clockwise
		x := c.picture()
		for range (c.whole(1, 1, "k")%4 + 4) % 4 {
			x = c.transpose(c.flip(x, 2), []int{0, 2, 1, 3})
		}
		return x
	},
	"image.rgb_to_grayscale": func(c *call) *ir.Value {
		x := c.picture()
		if !x.Type.DType.IsFloat() || x.Type.Shape[3] != 3 {
			c.failf("its input is %s, want three channels of floating-point numbers", x.Type)
		}
		weights := c.im.g.AddConst(c.name+"/const", ir.FromFloat64s(ir.T(x.Type.DType, 3, 1), []float64{0.2989, 0.587, 0.114}))
		return c.emit(ir.MatMul{}, x, weights)
	},
	"image.grayscale_to_rgb": func(c *call) *ir.Value { return c.repeated(c.picture(), 3, 3, true) },
	"image.per_image_standardization": func(c *call) *ir.Value {
		x := c.cast(c.picture(), ir.Float32)
		mean := func(v *ir.Value) *ir.Value {
			return c.emit(ir.Reduce{Fn: ir.ReduceMean, Axes: []int{1, 2, 3}, KeepDims: true}, v)
		}
		d := c.binary(ir.Sub, x, mean(x))
		deviation := c.unary(ir.Act{Fn: ir.Sqrt}, mean(c.binary(ir.Mul, d, d)))
		least := 1 / math.Sqrt(float64(max(elements(x.Type.Shape[1:]), 1)))
		return c.binary(ir.Div, d, c.binary(ir.Max, deviation, c.scalar(least, x.Type.DType)))
	},
	"image.adjust_brightness": func(c *call) *ir.Value {
		x := c.float32Picture()
		return c.binary(ir.Add, x, c.scalar(c.optional(0, 1, "delta"), x.Type.DType))
	},
	"image.adjust_contrast": func(c *call) *ir.Value {
		x := c.float32Picture()
		mean := c.emit(ir.Reduce{Fn: ir.ReduceMean, Axes: []int{1, 2}, KeepDims: true}, x)
		factor := c.scalar(c.optional(1, 1, "contrast_factor"), x.Type.DType)
		return c.binary(ir.Add, c.binary(ir.Mul, c.binary(ir.Sub, x, mean), factor), mean)
	},
	"image.convert_image_dtype": func(c *call) *ir.Value {
		x := c.tensor0()
		to, _, err := parseDType(c.arg(1, "dtype"))
		switch from := x.Type.DType; {
		case err != nil || !to.IsFloat():
			c.failf("conversion to %.60v is not supported", c.arg(1, "dtype"))
		case from == ir.Uint8:
			return c.binary(ir.Mul, c.cast(x, to), c.scalar(1.0/255, to))
		case !from.IsFloat():
			c.failf("conversion from %s is not supported", from)
		}
		return c.cast(x, to)
	},
})

// picture returns the first argument, which must be a batch of images.
func (c *call) picture() *ir.Value {
	x := c.tensor0()
	if x.Type.Rank() != 4 {
		c.failf("its input has %d axes, want [N,H,W,C]", x.Type.Rank())
	}
	return x
}

func (c *call) float32Picture() *ir.Value {
	x := c.picture()
	if !x.Type.DType.IsFloat() {
		c.failf("its input is %s, want floating-point numbers", x.Type)
	}
	return x
}

// target returns the parameters target_height and target_width.
func (c *call) target() (height, width int) {
	height, width = c.whole(0, -1, "target_height"), c.whole(0, -1, "target_width")
	return c.legal("height", int64(height)), c.legal("width", int64(width))
}

func (c *call) crop(x *ir.Value, top, left, height, width int) *ir.Value {
	s := x.Type.Shape
	if top < 0 || left < 0 || height < 1 || width < 1 || int64(top)+int64(height) > int64(s[1]) || int64(left)+int64(width) > int64(s[2]) {
		c.failf("it crops %d×%d pixels at %d, %d of %d×%d", height, width, top, left, s[1], s[2])
	}
	return c.slice(c.slice(x, 1, top, height), 2, left, width)
}

// border4 places an image into zeros of the given extents.
func (c *call) border4(x *ir.Value, top, left, height, width int) *ir.Value {
	s := x.Type.Shape
	bottom, right := int64(height)-int64(top)-int64(s[1]), int64(width)-int64(left)-int64(s[2])
	pads := []int{0, c.legal("pads", int64(top)), c.legal("pads", int64(left)), 0, 0, c.legal("pads", bottom), c.legal("pads", right), 0}
	return c.emit(ir.Pad{Pads: pads}, x)
}

// resizeWithPad resizes an image, keeping its aspect ratio, and pads it with zeros.
func resizeWithPad(c *call) *ir.Value {
	x := c.picture()
	height, width := c.target()
	h, w := float32(x.Type.Shape[1]), float32(x.Type.Shape[2])
	if h == 0 || w == 0 || height < 1 || width < 1 {
		c.failf("it resizes %s to %d×%d", x.Type.Shape, height, width)
	}
	ratio := max(w/float32(width), h/float32(height))
	part := func(n float32) int { return max(int(math.Floor(float64(n/ratio))), 1) }
	rows, columns := part(h), part(w)
	begin := func(target int, n float32) int {
		return max(int(math.Floor(float64((float32(target)-n/ratio)/2))), 0)
	}
	x = c.resize(c.floats(), c.method(2), c.arg(-1, "antialias") == true, rows, columns)
	return c.border4(x, begin(height, h), begin(width, w), height, width)
}

// method returns the name of an interpolation. Version 1 numbers them.
func (c *call) method(at int) string {
	v := c.arg(at, "method")
	if n, ok := integer(v); ok && n >= 0 && n < 4 {
		return []string{"bilinear", "nearest", "bicubic", "area"}[n]
	}
	if name := text(v); name != "" || v != nil {
		return name
	}
	return "bilinear"
}

// resizeImages1 resizes images as TensorFlow 1 does.
func resizeImages1(c *call) *ir.Value {
	if c.arg(-1, "preserve_aspect_ratio") == true {
		c.failf("preserve_aspect_ratio is not supported")
	}
	return c.resize1(c.method(2))
}

// resize1 resizes images as TensorFlow 1 does: unless the call says otherwise, the
// corners at the top and left have coordinate 0.
func (c *call) resize1(mode string) *ir.Value {
	x, size := c.picture(), c.size(1, "size")
	op := ir.Resize{Coord: ir.Asymmetric, Shape: slices.Clone(x.Type.Shape), Scales: []float64{1, 1, 1, 1}}
	switch mode {
	case "bilinear":
		x = c.floats()
		op.Mode = ir.ResizeLinear
	case "nearest":
		op.Mode, op.Nearest = ir.ResizeNearest, ir.RoundFloor
	default:
		c.failf("method %q is not supported", mode)
	}
	switch centers, corners := c.arg(-1, "half_pixel_centers") == true, c.arg(-1, "align_corners") == true; {
	case centers && mode == "nearest":
		op.Coord = ir.TfHalfPixelForNN
	case centers:
		op.Coord = ir.HalfPixel
	case corners:
		op.Coord, op.Nearest = ir.AlignCorners, ir.RoundPreferCeil
	}
	for i, n := range size {
		if x.Type.Shape[1+i] == 0 {
			c.failf("it resizes an empty image")
		}
		op.Shape[1+i], op.Scales[1+i] = n, float64(n)/float64(x.Type.Shape[1+i])
	}
	if op.Shape.Equal(x.Type.Shape) {
		return x
	}
	return c.emit(op, x)
}
