package onnx

import (
	"fmt"
	"math"

	"modelc/ir"
)

var _ = register("reduction", map[string]operator{
	"ReduceMean": {build: reduce(ir.ReduceMean)}, "ReduceSum": {build: reduce(ir.ReduceSum)}, "ReduceMax": {build: reduce(ir.ReduceMax)},
	"ReduceMin": {build: reduce(ir.ReduceMin)}, "ReduceProd": {build: reduce(ir.ReduceProd)}, "ReduceL1": {build: reduce(ir.ReduceL1)},
	"ReduceL2": {build: reduce(ir.ReduceL2)}, "ReduceSumSquare": {build: reduce(ir.ReduceSumSquare)},
	"ReduceLogSum": {build: reduce(ir.ReduceLogSum)}, "ReduceLogSumExp": {build: reduce(ir.ReduceLogSumExp)},
	"ArgMax": {build: arg(false)}, "ArgMin": {build: arg(true)},
})

func reduce(fn ir.ReduceFn) func(n *node) ([]*ir.Value, error) {
	return func(n *node) ([]*ir.Value, error) {
		x, err := n.need(0)
		if err != nil {
			return nil, err
		}
		list, ok, err := n.listArg("axes", 1)
		if err != nil {
			return nil, err
		}
		if !ok || len(list) == 0 {
			if n.int("noop_with_empty_axes", 0) == 1 {
				return []*ir.Value{x}, nil
			}
			list = nil
			for i := range x.Type.Rank() {
				list = append(list, i)
			}
		}
		if list, err = axes(list, x.Type.Rank()); err != nil {
			return nil, err
		}
		return n.one(ir.Reduce{Fn: fn, Axes: list, KeepDims: n.int("keepdims", 1) == 1}, x)
	}
}

func arg(min bool) func(n *node) ([]*ir.Value, error) {
	return func(n *node) ([]*ir.Value, error) {
		x, err := n.need(0)
		if err != nil {
			return nil, err
		}
		a, err := axis(n.int("axis", 0), x.Type.Rank())
		if err != nil {
			return nil, err
		}
		return n.one(ir.ArgReduce{Axis: a, Min: min, Last: n.int("select_last_index", 0) == 1, KeepDims: n.int("keepdims", 1) == 1}, x)
	}
}

var _ = register("resampling", map[string]operator{
	"Resize":   {since: 10, build: resize},
	"Upsample": {since: 7, build: upsample},
})

var (
	resizeModes  = map[string]ir.ResizeMode{"nearest": ir.ResizeNearest, "linear": ir.ResizeLinear, "bilinear": ir.ResizeLinear, "cubic": ir.ResizeCubic}
	coordModes   = map[string]ir.CoordMode{"half_pixel": ir.HalfPixel, "half_pixel_symmetric": ir.HalfPixelSymmetric, "pytorch_half_pixel": ir.PytorchHalfPixel, "align_corners": ir.AlignCorners, "asymmetric": ir.Asymmetric, "tf_half_pixel_for_nn": ir.TfHalfPixelForNN}
	nearestModes = map[string]ir.NearestMode{"round_prefer_floor": ir.RoundPreferFloor, "round_prefer_ceil": ir.RoundPreferCeil, "floor": ir.RoundFloor, "ceil": ir.RoundCeil}
)

// upsample scales with the corners of pixels aligned at 0.
func upsample(n *node) ([]*ir.Value, error) {
	return n.resize(1, -1, ir.Asymmetric, ir.RoundFloor)
}

func resize(n *node) ([]*ir.Value, error) {
	if n.version < 11 {
		return n.resize(1, -1, ir.Asymmetric, ir.RoundFloor)
	}
	coord, ok := coordModes[n.str("coordinate_transformation_mode", "half_pixel")]
	if !ok {
		return nil, refusal{"coordinate_transformation_mode " + n.str("coordinate_transformation_mode", ""), "crops are not supported; use Slice before Resize"}
	}
	near, ok := nearestModes[n.str("nearest_mode", "round_prefer_floor")]
	if !ok {
		return nil, fmt.Errorf("nearest_mode %q", n.str("nearest_mode", ""))
	}
	return n.resize(2, 3, coord, near)
}

// resize reads the scales or the sizes from the operands at those positions.
func (n *node) resize(scalesAt, sizesAt int, coord ir.CoordMode, near ir.NearestMode) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	r := x.Type.Rank()
	mode, ok := resizeModes[n.str("mode", "nearest")]
	if !ok {
		return nil, fmt.Errorf("mode %q", n.str("mode", ""))
	}
	op := ir.Resize{Mode: mode, Coord: coord, Nearest: near, CubicA: n.float("cubic_coeff_a", -0.75),
		ExcludeOutside: n.int("exclude_outside", 0) == 1, Antialias: n.int("antialias", 0) == 1, Shape: append(ir.Shape{}, x.Type.Shape...)}
	for range r {
		op.Scales = append(op.Scales, 1)
	}
	which := make([]int, r)
	for i := range which {
		which[i] = i
	}
	if a := n.ints("axes"); a != nil {
		which = nil
		for _, i := range a {
			if i, err = axis(i, r); err != nil {
				return nil, err
			}
			which = append(which, i)
		}
	}
	var scales []float64
	if a := n.attr("scales"); a != nil {
		for _, f := range a.floats {
			scales = append(scales, float64(f))
		}
	} else {
		t, err := n.constant(scalesAt, "scales")
		if err != nil {
			return nil, err
		}
		if t != nil {
			scales = t.Float64s()
		}
	}
	if len(scales) > 0 {
		if len(scales) != len(which) {
			return nil, fmt.Errorf("scales %v for axes %v", scales, which)
		}
		for k, i := range which {
			op.Scales[i] = scales[k]
			op.Shape[i] = int(math.Floor(float64(x.Type.Shape[i]) * scales[k]))
		}
		return n.one(op, x)
	}
	sizes, err := n.argInts(sizesAt, "sizes")
	if err != nil {
		return nil, err
	}
	if len(sizes) != len(which) {
		return nil, fmt.Errorf("neither scales nor sizes for axes %v", which)
	}
	n.fit(&op, x.Type.Shape, which, sizes)
	return n.one(op, x)
}

// fit sets the result's extents from sizes under keep_aspect_ratio_policy.
func (n *node) fit(op *ir.Resize, in ir.Shape, which, sizes []int) {
	policy := n.str("keep_aspect_ratio_policy", "stretch")
	common := 0.0
	for k, i := range which {
		s := float64(sizes[k]) / float64(in[i])
		if k == 0 || policy == "not_larger" && s < common || policy == "not_smaller" && s > common {
			common = s
		}
	}
	for k, i := range which {
		op.Shape[i], op.Scales[i] = sizes[k], float64(sizes[k])/float64(in[i])
		if policy != "stretch" {
			op.Shape[i] = int(math.Floor(common*float64(in[i]) + 0.5))
			op.Scales[i] = common
		}
	}
}
