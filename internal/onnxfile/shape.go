package onnxfile

import (
	"errors"
	"fmt"
	"slices"

	"modelc/ir"
)

var reductions = map[ir.ReduceFn]string{
	ir.ReduceMean: "ReduceMean", ir.ReduceSum: "ReduceSum", ir.ReduceMax: "ReduceMax", ir.ReduceMin: "ReduceMin", ir.ReduceProd: "ReduceProd",
	ir.ReduceL1: "ReduceL1", ir.ReduceL2: "ReduceL2", ir.ReduceSumSquare: "ReduceSumSquare", ir.ReduceLogSum: "ReduceLogSum", ir.ReduceLogSumExp: "ReduceLogSumExp",
}

// reduce writes means and maxima of images as global pools, which runtimes optimise.
func (w *writer) reduce(op ir.Reduce) error {
	x := w.n.In[0].Type
	if x.Rank() > 2 && x.DType.IsFloat() && op.KeepDims && slices.Equal(op.Axes, ir.SpatialAxes(x.Rank())) {
		if name, ok := map[ir.ReduceFn]string{ir.ReduceMean: "GlobalAveragePool", ir.ReduceMax: "GlobalMaxPool"}[op.Fn]; ok {
			w.last(name, w.operands())
			return nil
		}
	}
	if len(op.Axes) == 0 {
		return fmt.Errorf("ONNX has no %s over no axes", reductions[op.Fn])
	}
	w.last(reductions[op.Fn], []string{w.in(0), w.ints("axes", op.Axes...)}, Int("keepdims", truth(op.KeepDims)))
	return nil
}

func (w *writer) argReduce(op ir.ArgReduce) {
	name := "ArgMax"
	if op.Min {
		name = "ArgMin"
	}
	w.last(name, w.operands(), Int("axis", op.Axis), Int("keepdims", truth(op.KeepDims)), Int("select_last_index", truth(op.Last)))
}

func (w *writer) slice(op ir.Slice) {
	var start, end, axes, step []int
	for i, d := range w.n.In[0].Type.Shape {
		if op.Start[i] == 0 && op.Count[i] == d && op.Step[i] == 1 {
			continue
		}
		e := op.Start[i] + op.Count[i]*op.Step[i]
		if e < 0 {
			e = -d - 1 // negative ends count from the end of x
		}
		start, end, axes, step = append(start, op.Start[i]), append(end, e), append(axes, i), append(step, op.Step[i])
	}
	w.last("Slice", []string{w.in(0), w.ints("starts", start...), w.ints("ends", end...), w.ints("axes", axes...), w.ints("steps", step...)})
}

func (w *writer) pad(op ir.Pad) error {
	in := []string{w.in(0), w.ints("pads", op.Pads...)}
	switch op.Mode {
	case ir.PadSymmetric:
		return errors.New("ONNX has no Pad in mode symmetric")
	case ir.PadConstant:
		in = append(in, w.number("value", w.n.In[0].Type.DType, op.Value))
	}
	w.last("Pad", in, String("mode", op.Mode.String()))
	return nil
}

func (w *writer) resize(op ir.Resize) error {
	if op.Coord == ir.TfBicubic {
		return errors.New("ONNX has no bicubic interpolation with TensorFlow's table of weights")
	}
	x := w.n.In[0].Type.Shape
	in := []string{w.in(0), "", "", ""}
	if op.Region != nil {
		in[1] = w.floats("roi", op.Region)
	}
	// Sizes fix the extents. Their quotients are the scales unless the model gave others.
	exact := true
	for a, s := range op.Scales {
		exact = exact && s*float64(x[a]) == float64(op.Shape[a])
	}
	if exact {
		in[3] = w.ints("sizes", op.Shape...)
	} else {
		in[2] = w.floats("scales", op.Scales)
	}
	mode := op.Mode.String()
	w.last("Resize", in, String("mode", mode), String("coordinate_transformation_mode", op.Coord.String()), String("nearest_mode", op.Nearest.String()),
		Float("cubic_coeff_a", float32(op.CubicA)), Int("exclude_outside", truth(op.ExcludeOutside)), Int("antialias", truth(op.Antialias)))
	return nil
}

// floats adds a list of float32 as a constant.
func (w *writer) floats(what string, list []float64) string {
	return w.constant(what, ir.FromFloat64s(ir.T(ir.Float32, len(list)), list))
}

// scatter writes a scatter along the first axis as ScatterND.
func (w *writer) scatter(op ir.Scatter) {
	idx := w.n.In[ir.ScatterIndices].Type.Shape
	i64 := w.step("Cast", []string{w.in(ir.ScatterIndices)}, Int("to", int(elementTypes[ir.Int64])))
	at := w.step("Reshape", []string{i64, w.ints("shape", append(idx[:len(idx):len(idx)], 1)...)})
	w.last("ScatterND", []string{w.in(0), at, w.in(ir.ScatterUpdates)}, String("reduction", op.Reduction.String()))
}
