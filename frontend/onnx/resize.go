package onnx

import (
	"fmt"
	"math"
	"slices"

	"modelc/ir"
)

var resamplingOps = []operator{
	{name: "Resize", since: 10, operands: 1, most: []most{{10, 2}, {11, 4}}, becomes: "Resize", limits: "scales, sizes and region are constant", build: resize},
	{name: "Upsample", operands: 1, most: []most{{9, 2}}, becomes: "Resize", limits: "scales are constant", build: upsample},
	{name: "GridSample", since: 16, operands: 2, becomes: "GridSample", limits: "x and grid are floats", build: gridSample},
}

var (
	resizeModes  = map[string]ir.ResizeMode{"nearest": ir.ResizeNearest, "linear": ir.ResizeLinear, "bilinear": ir.ResizeLinear, "cubic": ir.ResizeCubic, "bicubic": ir.ResizeCubic}
	coordModes   = map[string]ir.CoordMode{"half_pixel": ir.HalfPixel, "half_pixel_symmetric": ir.HalfPixelSymmetric, "pytorch_half_pixel": ir.PytorchHalfPixel, "align_corners": ir.AlignCorners, "asymmetric": ir.Asymmetric, "tf_half_pixel_for_nn": ir.TfHalfPixelForNN, "tf_crop_and_resize": ir.TfCropAndResize}
	gridBorders  = map[string]ir.SampleBorder{"zeros": ir.SampleZeros, "border": ir.SampleEdge, "reflection": ir.SampleReflection}
	nearestModes = map[string]ir.NearestMode{"round_prefer_floor": ir.RoundPreferFloor, "round_prefer_ceil": ir.RoundPreferCeil, "floor": ir.RoundFloor, "ceil": ir.RoundCeil}
)

// upsample imports Upsample. The corners of pixels are aligned at 0.
func upsample(n *node) []*ir.Value {
	op := n.resizeOp(ir.Asymmetric, ir.RoundFloor)
	if n.version < 7 { // one attribute for each of two axes
		if n.in[0].Type.Rank() != 4 {
			n.failf("x is %s, want [N,C,H,W]", n.in[0].Type)
		}
		for i, name := range []string{"height_scale", "width_scale"} {
			scale := n.float(name, 0)
			op.Shape[2+i], op.Scales[2+i] = n.extent(math.Floor(float64(op.Shape[2+i])*scale)), scale
		}
		return n.one(op, n.in[0])
	}
	n.scale(&op, 1)
	return n.one(op, n.in[0])
}

func resize(n *node) []*ir.Value {
	if n.version == 10 {
		return resize10(n)
	}
	coordName, nearestName := n.str("coordinate_transformation_mode", "half_pixel"), n.str("nearest_mode", "round_prefer_floor")
	coord, ok := coordModes[coordName]
	if !ok {
		n.failf("coordinate_transformation_mode %q", coordName)
	}
	near, ok := nearestModes[nearestName]
	if !ok {
		n.failf("nearest_mode %q", nearestName)
	}
	op := n.resizeOp(coord, near)
	x := n.in[0]
	if coord == ir.TfCropAndResize {
		n.region(&op)
	}
	if !n.scale(&op, 2) && !n.size(&op, 3) {
		n.failf("neither scales nor sizes are given")
	}
	// The IR's Resize has zeros outside the region. Other values are computed from
	// it.
	if e := n.float("extrapolation_value", 0); coord == ir.TfCropAndResize && e != 0 {
		by := n.number(x.Type.DType, e)
		return n.one(ir.Binary{Fn: ir.Add}, n.emit(op, n.binary(ir.Sub, x, by)), by)
	}
	return n.one(op, x)
}

// resize10 imports Resize of opset 10. Like runtimes of this opset, it rounds
// coordinates for nearest down along axes that grow and up along axes that shrink.
func resize10(n *node) []*ir.Value {
	op := n.resizeOp(ir.Asymmetric, ir.RoundFloor)
	n.scale(&op, 1)
	x := n.in[0]
	if op.Mode != ir.ResizeNearest || slices.Min(op.Scales) >= 1 {
		return n.one(op, x)
	}
	shrink := op
	shrink.Nearest, shrink.Shape, shrink.Scales = ir.RoundCeil, slices.Clone(x.Type.Shape), repeatFloat(1, len(op.Scales))
	op.Scales = slices.Clone(op.Scales)
	for i, s := range op.Scales {
		if s < 1 {
			shrink.Shape[i], shrink.Scales[i], op.Scales[i] = op.Shape[i], s, 1
		}
	}
	y := n.emit(shrink, x)
	if y.Type.Shape.Equal(op.Shape) {
		return []*ir.Value{y}
	}
	return n.one(op, y)
}

// resizeOp reads the attributes that all forms have. The result has the extents of x.
func (n *node) resizeOp(coord ir.CoordMode, near ir.NearestMode) ir.Resize {
	x := n.in[0]
	mode, ok := resizeModes[n.str("mode", "nearest")]
	if !ok {
		n.failf("mode %q", n.str("mode", ""))
	}
	if x.Type.Rank() == 0 {
		n.failf("x is a scalar")
	}
	return ir.Resize{Mode: mode, Coord: coord, Nearest: near, CubicA: n.float("cubic_coeff_a", -0.75),
		ExcludeOutside: n.flag("exclude_outside", false), Antialias: n.flag("antialias", false),
		Shape: slices.Clone(x.Type.Shape), Scales: repeatFloat(1, x.Type.Rank())}
}

func repeatFloat(x float64, n int) []float64 {
	s := make([]float64, n)
	for i := range s {
		s[i] = x
	}
	return s
}

// resized returns the axes to which scales, sizes and region refer.
func (n *node) resized() []int {
	r := n.in[0].Type.Rank()
	list := n.ints("axes")
	if list == nil {
		return upTo(0, r)
	}
	for i, a := range list {
		list[i] = n.axis(a, r)
	}
	return list
}

// region reads the region of x for cropping: starts, then ends.
func (n *node) region(op *ir.Resize) {
	axes, r := n.resized(), len(op.Shape)
	t := n.constant(1, "roi")
	if t == nil || t.Shape.Len() != 2*len(axes) {
		n.failf("roi must have start and end for each of the axes %v", axes)
	}
	op.Region = append(repeatFloat(0, r), repeatFloat(1, r)...)
	for k, v := range t.Float64s() {
		op.Region[k/len(axes)*r+axes[k%len(axes)]] = v
	}
}

// scale sets the result's extents from scales, which are an attribute or operand i.
func (n *node) scale(op *ir.Resize, i int) bool {
	var scales []float64
	if a := n.attr("scales"); a != nil {
		for _, f := range a.floats {
			scales = append(scales, float64(f))
		}
	} else if t := n.constant(i, "scales"); t != nil {
		scales = t.Float64s()
	}
	if len(scales) == 0 {
		return false
	}
	axes := n.resized()
	if len(scales) != len(axes) {
		n.failf("scales %v for axes %v", scales, axes)
	}
	for k, a := range axes {
		if !(scales[k] > 0) || scales[k] > ir.MaxExtent {
			n.failf("scales %v", scales)
		}
		// Multiply in float32 like exporters, so that 10·0.7 is 7. The specification also
		// multiplies by the extent of the region. No implementation does, nor does its own
		// inference of shapes.
		in := op.Shape[a]
		op.Shape[a], op.Scales[a] = n.extent(math.Floor(float64(float32(in)*float32(scales[k])))), scales[k]
		if op.Coord == ir.AlignCorners && op.Mode != ir.ResizeNearest {
			n.warnCorners(in, op.Shape[a], scales[k], a)
		}
	}
	return true
}

// warnCorners adds a note if the corners of an axis depend on the reading of the
// specification. By its text, and in PyTorch and ONNX Runtime, the length of the result
// determines the coordinates, so that the corners meet. By its tests, which shrink an axis, it
// is the length before it is rounded down.
func (n *node) warnCorners(in, out int, scale float64, axis int) {
	length := float64(in) * scale
	if out < 2 || length <= 1 {
		return
	}
	last := float64(in - 1)
	const tolerance = 1e-4 // a fraction of a pixel
	if moved := last - last*float64(out-1)/(length-1); moved > tolerance {
		text := "the corners meet, as in PyTorch and ONNX Runtime; in ONNX's reference implementation the last pixel moves by %.3g"
		if scale < 1 {
			text = "the last pixel moves by %.3g, as in ONNX's tests; in PyTorch and ONNX Runtime the corners meet, which sizes instead of scales give"
		}
		n.im.notes = append(n.im.notes, fmt.Sprintf("%s %q: align_corners with the scale %g along axis %d: "+text, n.p.opType, n.label(), scale, axis, moved))
	}
}

// extent converts an extent that was computed in floating point.
func (n *node) extent(x float64) int {
	if !(x >= 0 && x <= ir.MaxExtent) {
		n.failf("a result of %g elements", x)
	}
	return int(x)
}

// size sets the result's extents from the sizes in operand i and
// keep_aspect_ratio_policy.
func (n *node) size(op *ir.Resize, i int) bool {
	sizes, ok := n.list(i, "sizes")
	if !ok || len(sizes) == 0 {
		return false
	}
	axes := n.resized()
	if len(sizes) != len(axes) {
		n.failf("sizes %v for axes %v", sizes, axes)
	}
	for k, a := range axes {
		if a == 0 {
			sizes[k] = n.im.rebatch(n.in[0], sizes[k])
		}
	}
	policy := n.str("keep_aspect_ratio_policy", "stretch")
	if policy != "stretch" && policy != "not_larger" && policy != "not_smaller" {
		n.failf("keep_aspect_ratio_policy %q", policy)
	}
	common := 0.0
	for k, a := range axes {
		s := float64(sizes[k]) / float64(op.Shape[a])
		if k == 0 || policy == "not_larger" && s < common || policy == "not_smaller" && s > common {
			common = s
		}
	}
	for k, a := range axes {
		in := float64(op.Shape[a])
		op.Shape[a], op.Scales[a] = sizes[k], float64(sizes[k])/in
		if policy != "stretch" {
			op.Shape[a], op.Scales[a] = n.extent(math.Floor(common*in+0.5)), common
		}
	}
	return true
}

func gridSample(n *node) []*ir.Value {
	x := n.in[0]
	mode, ok := resizeModes[n.str("mode", "bilinear")]
	if !ok {
		n.failf("mode %q", n.str("mode", ""))
	}
	border, ok := gridBorders[n.str("padding_mode", "zeros")]
	if !ok {
		n.failf("padding_mode %q", n.str("padding_mode", ""))
	}
	if !x.Type.DType.IsFloat() {
		n.refuse("x is "+x.Type.String(), "only floats are supported")
	}
	return n.one(ir.GridSample{Mode: mode, Border: border, AlignCorners: n.flag("align_corners", false)}, x, n.cast(n.in[1], x.Type.DType))
}
