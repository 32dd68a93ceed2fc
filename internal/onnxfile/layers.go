package onnxfile

import (
	"fmt"
	"slices"
	"strings"

	"modelc/ir"
)

// noNegative returns an error if pads crop.
func noNegative(pads []int) error {
	if slices.ContainsFunc(pads, func(p int) bool { return p < 0 }) {
		return fmt.Errorf("ONNX has no negative pads %v in this operator", pads)
	}
	return nil
}

func (w *writer) conv(op ir.Conv) error {
	if !op.Integer.IsZero() || w.n.Input(ir.ConvResidual) != nil {
		return errNoOperator
	}
	if err := noNegative(op.Pads); err != nil {
		return err
	}
	w.last("Conv", w.operands(), Ints("kernel_shape", w.n.In[ir.Weights].Type.Shape[2:]...), Ints("strides", op.Strides...),
		Ints("pads", op.Pads...), Ints("dilations", op.Dilations...), Int("group", op.Groups))
	return nil
}

func (w *writer) convTranspose(op ir.ConvTranspose) error {
	if err := noNegative(op.Pads); err != nil {
		return err
	}
	w.last("ConvTranspose", w.operands(), Ints("kernel_shape", w.n.In[ir.Weights].Type.Shape[2:]...), Ints("strides", op.Strides...),
		Ints("pads", op.Pads...), Ints("dilations", op.Dilations...), Ints("output_padding", op.OutputPads...), Int("group", op.Groups))
	return nil
}

// pool writes Extra as ceil_mode, which must mean the same.
func (w *writer) pool(op ir.Pool) error {
	if err := noNegative(op.Pads); err != nil {
		return err
	}
	in := w.n.In[0].Type.Shape[2:]
	r := len(in)
	ceil := slices.ContainsFunc(op.Extra, func(e int) bool { return e > 0 })
	for i := range in {
		room := in[i] + op.Pads[i] + op.Pads[r+i] - (op.Kernel[i]-1)*op.Dilations[i] - 1
		n := room/op.Strides[i] + 1
		if rest := room % op.Strides[i]; ceil && rest > 0 && n*op.Strides[i] < in[i]+op.Pads[i] {
			n++
		}
		if got := w.n.Out[0].Type.Shape[2+i]; got != n {
			return fmt.Errorf("ONNX cannot express the padding %v and %v of this pool", op.Pads, op.Extra)
		}
	}
	attrs := []Attribute{Ints("kernel_shape", op.Kernel...), Ints("strides", op.Strides...), Ints("pads", op.Pads...), Int("ceil_mode", truth(ceil))}
	if slices.Max(op.Dilations) > 1 { // ONNX Runtime refuses dilations of quantised average pools
		attrs = append(attrs, Ints("dilations", op.Dilations...))
	}
	out := []string{w.out(0)}
	switch op.Kind {
	case ir.MaxPool:
		if op.Indices {
			out = append(out, w.out(1))
			attrs = append(attrs, Int("storage_order", truth(op.ColMajor)))
		}
		w.add("MaxPool", w.operands(), out, attrs...)
	case ir.AvgPool:
		w.add("AveragePool", w.operands(), out, append(attrs, Int("count_include_pad", truth(op.CountPad)))...)
	case ir.LpPool:
		w.add("LpPool", w.operands(), out, append(attrs, Int("p", op.P))...)
	}
	return nil
}

// affine writes a batch normalisation with mean 0 and variance 1, which is exact.
func (w *writer) affine() {
	c := w.n.In[ir.AffineScale].Type
	one := make([]float64, c.Shape.Len())
	mean := w.constant("mean", ir.NewTensor(c))
	for i := range one {
		one[i] = 1
	}
	w.last("BatchNormalization", append(w.operands(), mean, w.constant("var", ir.FromFloat64s(c, one))), Float("epsilon", 0))
}

// normalize writes the formula, because the normalisations of ONNX fix the axes.
func (w *writer) normalize(op ir.Normalize) {
	x, d := w.in(0), w.n.In[0].Type.DType
	axes := w.ints("axes", op.Axes...)
	centred := w.step("Sub", []string{x, w.step("ReduceMean", []string{x, axes})})
	variance := w.step("ReduceMean", []string{w.step("Mul", []string{centred, centred}), axes})
	deviation := w.step("Sqrt", []string{w.step("Add", []string{variance, w.number("epsilon", d, op.Epsilon)})})
	last, y := "Div", []string{centred, deviation}
	for _, k := range []struct {
		op string
		in string
	}{{"Mul", w.in(ir.NormalizeScale)}, {"Add", w.in(ir.NormalizeBias)}} {
		if k.in != "" {
			last, y = k.op, []string{w.step(last, y), k.in}
		}
	}
	w.last(last, y)
}

// softmax writes a Softmax over one axis. Several adjacent axes become one before it.
func (w *writer) softmax(op ir.Softmax) error {
	name := "Softmax"
	if op.Log {
		name = "LogSoftmax"
	}
	s := w.n.In[0].Type.Shape
	axes := slices.DeleteFunc(slices.Clone(op.Axes), func(a int) bool { return s[a] == 1 })
	switch {
	case len(axes) == 0 && len(op.Axes) > 0:
		axes = op.Axes[:1]
	case len(axes) == 0:
		return errNoOperator
	}
	first, end := axes[0], axes[len(axes)-1]+1
	if len(axes) == 1 {
		w.last(name, w.operands(), Int("axis", first))
		return nil
	}
	for a := first; a < end; a++ {
		if s[a] != 1 && !slices.Contains(axes, a) {
			return fmt.Errorf("ONNX has no %s over the axes %v", name, op.Axes)
		}
	}
	joined := w.step("Reshape", []string{w.in(0), w.ints("joined", s[:first].Len(), s[first:end].Len(), s[end:].Len())})
	w.last("Reshape", []string{w.step(name, []string{joined}, Int("axis", 1)), w.ints("shape", s...)})
	return nil
}

// cellFunctions has the names of the functions of recurrent operators, with the numbers of
// their parameters.
var cellFunctions = map[ir.Fn]struct {
	name   string
	params int
}{
	ir.Relu: {"Relu", 0}, ir.Tanh: {"Tanh", 0}, ir.Sigmoid: {"Sigmoid", 0}, ir.Softsign: {"Softsign", 0}, ir.Softplus: {"Softplus", 0},
	ir.LeakyRelu: {"LeakyRelu", 1}, ir.ThresholdedRelu: {"ThresholdedRelu", 1}, ir.Elu: {"Elu", 1},
	ir.HardSigmoid: {"HardSigmoid", 2}, ir.Linear: {"Affine", 2}, ir.ScaledTanh: {"ScaledTanh", 2},
}

// recurrent writes a recurrent layer, whose y has the axes of directions and of the batch in
// another order.
func (w *writer) recurrent(op ir.Recurrent) error {
	var names []string
	var alpha, beta []float32
	for range op.Directions() {
		for _, a := range []ir.Act{op.F, op.G, op.H}[:1+int(op.Cell)] {
			if a.IsIdentity() {
				a = ir.Act{Fn: ir.Linear, Alpha: 1}
			}
			f, ok := cellFunctions[a.Fn]
			if !ok {
				return fmt.Errorf("ONNX has no recurrent layer with the function %s", a)
			}
			names = append(names, f.name)
			if f.params > 0 {
				alpha = append(alpha, float32(a.Alpha))
			}
			if f.params > 1 {
				beta = append(beta, float32(a.Beta))
			}
		}
	}
	attrs := []Attribute{Int("hidden_size", w.n.In[ir.RecurrentR].Type.Shape[2]), String("direction", op.Direction.String()), Strings("activations", names...)}
	if alpha != nil {
		attrs = append(attrs, Floats("activation_alpha", alpha...))
	}
	if beta != nil {
		attrs = append(attrs, Floats("activation_beta", beta...))
	}
	if op.Clip > 0 {
		attrs = append(attrs, Float("clip", float32(op.Clip)))
	}
	lengths := ""
	if op.Lengths != nil {
		v := make([]int32, len(op.Lengths))
		for i, l := range op.Lengths {
			v[i] = int32(l)
		}
		lengths = w.constant("lengths", ir.TensorOf(ir.Shape{len(v)}, v...))
	}
	in := []string{w.in(0), w.in(ir.RecurrentW), w.in(ir.RecurrentR), w.in(ir.RecurrentBias), lengths, w.in(ir.RecurrentH)}
	y := w.unique(w.out(0) + ".directions")
	out := []string{y, w.out(1)}
	switch op.Cell {
	case ir.CellGRU:
		attrs = append(attrs, Int("linear_before_reset", truth(op.LinearBeforeReset)))
	case ir.CellLSTM:
		attrs = append(attrs, Int("input_forget", truth(op.InputForget)))
		in = append(in, w.in(ir.RecurrentC), w.in(ir.RecurrentPeepholes))
		out = append(out, w.out(2))
	}
	w.add(strings.ToUpper(op.Cell.String()), in, out, attrs...)
	w.last("Transpose", []string{y}, Ints("perm", 0, 2, 1, 3))
	return nil
}
