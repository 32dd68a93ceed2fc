package inproc

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"modelc/backend/cpu"
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/ir/eval"
)

// Networks of quantised ops give exactly the integers of the reference interpreter, for
// any number of threads.
func TestIntegers(t *testing.T) {
	images := map[string]int{} // steps by kernel
	for seed := range uint64(150) {
		g, err := integerNetwork(seed)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		cfg := cpu.Config{}
		if seed%3 == 0 { // the cost model prefers direct convolution for few channels
			cfg.Algorithms = map[string]string{}
			for _, n := range g.Nodes {
				cfg.Algorithms[plan.NodeName(n)] = "winograd-integer"
			}
		}
		p, err := cpu.Build(g, cfg)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, l := range p.Layers {
			images[l.Kernel]++
			if l.Node != nil && l.Node.Input(ir.ConvResidual) != nil && l.Node.Op.Name() == "Conv" {
				images[l.Kernel+" with a residual"]++
			}
		}
		in := eval.Inputs(g, seed)
		want := map[*ir.Value]*ir.Tensor{}
		if _, err := eval.Trace(g, in, func(v *ir.Value, x *ir.Tensor) error { want[v] = x; return nil }); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		e, err := New(p, 1+int(seed%2))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second run uses an arena that is not zero
			if _, err := e.Trace(in, func(l plan.Layer, x *ir.Tensor) {
				tol := 0.0
				if x.DType.IsFloat() {
					tol = 1e-6
				}
				if d, err := eval.Compare(x, want[l.Value]); (err != nil || !d.Within(tol)) && !t.Failed() {
					t.Errorf("seed %d, %s (%s, %s): %v %v\n%s\n%s", seed, l.Name, l.Doc, l.Kernel, d, err, ir.Format(g), p.Format())
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		if seed%10 == 0 {
			if n := testing.AllocsPerRun(3, func() { e.Step() }); n > 0 {
				t.Errorf("seed %d: %g allocations a run", seed, n)
			}
		}
		e.Close()
		if t.Failed() {
			return
		}
	}
	for _, k := range []string{"Conv", "Depthwise", "Winograd", "ConvByTier", "Dense", "Quantize", "Dequantize", "DynamicQuantize", "Pack", "Unpack", "Lookup", "Binary", "MaxPool", "ConvPool", "AveragePool", "Conv with a residual", "Winograd with a residual"} {
		if images["integer."+k] == 0 {
			t.Errorf("no network has a kernel integer.%s: %v", k, images)
		}
	}
	for _, k := range []string{"Copy", "PadImage", "ResizeImage", "SelectChannels"} {
		if images[k] == 0 {
			t.Errorf("no network has a kernel %s: %v", k, images)
		}
	}
}

// integers builds a network of quantised ops.
type integers struct {
	*rand.Rand
	g    *ir.Graph
	live []*ir.Value
}

func integerNetwork(seed uint64) (*ir.Graph, error) {
	s := &integers{rand.New(rand.NewPCG(seed, 17)), ir.NewGraph(fmt.Sprint("integers ", seed)), nil}
	n, h, w := 1+s.IntN(2), 3+s.IntN(18), 3+s.IntN(18)
	c := 1 + s.IntN(20)
	if s.IntN(2) == 0 {
		c = 1 + s.IntN(4)
	}
	var x *ir.Value
	var err error
	kind := s.IntN(5)
	switch kind {
	case 0:
		x = s.g.AddInput("x", ir.T(s.byteType(), n, c, h, w))
	case 1:
		x = s.g.AddInput("x", ir.T(ir.Float32, n, h, w, c))
		if x, err = s.g.Emit("t", ir.Transpose{Perm: []int{0, 3, 1, 2}}, x); err != nil {
			return nil, err
		}
	default:
		x = s.g.AddInput("x", ir.T(ir.Float32, n, c, h, w))
	}
	if kind > 0 {
		if x, err = s.quantize(x); err != nil {
			return nil, err
		}
	}
	s.live = append(s.live, x)
	for range 3 + s.IntN(8) {
		v := s.live[len(s.live)-1]
		if s.IntN(3) == 0 {
			v = s.live[s.IntN(len(s.live))]
		}
		ops := []func(v *ir.Value) (*ir.Value, error){s.conv, s.conv, s.conv, s.residual, s.binary, s.binary, s.pool, s.average, s.lookup, s.concat, s.pad, s.slice, s.resize, s.channels, s.floats}
		v, err := ops[s.IntN(len(ops))](v)
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		s.live = append(s.live, v)
		if s.IntN(8) == 0 {
			s.g.AddOutput(fmt.Sprint("middle", len(s.g.Outputs)), v)
		}
	}
	y := s.live[len(s.live)-1]
	if s.IntN(2) == 0 {
		if y, err = s.dense(y); err != nil {
			return nil, err
		}
	}
	s.g.AddOutput("y", y)
	s.g.Prune()
	return s.g, ir.Verify(s.g)
}

func (s *integers) byteType() ir.DType { return []ir.DType{ir.Uint8, ir.Int8}[s.IntN(2)] }

// zero returns a zero point of type d. Few different ones make borders agree.
func (s *integers) zero(d ir.DType) int {
	lo, _ := d.Range()
	return lo + []int{0, 128, 7}[s.IntN(3)]
}

func (s *integers) scalar(t ir.DType, v float64) *ir.Value {
	return s.g.AddConst("s", ir.FromFloat64s(ir.T(t), []float64{float64(float32(v))}))
}

func (s *integers) quantize(x *ir.Value) (*ir.Value, error) {
	if s.IntN(4) == 0 {
		return s.g.Emit("q", ir.DynamicQuantize{}, x)
	}
	d := s.byteType()
	return s.g.Emit("q", ir.Quantize{To: d}, x, s.scalar(ir.Float32, 0.02+s.Float64()/50), s.scalar(d, float64(s.zero(d))))
}

// result returns what a convolution or dense layer with sums of n products gives.
func (s *integers) result(x ir.DType, m, n int) (q ir.Integer, act ir.Act, bias, multiplier *ir.Value) {
	q = ir.Integer{To: s.byteType(), XZero: s.zero(x)}
	per := m
	if s.IntN(2) == 0 {
		per = 1
	}
	v := make([]float64, per)
	for i := range v {
		v[i] = float64(float32((0.2 + s.Float64()) / 100 / float64(n)))
	}
	multiplier = s.g.AddConst("m", ir.FromFloat64s(ir.T(ir.Float32, per), v))
	if per == 1 && m != 1 {
		multiplier = s.scalar(ir.Float32, v[0])
	}
	b := make([]float64, m)
	for i := range b {
		b[i] = float64(s.IntN(2000) - 1000)
	}
	if s.IntN(5) == 0 {
		q.To = ir.Float32
		act = []ir.Act{{}, {Fn: ir.Relu}}[s.IntN(2)] // others are not exact, and may be quantised
		bias = s.g.AddConst("b", ir.FromFloat64s(ir.T(ir.Float32, m), b))
	} else {
		lo, hi := q.To.Range()
		q.YZero, q.Lo, q.Hi = s.zero(q.To), lo+s.IntN(30), hi-s.IntN(30)
		bias = s.g.AddConst("b", ir.FromFloat64s(ir.T(ir.Int32, m), b))
	}
	if s.IntN(3) == 0 {
		bias = nil
	}
	return q, act, bias, multiplier
}

func (s *integers) weights(shape ...int) *ir.Value {
	d, most := ir.Int8, 127
	if s.IntN(5) == 0 {
		d, most = ir.Int16, 255
	}
	t := ir.NewTensor(ir.T(d, shape...))
	v := make([]float64, t.Shape.Len())
	for i := range v {
		v[i] = float64(s.IntN(2*most+1) - most)
	}
	return s.g.AddConst("w", ir.FromFloat64s(t.Type, v))
}

func (s *integers) conv(x *ir.Value) (*ir.Value, error) {
	in := x.Type.Shape
	c, k := in[1], []int{1, 3, 3, 5, 2}[s.IntN(5)]
	m, groups := 1+s.IntN(40), 1
	switch s.IntN(5) {
	case 0:
		groups = c
		m = c
	case 1:
		if c%2 == 0 {
			groups, m = 2, 2*(1+s.IntN(20))
		}
	}
	op := ir.Conv{Strides: []int{1 + s.IntN(2), 1 + s.IntN(2)}, Dilations: []int{1, 1}, Groups: groups}
	if s.IntN(2) == 0 {
		op.Strides = []int{1, 1}
	}
	if s.IntN(6) == 0 {
		op.Dilations = []int{2, 1}
	}
	for range 4 {
		op.Pads = append(op.Pads, s.IntN(1+k/2))
	}
	if !isByte(x) || (k-1)*op.Dilations[0]+1 > in[2]+op.Pads[0]+op.Pads[2] || k > in[3]+op.Pads[1]+op.Pads[3] {
		return nil, nil
	}
	q, act, bias, multiplier := s.result(x.Type.DType, m, c/groups*k*k)
	op.Integer, op.Epilogue = q, act
	var zero *ir.Value
	if d := x.Def(); d != nil && d.Op.Name() == "DynamicQuantize" && s.IntN(2) == 0 {
		zero = d.Out[2]
	}
	if zero == nil {
		zero = s.computedZero(x)
	}
	y, err := s.g.Emit("conv", op, x, s.weights(m, c/groups, k, k), bias, nil, nil, nil, multiplier, zero)
	if err != nil || s.IntN(4) > 0 {
		return y, err
	}
	if pooled, err := s.pool(y); err != nil || pooled != nil { // no other op reads y
		return pooled, err
	}
	return y, nil
}

// residual is a residual block: a convolution that adds a tensor with the shape of its
// result.
func (s *integers) residual(x *ir.Value) (*ir.Value, error) {
	if !isByte(x) {
		return nil, nil
	}
	c, k := x.Type.Shape[1], []int{1, 3}[s.IntN(2)]
	op := ir.Conv{Strides: []int{1, 1}, Dilations: []int{1, 1}, Groups: 1, Pads: slices.Repeat([]int{k / 2}, 4)}
	var bias, multiplier *ir.Value
	if op.Integer, _, bias, multiplier = s.result(x.Type.DType, c, c*k*k); !op.Integer.Requantises() {
		return nil, nil
	}
	r := x
	for _, v := range s.live {
		if isByte(v) && v.Type.Shape.Equal(x.Type.Shape) && s.IntN(2) == 0 {
			r = v
		}
	}
	to := s.byteType()
	lo, hi := to.Range()
	op.Sum = ir.QBinary{Fn: ir.Add, To: to, AScale: float64(float32(0.3 + s.Float64())), BScale: float64(float32(0.3 + s.Float64())),
		AZero: op.Integer.YZero, BZero: s.zero(r.Type.DType), YZero: s.zero(to), Lo: lo + s.IntN(30), Hi: hi}
	return s.g.Emit("block", op, x, s.weights(c, c, k, k), bias, r, nil, nil, multiplier)
}

func (s *integers) dense(x *ir.Value) (*ir.Value, error) {
	if x.Type.DType == ir.Float32 {
		return x, nil
	}
	n, k := x.Type.Shape[0], x.Type.Shape[1:].Len()
	x, err := s.g.Emit("flat", ir.Reshape{Shape: ir.Shape{n, k}}, x)
	if err != nil {
		return nil, err
	}
	m := 1 + s.IntN(50)
	q, act, bias, multiplier := s.result(x.Type.DType, m, k)
	w, trans := s.weights(k, m), false
	if s.IntN(2) == 0 {
		w, trans = s.weights(m, k), true
	}
	return s.g.Emit("dense", ir.Dense{TransW: trans, Integer: q, Epilogue: act}, x, w, bias, multiplier, s.computedZero(x))
}

// computedZero returns a zero point of x that is an input of the network, in some cases.
func (s *integers) computedZero(x *ir.Value) *ir.Value {
	if s.IntN(8) > 0 {
		return nil
	}
	return s.g.AddInput(fmt.Sprint("zero", len(s.g.Inputs)), ir.T(x.Type.DType))
}

func isByte(v *ir.Value) bool { return v.Type.DType == ir.Uint8 || v.Type.DType == ir.Int8 }

func (s *integers) binary(x *ir.Value) (*ir.Value, error) {
	y := s.live[s.IntN(len(s.live))]
	if s.IntN(2) == 0 { // as in squeeze and excitation
		var err error
		if y, err = s.global(x); y == nil || err != nil {
			return nil, err
		}
	}
	if out, err := ir.BroadcastShapes(x.Type.Shape, y.Type.Shape); err != nil || !isByte(x) || !isByte(y) || !out.Equal(x.Type.Shape) && !out.Equal(y.Type.Shape) {
		return nil, nil
	}
	to := s.byteType()
	lo, hi := to.Range()
	q := ir.QBinary{Fn: ir.Add, To: to, AScale: float64(float32(0.3 + s.Float64())), BScale: float64(float32(0.3 + s.Float64())),
		AZero: s.zero(x.Type.DType), BZero: s.zero(y.Type.DType), YZero: s.zero(to), Lo: lo + s.IntN(30), Hi: hi}
	if s.IntN(2) == 0 {
		q.Fn, q.AScale, q.BScale = ir.Mul, float64(float32(s.Float64()/50)), 0
	}
	if s.IntN(4) == 0 {
		x, y = y, x
		q.AZero, q.BZero = s.zero(x.Type.DType), s.zero(y.Type.DType)
	}
	return s.g.Emit("binary", q, x, y)
}

func (s *integers) global(x *ir.Value) (*ir.Value, error) {
	in := x.Type.Shape
	if !isByte(x) {
		return nil, nil
	}
	return s.g.Emit("global", ir.QAveragePool{To: s.byteType(), Kernel: in[2:], Strides: []int{1, 1}, Pads: []int{0, 0, 0, 0}, Dilations: []int{1, 1},
		XScale: 0.5, YScale: 0.375, XZero: s.zero(x.Type.DType), YZero: 3}, x)
}

// window returns the windows of a pool.
func (s *integers) window(in ir.Shape) (kernel, strides, pads, dilations []int, ok bool) {
	k := 2 + s.IntN(2)
	if s.IntN(4) == 0 { // a maximum is computed along one axis, then along the other
		k = 5 + s.IntN(5)
	}
	for range 4 {
		pads = append(pads, s.IntN(k+1)) // a window may have no pixels
	}
	ok = in[2]+pads[0]+pads[2] >= k && in[3]+pads[1]+pads[3] >= k
	return []int{k, k}, []int{1 + s.IntN(2), 1 + s.IntN(2)}, pads, []int{1, 1}, ok
}

func (s *integers) pool(x *ir.Value) (*ir.Value, error) {
	k, st, p, d, ok := s.window(x.Type.Shape)
	if !ok {
		return nil, nil
	}
	return s.g.Emit("pool", ir.Pool{Kind: ir.MaxPool, Kernel: k, Strides: st, Pads: p, Dilations: d}, x)
}

func (s *integers) average(x *ir.Value) (*ir.Value, error) {
	k, st, p, d, ok := s.window(x.Type.Shape)
	if !ok || !isByte(x) {
		return nil, nil
	}
	to := s.byteType()
	return s.g.Emit("average", ir.QAveragePool{To: to, Kernel: k, Strides: st, Pads: p, Dilations: d, CountPad: s.IntN(2) == 0,
		XScale: 0.5, YScale: 0.25, XZero: s.zero(x.Type.DType), YZero: s.zero(to)}, x)
}

func (s *integers) lookup(x *ir.Value) (*ir.Value, error) {
	if !isByte(x) {
		return nil, nil
	}
	to := s.byteType()
	lo, _ := to.Range()
	v := make([]float64, 256)
	for i := range v {
		v[i] = float64(lo + s.IntN(256))
	}
	return s.g.Emit("table", ir.Lookup{}, x, s.g.AddConst("t", ir.FromFloat64s(ir.T(to, 256), v)))
}

func (s *integers) concat(x *ir.Value) (*ir.Value, error) {
	list := []*ir.Value{x}
	for _, v := range s.live {
		a, b := v.Type.Shape, x.Type.Shape
		if v.Type.DType == x.Type.DType && a[2] == b[2] && a[3] == b[3] && len(list) < 3 {
			list = append(list, v)
		}
	}
	return s.g.Emit("concat", ir.Concat{Axis: 1}, list...)
}

func (s *integers) pad(x *ir.Value) (*ir.Value, error) {
	value := 0
	if isByte(x) {
		value = s.zero(x.Type.DType)
	}
	return s.g.Emit("pad", ir.Pad{Mode: []ir.PadMode{ir.PadConstant, ir.PadConstant, ir.PadEdge}[s.IntN(3)], Pads: []int{0, 0, s.IntN(2), 1, 0, 0, 1, s.IntN(3)}, Value: float64(value)}, x)
}

func (s *integers) slice(x *ir.Value) (*ir.Value, error) {
	in := x.Type.Shape
	op := ir.Slice{Start: []int{0, 0, 0, 0}, Count: append([]int{}, in...), Step: []int{1, 1, 1, 1}}
	if in[1] > 16 && s.IntN(2) == 0 {
		op.Start[1] = []int{16, 3}[s.IntN(2)]
		op.Count[1] = in[1] - op.Start[1]
	} else {
		op.Start[3] = s.IntN(2)
		op.Count[3] = in[3] - op.Start[3]
	}
	if op.Count[3] == 0 {
		return nil, nil
	}
	return s.g.Emit("slice", op, x)
}

func (s *integers) resize(x *ir.Value) (*ir.Value, error) {
	in := x.Type.Shape
	if in[2] > 20 || in[3] > 20 {
		return nil, nil
	}
	return s.g.Emit("resize", ir.Resize{Mode: ir.ResizeNearest, Shape: ir.Shape{in[0], in[1], 2 * in[2], 2 * in[3]}, Scales: []float64{1, 1, 2, 2}}, x)
}

func (s *integers) channels(x *ir.Value) (*ir.Value, error) {
	v := make([]float64, 1+s.IntN(30))
	for i := range v {
		v[i] = float64(s.IntN(x.Type.Shape[1]))
	}
	return s.g.Emit("channels", ir.Gather{Axis: 1}, x, s.g.AddConst("i", ir.FromFloat64s(ir.T(ir.Int64, len(v)), v)))
}

// floats leaves integers and returns to them.
func (s *integers) floats(x *ir.Value) (*ir.Value, error) {
	if isByte(x) {
		v, err := s.g.Emit("dequantize", ir.Dequantize{}, x, s.scalar(ir.Float32, 0.1), s.scalar(x.Type.DType, float64(s.zero(x.Type.DType))))
		if err != nil || s.IntN(2) == 0 {
			return v, err
		}
		x = v
	}
	return s.quantize(x)
}
