package examples

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"

	"modelc/ir"
)

// sketch is an unfinished random graph: a small network of the ops that passes rewrite. It
// has shared weights, values with several readers, outputs in the middle, odd extents, all
// kinds of padding, and both layouts.
type sketch struct {
	*rand.Rand
	g      *ir.Graph
	live   []*ir.Value // float32 [N,C,H,W]
	shared map[string]*ir.Value
	large  int // see RandomFrom; 0 for no limit
}

// layer appends nodes that read x and returns their result, or nil if x does not fit.
type layer func(s *sketch, x *ir.Value) (*ir.Value, error)

// layers lists the layers from which Random draws, the first ones more often.
var layers = []struct {
	often int
	layer layer
}{
	{3, convolution}, {2, batchNorm}, {2, activation}, {2, residual}, {2, arithmetic},
	{1, groupedConvolution}, {1, transposedConvolution}, {1, sum}, {1, product}, {1, concat}, {1, pool}, {1, pad}, {1, padded},
	{1, channelsLast}, {1, squeezeExcite}, {1, shuffle}, {1, resize}, {1, slice}, {1, clipped}, {1, prelu}, {1, normalisation}, {2, quantised}, {3, dequantised},
	{1, recurrent}, {1, scatter},
}

// Random returns a small random network of the ops that passes rewrite. It depends only on
// seed. It satisfies ir.Verify, or Random fails.
func Random(seed uint64) (*ir.Graph, error) {
	s := sketch{Rand: rand.New(rand.NewPCG(seed, 11)), g: ir.NewGraph(fmt.Sprint("random ", seed))}
	return s.draw()
}

// RandomFrom is Random with decisions from r. A value with more elements than large, or
// more channels than large/64, is the last one of the graph.
func RandomFrom(r *rand.Rand, large int) (*ir.Graph, error) {
	s := sketch{Rand: r, g: ir.NewGraph("random"), large: large}
	return s.draw()
}

// draw draws all of the graph.
func (s *sketch) draw() (*ir.Graph, error) {
	s.shared = map[string]*ir.Value{}
	n, h, w := 1+s.IntN(2), 3+s.IntN(8), 3+s.IntN(8)
	if s.IntN(3) == 0 {
		x := s.g.AddInput("x", ir.T(ir.Float32, n, h, w, 1+s.IntN(5)))
		v, err := s.g.Emit("first", ir.Transpose{Perm: []int{0, 3, 1, 2}}, x)
		if err != nil {
			return nil, err
		}
		s.live = append(s.live, v)
	} else {
		s.live = append(s.live, s.g.AddInput("x", ir.T(ir.Float32, n, 1+s.IntN(20), h, w)))
	}
	var drawn []layer
	for _, l := range layers {
		for range l.often {
			drawn = append(drawn, l.layer)
		}
	}
	for range 4 + s.IntN(10) {
		x := s.pick()
		if s.IntN(2) == 0 {
			x = s.live[len(s.live)-1] // prefer chains to values with many readers
		}
		v, err := drawn[s.IntN(len(drawn))](s, x)
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		s.live = append(s.live, v)
		if shape := v.Type.Shape; s.large > 0 && (shape.Len() > s.large || shape[1] > s.large/64) {
			break
		}
		if s.IntN(8) == 0 {
			s.g.AddOutput(fmt.Sprint("middle", len(s.g.Outputs)), v)
		}
	}
	v, err := s.head(s.live[len(s.live)-1])
	if err != nil {
		return nil, err
	}
	s.g.AddOutput("y", v)
	s.g.Prune()
	return s.g, ir.Verify(s.g)
}

// head ends half of the graphs like a classifier.
func (s *sketch) head(v *ir.Value) (*ir.Value, error) {
	if s.IntN(2) == 0 {
		return v, nil
	}
	n, k := v.Type.Shape[0], v.Type.Shape[1:].Len()
	v, err := s.g.Emit("flat", ir.Reshape{Shape: ir.Shape{n, k}}, v)
	if err != nil {
		return nil, err
	}
	if v, err = s.g.Emit("dense", ir.Dense{}, v, s.weights(1/float64(k), k, 7)); err != nil {
		return nil, err
	}
	switch s.IntN(3) {
	case 0:
		return s.normalised(v)
	case 1:
		return s.g.Emit("softmax", ir.Softmax{Axes: []int{1}}, v)
	}
	return v, nil
}

func (s *sketch) pick() *ir.Value { return s.live[s.IntN(len(s.live))] }

// weights returns a constant, which may be that of another layer.
func (s *sketch) weights(scale float64, shape ...int) *ir.Value {
	key := fmt.Sprint(shape)
	if v := s.shared[key]; v != nil && s.IntN(2) == 0 {
		return v
	}
	t := ir.Seeded(ir.T(ir.Float32, shape...), s.Uint64())
	v := t.Float64s()
	for i := range v {
		v[i] *= scale
	}
	s.shared[key] = s.g.AddConst("w", ir.FromFloat64s(t.Type, v))
	return s.shared[key]
}

func (s *sketch) positive(n int) *ir.Value {
	v := make([]float64, n)
	for i := range v {
		v[i] = 0.3 + s.Float64()
	}
	return s.g.AddConst("p", ir.FromFloat64s(ir.T(ir.Float32, n), v))
}

func (s *sketch) act() ir.Act {
	acts := []ir.Act{{Fn: ir.Relu}, {Fn: ir.Tanh}, {Fn: ir.LeakyRelu, Alpha: 0.125}, {Fn: ir.Clip, Alpha: -1, Beta: 1}, {Fn: ir.Sigmoid},
		{Fn: ir.HardSwish}, {Fn: ir.SiLU, Alpha: 1}, {Fn: ir.Gelu}, {Fn: ir.Elu, Alpha: 1}}
	return acts[s.IntN(len(acts))]
}

// pads returns paddings of 0 or 1 that leave room for a kernel of k×k.
func (s *sketch) pads(x ir.Shape, k int) []int {
	if x[2] < k || x[3] < k {
		return []int{1, 1, 1, 1}
	}
	return []int{s.IntN(2), s.IntN(2), s.IntN(2), s.IntN(2)}
}

func convolution(s *sketch, x *ir.Value) (*ir.Value, error) {
	in := x.Type.Shape
	c, k := in[1], 1+2*s.IntN(2)
	m, groups := 1+s.IntN(20), 1
	if s.IntN(4) == 0 {
		m, groups = c, c
	}
	if in[2]+2 < k || in[3]+2 < k {
		return nil, nil
	}
	op := ir.Conv{Strides: []int{1 + s.IntN(2), 1 + s.IntN(2)}, Pads: s.pads(in, k), Dilations: []int{1, 1}, Groups: groups}
	operands := []*ir.Value{x, s.weights(1/float64(c*k), m, c/groups, k, k)}
	if s.IntN(2) == 0 {
		operands = append(operands, s.weights(1, m))
	}
	return s.g.Emit("conv", op, operands...)
}

// groupedConvolution has two groups or a dilation that may be wider than the image.
func groupedConvolution(s *sketch, x *ir.Value) (*ir.Value, error) {
	in := x.Type.Shape
	c, groups, d := in[1], 1, 1+s.IntN(2)
	if c%2 == 0 {
		groups = 2
	}
	bottom := s.IntN(d + 1)
	if s.IntN(4) == 0 {
		d = max(1, max(in[2], in[3])-s.IntN(2))
		bottom = d
	}
	if in[2]+bottom < d+1 || in[3] == 0 {
		return nil, nil
	}
	op := ir.Conv{Strides: []int{1, 1}, Pads: []int{d, d, bottom, d}, Dilations: []int{d, d}, Groups: groups}
	m := groups * (1 + s.IntN(20))
	return s.g.Emit("conv", op, x, s.weights(1/float64(3*c), m, c/groups, 3, 3), s.weights(1, m))
}

func transposedConvolution(s *sketch, x *ir.Value) (*ir.Value, error) {
	in := x.Type.Shape
	c, m, k, st := in[1], 1+s.IntN(8), 2+s.IntN(3), 1+s.IntN(2)
	if in[2] > 24 || in[3] > 24 || in[2] == 0 || in[3] == 0 {
		return nil, nil
	}
	op := ir.ConvTranspose{Strides: []int{st, st}, Pads: []int{s.IntN(2), s.IntN(2), s.IntN(2), s.IntN(2)}, Dilations: []int{1, 1}, OutputPads: []int{s.IntN(st), 0}, Groups: 1}
	return s.g.Emit("deconv", op, x, s.weights(1/float64(c*k), c, m, k, k), s.weights(1, m))
}

func (s *sketch) normalised(x *ir.Value) (*ir.Value, error) {
	c := x.Type.Shape[1]
	return s.g.Emit("bn", ir.BatchNorm{Epsilon: 1e-5}, x, s.weights(1, c), s.weights(1, c), s.weights(1, c), s.positive(c))
}

func batchNorm(s *sketch, x *ir.Value) (*ir.Value, error) { return s.normalised(x) }

func activation(s *sketch, x *ir.Value) (*ir.Value, error) {
	return s.g.Emit("act", ir.Unary{Fn: s.act()}, x)
}

// clipped writes ReLU6 and SiLU as two nodes.
func clipped(s *sketch, x *ir.Value) (*ir.Value, error) {
	if s.IntN(2) == 0 {
		v, err := s.g.Emit("gate", ir.Unary{Fn: ir.Act{Fn: ir.Sigmoid}}, x)
		if err != nil {
			return nil, err
		}
		return s.g.Emit("silu", ir.Binary{Fn: ir.Mul}, x, v)
	}
	v, err := s.g.Emit("max", ir.Unary{Fn: ir.Act{Fn: ir.Relu}}, x)
	if err != nil {
		return nil, err
	}
	return s.g.Emit("min", ir.Binary{Fn: ir.Min}, v, s.positive(1))
}

func prelu(s *sketch, x *ir.Value) (*ir.Value, error) {
	return s.g.Emit("prelu", ir.PRelu{}, x, s.weights(1, x.Type.Shape[1], 1, 1))
}

// arithmetic applies an operation with one constant per channel.
func arithmetic(s *sketch, x *ir.Value) (*ir.Value, error) {
	fn, k := ir.BinaryFn(s.IntN(3)), s.weights(1, x.Type.Shape[1], 1, 1)
	if s.IntN(2) == 0 {
		x, k = k, x
	}
	return s.g.Emit("scale", ir.Binary{Fn: fn}, x, k)
}

func sum(s *sketch, x *ir.Value) (*ir.Value, error) { return s.combine(ir.Add, x) }

func product(s *sketch, x *ir.Value) (*ir.Value, error) {
	return s.combine([]ir.BinaryFn{ir.Mul, ir.Max, ir.Sub}[s.IntN(3)], x)
}

func (s *sketch) combine(fn ir.BinaryFn, x *ir.Value) (*ir.Value, error) {
	y := s.pick()
	if !y.Type.Equal(x.Type) {
		return nil, nil
	}
	return s.g.Emit("combine", ir.Binary{Fn: fn}, x, y)
}

func concat(s *sketch, x *ir.Value) (*ir.Value, error) {
	y := s.pick()
	if in, other := x.Type.Shape, y.Type.Shape; other[2] != in[2] || other[3] != in[3] {
		return nil, nil
	}
	return s.g.Emit("concat", ir.Concat{Axis: 1}, x, y)
}

func pool(s *sketch, x *ir.Value) (*ir.Value, error) {
	in := x.Type.Shape
	if in[2] < 2 || in[3] < 2 {
		return nil, nil
	}
	return s.g.Emit("pool", ir.Pool{Kind: ir.PoolKind(s.IntN(2)), Kernel: []int{2, 2}, Strides: []int{1 + s.IntN(2), 1 + s.IntN(2)},
		Pads: []int{s.IntN(2), s.IntN(2), s.IntN(2), s.IntN(2)}, Dilations: []int{1, 1}, CountPad: s.IntN(2) == 0}, x)
}

func pad(s *sketch, x *ir.Value) (*ir.Value, error) {
	in := x.Type.Shape
	if in[2] < 3 || in[3] < 3 {
		return nil, nil
	}
	return s.g.Emit("pad", ir.Pad{Mode: ir.PadMode(s.IntN(5)), Pads: []int{0, 0, s.IntN(3) - 1, s.IntN(2), 0, 0, s.IntN(2), s.IntN(3) - 1}}, x)
}

// recurrent is a recurrent layer over the rows of the image. Its units are channels of the
// result.
func recurrent(s *sketch, x *ir.Value) (*ir.Value, error) {
	in := x.Type.Shape
	n, steps, features := in[0], in[2], in[1]*in[3]
	if features == 0 || features > 400 || steps == 0 || steps > 20 {
		return nil, nil
	}
	v, err := s.g.Emit("rows", ir.Transpose{Perm: []int{2, 0, 1, 3}}, x)
	if err != nil {
		return nil, err
	}
	if v, err = s.g.Emit("rows", ir.Reshape{Shape: ir.Shape{steps, n, features}}, v); err != nil {
		return nil, err
	}
	op := ir.Recurrent{Cell: ir.Cell(s.IntN(3)), Direction: ir.Direction(s.IntN(3)), F: ir.Act{Fn: ir.Sigmoid}}
	if op.Cell != ir.CellRNN {
		op.G = ir.Act{Fn: ir.Tanh}
	}
	if s.IntN(3) == 0 {
		op.Clip = 0.5
	}
	dirs, units := op.Directions(), 1+s.IntN(20)
	rows := op.Cell.Gates() * units
	operands := []*ir.Value{v, s.weights(1/float64(features), dirs, rows, features), s.weights(1/float64(units), dirs, rows, units), nil}
	if s.IntN(2) == 0 {
		operands[ir.RecurrentBias] = s.weights(1, dirs, 2*rows)
	}
	if s.IntN(2) == 0 {
		operands = append(operands, s.weights(1, dirs, n, units))
	}
	switch op.Cell {
	case ir.CellGRU:
		op.LinearBeforeReset = s.IntN(2) == 0
	case ir.CellLSTM:
		op.H, op.InputForget = ir.Act{Fn: ir.Tanh}, s.IntN(4) == 0
	}
	if s.IntN(4) == 0 {
		for range n {
			op.Lengths = append(op.Lengths, s.IntN(steps+1))
		}
	}
	node, err := s.g.Append("recurrent", op, operands...)
	if err != nil {
		return nil, err
	}
	if v, err = s.g.Emit("units", ir.Transpose{Perm: []int{1, 2, 3, 0}}, node.Out[0]); err != nil {
		return nil, err
	}
	return s.g.Emit("image", ir.Reshape{Shape: ir.Shape{n, dirs * units, steps, 1}}, v)
}

// scatter combines rows of the image with constants.
func scatter(s *sketch, x *ir.Value) (*ir.Value, error) {
	in := x.Type.Shape
	rows, width := in[:3].Len(), in[3]
	if rows == 0 {
		return nil, nil
	}
	v, err := s.g.Emit("rows", ir.Reshape{Shape: ir.Shape{rows, width}}, x)
	if err != nil {
		return nil, err
	}
	at := make([]int64, 1+s.IntN(4))
	for i := range at {
		at[i] = int64(s.IntN(2*rows) - rows)
	}
	idx := s.g.AddConst("rows", ir.TensorOf(ir.Shape{len(at)}, at...))
	if v, err = s.g.Emit("scatter", ir.Scatter{Reduction: ir.Reduction(s.IntN(5))}, v, idx, s.weights(1, len(at), width)); err != nil {
		return nil, err
	}
	return s.g.Emit("image", ir.Reshape{Shape: in}, v)
}

// padded is a Pad and the pool or convolution that it belongs to, as exporters write them.
func padded(s *sketch, x *ir.Value) (*ir.Value, error) {
	in := x.Type.Shape
	if in[2]+2 < 3 || in[3]+1 < 3 {
		return nil, nil
	}
	v, err := s.g.Emit("pad", ir.Pad{Pads: []int{0, 0, 1, 0, 0, 0, 1, 1}}, x)
	if err != nil {
		return nil, err
	}
	if s.IntN(2) == 0 {
		return s.g.Emit("pool", ir.Pool{Kind: ir.PoolKind(s.IntN(2)), Kernel: []int{3, 3}, Strides: []int{1, 2}, Pads: []int{0, 0, 0, 0}, Dilations: []int{1, 1}}, v)
	}
	return s.g.Emit("conv", ir.Conv{Strides: []int{2, 1}, Pads: []int{0, 0, 0, 0}, Dilations: []int{1, 1}, Groups: 1}, v, s.weights(0.3/float64(in[1]), 6, in[1], 3, 3))
}

// channelsLast is an element-wise op between transpositions.
func channelsLast(s *sketch, x *ir.Value) (*ir.Value, error) {
	v, err := s.g.Emit("t", ir.Transpose{Perm: []int{0, 2, 3, 1}}, x)
	if err != nil {
		return nil, err
	}
	if v, err = s.g.Emit("act", ir.Unary{Fn: s.act()}, v); err != nil {
		return nil, err
	}
	if s.IntN(3) == 0 {
		if v, err = s.g.Emit("concat", ir.Concat{Axis: 3}, v, v); err != nil {
			return nil, err
		}
	}
	return s.g.Emit("t", ir.Transpose{Perm: []int{0, 3, 1, 2}}, v)
}

// residual is a residual block. Other nodes may read its convolution too.
func residual(s *sketch, x *ir.Value) (*ir.Value, error) {
	in := x.Type.Shape
	if in[2] == 0 || in[3] == 0 {
		return nil, nil
	}
	c := in[1]
	v, err := s.g.Emit("conv", ir.Conv{Strides: []int{1, 1}, Pads: []int{1, 1, 1, 1}, Dilations: []int{1, 1}, Groups: 1}, x, s.weights(0.3/float64(c), c, c, 3, 3))
	if err != nil {
		return nil, err
	}
	if s.IntN(3) == 0 {
		s.live = append(s.live, v)
	}
	if s.IntN(2) == 0 {
		x, v = v, x
	}
	return s.g.Emit("sum", ir.Binary{Fn: ir.Add}, x, v)
}

// squeezeExcite scales channels by a function of their means.
func squeezeExcite(s *sketch, x *ir.Value) (*ir.Value, error) {
	c := x.Type.Shape[1]
	v, err := s.g.Emit("mean", ir.Reduce{Fn: ir.ReduceMean, Axes: []int{2, 3}, KeepDims: true}, x)
	if err != nil {
		return nil, err
	}
	if v, err = s.g.Emit("squeeze", ir.Conv{Strides: []int{1, 1}, Pads: []int{0, 0, 0, 0}, Dilations: []int{1, 1}, Groups: 1}, v, s.weights(1/float64(c), c, c, 1, 1)); err != nil {
		return nil, err
	}
	gate := s.act()
	if gate.Fn == ir.Gelu { // below -3 it has few digits, so that a product with it has too
		gate.Fn = ir.Sigmoid
	}
	if v, err = s.g.Emit("gate", ir.Unary{Fn: gate}, v); err != nil {
		return nil, err
	}
	return s.g.Emit("excite", ir.Binary{Fn: ir.Mul}, x, v)
}

// shuffle interleaves two groups of channels.
func shuffle(s *sketch, x *ir.Value) (*ir.Value, error) {
	in := x.Type.Shape
	if in[1]%2 != 0 {
		return nil, nil
	}
	v, err := s.g.Emit("groups", ir.Reshape{Shape: ir.Shape{in[0], 2, in[1] / 2, in[2], in[3]}}, x)
	if err != nil {
		return nil, err
	}
	if v, err = s.g.Emit("t", ir.Transpose{Perm: []int{0, 2, 1, 3, 4}}, v); err != nil {
		return nil, err
	}
	return s.g.Emit("shuffle", ir.Reshape{Shape: in}, v)
}

func resize(s *sketch, x *ir.Value) (*ir.Value, error) {
	in := x.Type.Shape
	if in[2] > 12 || in[3] > 12 {
		return nil, nil
	}
	coord := []ir.CoordMode{ir.HalfPixel, ir.Asymmetric, ir.AlignCorners}[s.IntN(3)]
	return s.g.Emit("resize", ir.Resize{Mode: ir.ResizeMode(s.IntN(2)), Coord: coord, Nearest: ir.RoundFloor,
		Shape: ir.Shape{in[0], in[1], 2 * in[2], 2 * in[3]}, Scales: []float64{1, 1, 2, 2}}, x)
}

// slice removes channels, rows or columns.
func slice(s *sketch, x *ir.Value) (*ir.Value, error) {
	in := x.Type.Shape
	axis := 1 + s.IntN(3)
	if in[axis] < 3 {
		return nil, nil
	}
	op := ir.Slice{Start: []int{0, 0, 0, 0}, Count: append([]int(nil), in...), Step: []int{1, 1, 1, 1}}
	op.Start[axis] = s.IntN(2)
	op.Count[axis] -= op.Start[axis] + s.IntN(2)
	return s.g.Emit("slice", op, x)
}

func normalisation(s *sketch, x *ir.Value) (*ir.Value, error) {
	c := x.Type.Shape[1]
	switch s.IntN(3) {
	case 0:
		return s.g.Emit("lrn", ir.LRN{Size: 3, Alpha: 0.1, Beta: 0.75, Bias: 1}, x)
	case 1:
		return s.g.Emit("softmax", ir.Softmax{Axes: []int{1}}, x)
	}
	return s.g.Emit("norm", ir.Normalize{Axes: []int{2, 3}, Epsilon: 1e-3}, x, s.weights(1, c, 1, 1), s.weights(1, c, 1, 1))
}

// quantised is a chain of ops on integers between quantisation and dequantisation. It reads
// the input of the graph, because no pass may change what is quantised by an error of
// rounding: it would become a step.
func quantised(s *sketch, _ *ir.Value) (*ir.Value, error) {
	to := []ir.DType{ir.Uint8, ir.Int8}[s.IntN(2)]
	lo, hi := to.Range()
	point := func() int { return lo + s.IntN(hi-lo+1) }
	zero := point()
	scale := func(x float64) *ir.Value {
		return s.g.AddConst("s", ir.FromFloat64s(ir.T(ir.Float32), []float64{x}))
	}
	number := func(x int) *ir.Value { return s.g.AddConst("z", ir.FromFloat64s(ir.T(to), []float64{float64(x)})) }
	v, err := s.g.Emit("quantize", ir.Quantize{To: to}, s.live[0], scale(0.03), number(zero))
	for range 1 + s.IntN(4) {
		if err != nil {
			return nil, err
		}
		in := v.Type.Shape
		window := []int{min(3, in[2]), min(3, in[3])}
		switch s.IntN(6) {
		case 0:
			// A Pad may be part of the next convolution.
			value := []int{0, zero}[s.IntN(2)]
			if value < lo {
				value = lo
			}
			v, err = s.g.Emit("pad", ir.Pad{Pads: []int{0, 0, 1, 0, 0, 0, 1, 1}, Value: float64(value)}, v)
		case 1:
			next := point()
			op := ir.QBinary{Fn: []ir.BinaryFn{ir.Add, ir.Mul}[s.IntN(2)], To: to, AScale: 0.0625, BScale: 0.5, AZero: zero, BZero: zero, YZero: next, Lo: lo, Hi: hi}
			v, err = s.g.Emit("qbinary", op, v, v)
			zero = next
		case 2:
			next := point()
			v, err = s.g.Emit("qpool", ir.QAveragePool{To: to, Kernel: window, Strides: []int{1, 2}, Pads: []int{1, 0, 0, 1}, Dilations: []int{1, 1},
				CountPad: s.IntN(2) == 0, XScale: 0.5, YScale: 0.25, XZero: zero, YZero: next}, v)
			zero = next
		case 3:
			v, err = s.g.Emit("lookup", ir.Lookup{}, v, s.g.AddConst("table", ir.Seeded(ir.T(to, 256), s.Uint64())))
		case 4:
			v, err = s.g.Emit("pool", ir.Pool{Kind: ir.MaxPool, Kernel: window, Strides: []int{1, 1}, Pads: []int{0, 1, 1, 0}, Dilations: []int{1, 1}}, v)
		default:
			next := point()
			op := ir.Conv{Strides: []int{1, 1}, Pads: []int{0, 1, 1, 0}, Dilations: []int{1, 1}, Groups: 1,
				Integer: ir.Integer{To: to, XZero: zero, YZero: next, Lo: lo, Hi: hi}}
			if s.IntN(3) > 0 {
				v, err = s.g.Emit("qconv", op, v, s.integers(1+s.IntN(5), in[1], window[0], window[1]), nil, nil, nil, nil, scale(0.01))
				zero = next
				break
			}
			// A residual block.
			op.Pads = []int{0, 0, 0, 0}
			x := v
			if v, err = s.g.Emit("qconv", op, v, s.integers(in[1], in[1], 1, 1), nil, nil, nil, nil, scale(0.01)); err != nil {
				break
			}
			sum := ir.QBinary{Fn: ir.Add, To: to, AScale: 0.75, BScale: 0.3125, AZero: next, BZero: zero, YZero: point(), Lo: lo, Hi: hi}
			if s.IntN(2) == 0 {
				x, v = v, x
				sum.AZero, sum.BZero = zero, next
			}
			v, err = s.g.Emit("qsum", sum, v, x)
			zero = sum.YZero
		}
	}
	if err != nil {
		return nil, err
	}
	if s.IntN(2) == 0 {
		return s.g.Emit("dequantize", ir.Dequantize{}, v, scale(0.02), number(zero))
	}
	in := v.Type.Shape
	op := ir.Conv{Strides: []int{1, 1}, Pads: []int{0, 0, 0, 0}, Dilations: []int{1, 1}, Groups: 1, Integer: ir.Integer{To: ir.Float32, XZero: zero}}
	return s.g.Emit("qconv", op, v, s.integers(in[1], in[1], 1, 1), s.weights(1, in[1]), nil, nil, nil, scale(0.01))
}

// integers returns weights of 8 bits.
func (s *sketch) integers(shape ...int) *ir.Value {
	return s.g.AddConst("w", ir.Seeded(ir.T(ir.Int8, shape...), s.Uint64()))
}

// dequantised is a chain of layers on floats between dequantisation and quantisation, as in
// quantised models. Scales are powers of two and other numbers have few bits, so that sums of
// floats are exact, and ties are rounded in the same way. It reads the input of the graph, see
// quantised.
func dequantised(s *sketch, _ *ir.Value) (*ir.Value, error) {
	q := &quantiser{sketch: s}
	v, err := s.live[0], error(nil)
	v, err = q.requantise(v, err)
	layers := 1 + s.IntN(5)
	for i := range layers {
		if err != nil {
			return nil, err
		}
		v, err = q.layer(v)
		exact := true
		if err == nil && i < layers-1 {
			_, conv := v.Def().Op.(ir.Conv)
			exact = !conv // a second convolution of the sums has more bits than a float
		}
		if s.IntN(4) == 0 && err == nil {
			fn := s.act()
			switch fn.Fn {
			case ir.HardSwish, ir.SiLU, ir.Gelu: // almost the argument, which may be at a tie
				fn = ir.Act{Fn: ir.Elu, Alpha: 1}
				exact = false
			case ir.Relu, ir.LeakyRelu, ir.Clip:
			default: // saturates at whole numbers, whose sums would be at ties
				exact = false
			}
			v, err = s.g.Emit("act", ir.Unary{Fn: fn}, v)
		}
		if s.IntN(6) > 0 || !exact {
			v, err = q.requantise(v, err)
		}
	}
	return v, err
}

// quantiser makes the layers of dequantised.
type quantiser struct {
	*sketch
	known []*ir.Value // dequantised values
}

// number returns a constant.
func (q *quantiser) number(d ir.DType, x float64) *ir.Value {
	return q.g.AddConst("n", ir.FromFloat64s(ir.T(d), []float64{x}))
}

// requantise quantises and dequantises v.
func (q *quantiser) requantise(v *ir.Value, err error) (*ir.Value, error) {
	if err != nil {
		return nil, err
	}
	to := []ir.DType{ir.Uint8, ir.Int8}[q.IntN(2)]
	lo, hi := to.Range()
	scale := []float64{0.125, 0.25, 0.0625}[q.IntN(3)]
	zero := q.number(to, float64([]int{0, lo, hi, (lo + hi) / 2, lo + 7}[q.IntN(5)]))
	i, err := q.g.Emit("q", ir.Quantize{To: to}, v, q.number(ir.Float32, scale), zero)
	if err != nil {
		return nil, err
	}
	if q.IntN(12) == 0 {
		q.g.AddOutput(fmt.Sprint("integers", len(q.g.Outputs)), i)
	}
	v, err = q.g.Emit("dq", ir.Dequantize{}, i, q.number(ir.Float32, scale), zero)
	q.known = append(q.known, v)
	return v, err
}

func (q *quantiser) layer(v *ir.Value) (*ir.Value, error) {
	in := v.Type.Shape
	other := q.known[q.IntN(len(q.known))]
	window := []int{min(2, in[2]), min(2, in[3])}
	switch q.IntN(8) {
	case 0:
		if other.Type.Equal(v.Type) {
			return q.g.Emit("combine", ir.Binary{Fn: []ir.BinaryFn{ir.Add, ir.Mul}[q.IntN(2)]}, v, other)
		}
		fallthrough
	case 1:
		if o := other.Type.Shape; o[2] == in[2] && o[3] == in[3] {
			return q.g.Emit("concat", ir.Concat{Axis: 1}, v, other)
		}
		fallthrough
	case 2:
		// Each window has an element of the image.
		return q.g.Emit("pool", ir.Pool{Kind: ir.PoolKind(q.IntN(2)), Kernel: window, Strides: []int{1, 2}, Pads: []int{window[0] - 1, 0, 0, window[1] - 1}, Dilations: []int{1, 1}, CountPad: q.IntN(2) == 0}, v)
	case 3:
		return q.g.Emit("pad", ir.Pad{Pads: []int{0, 0, 1, 0, 0, 0, 1, 1}, Value: []float64{0, 0.25, 0.28125}[q.IntN(3)]}, v)
	case 4:
		fn := []ir.ReduceFn{ir.ReduceMean, ir.ReduceMax}[q.IntN(2)]
		if fn == ir.ReduceMean {
			// The mean of a power of two is exact. Others on integers may differ by a step.
			count := slices.Clone(in)
			for i := 2; i < 4; i++ {
				count[i] = 1 << (bits.Len(uint(in[i])) - 1)
			}
			if !slices.Equal(count, in) {
				var err error
				if v, err = q.g.Emit("crop", ir.Slice{Start: make([]int, 4), Count: count, Step: []int{1, 1, 1, 1}}, v); err != nil {
					return nil, err
				}
			}
		}
		return q.g.Emit("mean", ir.Reduce{Fn: fn, Axes: []int{2, 3}, KeepDims: true}, v)
	}
	return q.convolution(v, window)
}

// convolution has quantised weights with one scale or one per filter, and perhaps a bias.
func (q *quantiser) convolution(v *ir.Value, window []int) (*ir.Value, error) {
	in := v.Type.Shape
	m := 1 + q.IntN(6)
	shape := ir.Shape{m, in[1], window[0], window[1]}
	to := []ir.DType{ir.Int8, ir.Uint8}[q.IntN(2)]
	scales := ir.T(ir.Float32)
	if q.IntN(2) == 0 {
		scales = ir.T(ir.Float32, m, 1, 1, 1)
	}
	scale := make([]float64, scales.Shape.Len())
	for i := range scale {
		scale[i] = []float64{0.0625, 0.125}[q.IntN(2)]
	}
	zero := ir.FromFloat64s(ir.T(to), []float64{float64([]int{0, 1}[q.IntN(2)])})
	w, err := q.g.Emit("w", ir.Dequantize{}, q.g.AddConst("w", ir.Seeded(ir.Type{DType: to, Shape: shape}, q.Uint64())),
		q.g.AddConst("s", ir.FromFloat64s(scales, scale)), q.g.AddConst("z", zero))
	if err != nil {
		return nil, err
	}
	operands := []*ir.Value{v, w}
	if d := v.Def(); q.IntN(2) == 0 {
		var bias *ir.Value
		if _, ok := d.Op.(ir.Dequantize); ok && q.IntN(3) > 0 {
			by := d.Const(ir.QuantizeScale).Float64s()[0]
			if q.IntN(6) == 0 {
				by *= 1.5 // not the scale of the sums
			}
			unit := make([]float64, m)
			for i := range unit {
				unit[i] = by * scale[i%len(scale)]
			}
			bias, err = q.g.Emit("b", ir.Dequantize{}, q.g.AddConst("b", ir.Seeded(ir.T(ir.Int32, m), q.Uint64())), q.g.AddConst("s", ir.FromFloat64s(ir.T(ir.Float32, m), unit)))
		} else {
			bias = q.g.AddConst("b", ir.FromFloat64s(ir.T(ir.Float32, m), slices.Repeat([]float64{[]float64{0.75, 0.10009765625}[q.IntN(2)]}, m)))
		}
		if err != nil {
			return nil, err
		}
		operands = append(operands, bias)
	}
	v, err = q.g.Emit("conv", ir.Conv{Strides: []int{1, 1}, Pads: []int{1, 0, 0, 1}, Dilations: []int{1, 1}, Groups: 1}, operands...)
	if err == nil && q.IntN(8) == 0 {
		q.live = append(q.live, v)
	}
	return v, err
}
