package keras

import (
	"fmt"
	"slices"

	"modelc/ir"
)

var _ = register(nsLayer, "resizing", map[string]func(*call) *ir.Value{
	"UpSampling1D": func(c *call) *ir.Value { return c.repeatPixels(c.image(1), c.tuple("size", 1, 2)) },
	"UpSampling2D": upSampling2D,
	"Resizing":     resizing,
	"CenterCrop":   centerCrop,
})

// repeatPixels repeats each element along the spatial axes.
func (c *call) repeatPixels(x *ir.Value, size []int) *ir.Value {
	op := ir.Resize{Mode: ir.ResizeNearest, Coord: ir.Asymmetric, Nearest: ir.RoundFloor}
	op.Shape, op.Scales = slices.Clone(x.Type.Shape), slices.Repeat([]float64{1}, x.Type.Rank())
	first := c.spatial()
	if c.config.get("data_format") == nil {
		first = 1
	}
	for i, k := range size {
		op.Shape[first+i] = c.extent(int64(op.Shape[first+i]) * int64(k))
		op.Scales[first+i] = float64(k)
	}
	return c.emit(op, x)
}

func upSampling2D(c *call) *ir.Value {
	x, size := c.image(2), c.tuple("size", 2, 2)
	mode := c.str("interpolation", "nearest")
	if mode == "nearest" {
		return c.repeatPixels(x, size)
	}
	at := c.spatial()
	times := func(axis, k int) int { return c.extent(int64(x.Type.Shape[axis]) * int64(k)) }
	return c.resize(x, mode, false, times(at, size[0]), times(at+1, size[1]))
}

// resize interpolates an image like tf.image.resize, with the centres of pixels
// at half coordinates.
func (c *call) resize(x *ir.Value, mode string, antialias bool, height, width int) *ir.Value {
	op := ir.Resize{Coord: ir.HalfPixel, Antialias: antialias, ExcludeOutside: antialias}
	switch mode {
	case "nearest":
		op.Mode, op.Coord, op.Nearest = ir.ResizeNearest, ir.TfHalfPixelForNN, ir.RoundFloor
		op.Antialias, op.ExcludeOutside = false, false
	case "bilinear":
		op.Mode = ir.ResizeLinear
	case "bicubic":
		// TensorFlow's kernel distributes weights outside the image over the
		// other pixels.
		op.Mode, op.CubicA, op.ExcludeOutside = ir.ResizeCubic, -0.5, true
		if !antialias {
			op.Coord = ir.TfBicubic
		}
	case "area":
		h, w := x.Type.Shape[c.spatial()], x.Type.Shape[c.spatial()+1]
		if height < 1 || width < 1 || h%height != 0 || w%width != 0 || c.firstFormat() {
			c.refuse(fmt.Sprintf("interpolation area from %d×%d to %d×%d is not supported", h, w, height, width), "use a size of which the image is a multiple")
		}
		size := []int{c.legal("kernel_size", int64(h/height)), c.legal("kernel_size", int64(w/width))}
		return c.channelsFirst(x, func(x *ir.Value) *ir.Value {
			return c.emit(ir.Pool{Kind: ir.AvgPool, Kernel: size, Strides: size, Pads: make([]int, 4), Dilations: []int{1, 1}}, x)
		})
	default:
		c.refuse("interpolation "+mode+" is not supported", "use nearest, bilinear or bicubic")
	}
	at := c.spatial()
	op.Shape, op.Scales = slices.Clone(x.Type.Shape), slices.Repeat([]float64{1}, x.Type.Rank())
	if slices.Contains(op.Shape, 0) {
		c.failf("it resizes an empty image")
	}
	for i, n := range []int{height, width} {
		op.Scales[at+i] = float64(n) / float64(op.Shape[at+i])
		op.Shape[at+i] = n
	}
	if op.Shape.Equal(x.Type.Shape) {
		return x
	}
	return c.emit(op, x)
}

func (c *call) targetSize() (height, width int) {
	return c.tuple("height", 1, 1)[0], c.tuple("width", 1, 1)[0]
}

func resizing(c *call) *ir.Value {
	x := c.image(2)
	height, width := c.targetSize()
	switch {
	case c.flag("crop_to_aspect_ratio", false):
		x = c.cropToAspect(x, height, width)
	case c.flag("pad_to_aspect_ratio", false):
		x = c.padToAspect(x, height, width)
	}
	return c.resize(x, c.str("interpolation", "bilinear"), c.flag("antialias", false), height, width)
}

// scaled returns n·k/by.
func scaled(n, k, by int) int64 { return int64(n) * int64(k) / int64(by) }

// cropToAspect crops the centre of x to the aspect ratio of the target.
func (c *call) cropToAspect(x *ir.Value, height, width int) *ir.Value {
	at := c.spatial()
	h, w := x.Type.Shape[at], x.Type.Shape[at+1]
	ch := max(int(min(int64(h), scaled(w, height, width))), 1)
	cw := max(int(min(int64(w), scaled(h, width, height))), 1)
	x = c.slice(x, at, (h-ch)/2, ch)
	return c.slice(x, at+1, (w-cw)/2, cw)
}

// padToAspect adds equal borders so that x has the aspect ratio of the target.
func (c *call) padToAspect(x *ir.Value, height, width int) *ir.Value {
	if m := c.str("fill_mode", "constant"); m != "constant" {
		c.failf("fill_mode %q", m)
	}
	at, rank := c.spatial(), x.Type.Rank()
	h, w := x.Type.Shape[at], x.Type.Shape[at+1]
	pads := make([]int, 2*rank)
	pads[at] = c.legal("pads", max(0, scaled(w, height, width)-int64(h))/2)
	pads[at+1] = c.legal("pads", max(0, scaled(h, width, height)-int64(w))/2)
	pads[rank+at], pads[rank+at+1] = pads[at], pads[at+1]
	return c.emit(ir.Pad{Pads: pads, Value: c.float("fill_value", 0)}, x)
}

// centerCrop crops the centre of an image. If the image is too small, it crops
// the centre to the target's aspect ratio and enlarges the result.
func centerCrop(c *call) *ir.Value {
	x := c.image(2)
	height, width := c.targetSize()
	at := c.spatial()
	h, w := x.Type.Shape[at], x.Type.Shape[at+1]
	if h >= height && w >= width {
		x = c.slice(x, at, (h-height)/2, height)
		return c.slice(x, at+1, (w-width)/2, width)
	}
	return c.resize(c.cropToAspect(x, height, width), "bilinear", false, height, width)
}
