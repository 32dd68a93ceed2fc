package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"modelc/ir"
	"modelc/ir/eval"
	"modelc/passes"
)

// randomConv returns a graph around a convolution that a pointwise convolution or the input
// precedes, with everything that a convolution may have.
func randomConv(r *rand.Rand, cg, mg, groups int) (*ir.Graph, error) {
	g := ir.NewGraph("conv")
	constant := func(shape ...int) *ir.Value {
		t := ir.NewTensor(ir.T(ir.Float32, shape...))
		for i := range t.Float32s() {
			t.Float32s()[i] = float32(r.IntN(7) - 3)
		}
		return g.AddConst("w", t)
	}
	n, h, w := 1+r.IntN(2), 5+r.IntN(8), 5+r.IntN(8)
	c, m := cg*groups, mg*groups
	v := g.AddInput("x", ir.T(ir.Float32, n, c, h, w))
	var err error
	if r.IntN(4) > 0 { // an image instead of a dense operand
		v, err = g.Emit("before", ir.Conv{Strides: []int{1, 1}, Pads: make([]int, 4), Dilations: []int{1, 1}, Groups: c}, v, constant(c, 1, 1, 1))
		if err != nil {
			return nil, err
		}
	}
	kh, kw := 1+r.IntN(3), 1+r.IntN(3)
	op := ir.Conv{Strides: []int{1 + r.IntN(2), 1 + r.IntN(2)}, Dilations: []int{1 + r.IntN(2), 1 + r.IntN(2)}, Groups: groups}
	op.Pads = []int{r.IntN(3), r.IntN(3), r.IntN(3), r.IntN(3)}
	operands := []*ir.Value{v, constant(m, cg, kh, kw), nil, nil, nil, nil}
	if r.IntN(2) == 0 {
		operands[ir.Bias] = constant(m)
	}
	if r.IntN(2) == 0 {
		operands[ir.ConvScale], operands[ir.ConvShift] = constant(c), constant(c)
		op.Prologue = ir.Act{Fn: ir.Relu}
	}
	if r.IntN(2) == 0 {
		op.Epilogue = []ir.Act{{Fn: ir.Relu}, {Fn: ir.LeakyRelu, Alpha: 0.1}, {Fn: ir.SiLU, Alpha: 1}}[r.IntN(3)]
	}
	residual := r.IntN(2) == 0
	t, err := op.Infer([]ir.Type{v.Type, operands[1].Type})
	if err != nil {
		return nil, err
	}
	if residual {
		s := t[0].Shape
		other := g.AddInput("other", ir.T(ir.Float32, s[0], m, s[2], s[3]))
		if r.IntN(2) == 0 {
			other, err = g.Emit("branch", ir.Conv{Strides: []int{1, 1}, Pads: make([]int, 4), Dilations: []int{1, 1}, Groups: m}, other, constant(m, 1, 1, 1))
			if err != nil {
				return nil, err
			}
		}
		operands[ir.ConvResidual] = other
	}
	v, err = g.Emit("conv", op, operands...)
	if err != nil {
		return nil, err
	}
	if r.IntN(2) == 0 { // an image as the result
		v, err = g.Emit("pool", ir.Pool{Kind: ir.PoolKind(r.IntN(2)), Kernel: []int{2, 2}, Strides: []int{1, 2}, Pads: []int{1, 0, 1, 1}, Dilations: []int{1, 1}, CountPad: r.IntN(2) == 0}, v)
		if err != nil {
			return nil, err
		}
	}
	g.AddOutput("y", v)
	return g, nil
}

// All tiles give the values of the reference interpreter, with one and with several parts
// of the sum, for operands that are read as vectors and for others. All operands are small
// integers, which every precision represents.
func TestTiles(t *testing.T) {
	for _, precision := range []Precision{Float32, TF32, F16} {
		if precision == TF32 && !*long {
			continue // its kernel is that of F16
		}
		r := rand.New(rand.NewPCG(3, 4))
		var graphs []*ir.Graph
		var names []string
		type choice struct {
			tile
			splits int
		}
		var choices []choice
		for _, tl := range tilesOf(precision) {
			for _, splits := range []int{1, 3} {
				if splits != 1+2*(len(graphs)%2) && !*long {
					continue
				}
				all := [][3]int{{12, 20, 1}, {3, 17, 1}, {8, 12, 2}, {5, 7, 3}, {21, 70, 1}}
				if !*long {
					all = all[len(graphs)%4:][:1]
				}
				for _, ch := range all {
					g, err := randomConv(r, ch[0], ch[1], ch[2])
					if err != nil {
						continue // a window that does not fit
					}
					graphs, names = append(graphs, g), append(names, fmt.Sprint(precision, tl.tile, splits, ch))
					choices = append(choices, choice{tl.tile, splits})
				}
			}
		}
		// Each graph is lowered once, and may have several products of matrices.
		at := 0
		next := func(p, m, k, groups int, _ Precision) (tile, int) { return choices[at].tile, choices[at].splits }
		e := emulate(t, graphs, Config{Precision: precision}, next, func(i int) { at = i })
		for i, g := range graphs {
			in := eval.Inputs(g, uint64(i))
			for _, x := range in {
				for k, v := range x.Float32s() {
					x.Float32s()[k] = float32(math.Round(float64(v)))
				}
			}
			if err := e.compareOn(i, g, in, uint64(i)); err != nil {
				t.Errorf("%s: %v\n%s", names[i], err, ir.Format(g))
			}
		}
	}
}

// Networks of small width, with dense layers of several rows, depthwise convolutions and
// concatenations in place.
func TestNetworks(t *testing.T) {
	var graphs []*ir.Graph
	for _, text := range networks {
		g, err := ir.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := passes.Run(g, &passes.Config{}); err != nil {
			t.Fatal(err)
		}
		graphs = append(graphs, g)
	}
	e := emulate(t, graphs, Config{}, chooseTile)
	for i, g := range graphs {
		if err := e.compare(i, g, 1); err != nil {
			t.Errorf("%v\n%s", err, ir.Format(g))
		}
	}
}

var networks = []string{`input %x : f32[1,3,9,9]
const %w : f32[32,3,3,3] = seed=1
const %v : f32[10,2592] = seed=2
const %b : f32[10] = seed=3
%c = Conv(%x, %w) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
%f = Reshape(%c) shape=[1,2592]
%y = Dense(%f, %v, %b) transW=true epilogue=Relu
%s = Softmax(%y) axes=[1]
output "s" %s
`, `input %x : f32[6,70]
const %w : f32[70,33] = seed=1
const %v : f32[33,100] = seed=2
const %b : f32[100] = seed=3
%h = Dense(%x, %w) epilogue=Relu
%y = Dense(%h, %v, %b)
%s = Softmax(%y) axes=[1] log=true
output "s" %s
output "h" %h
`, `input %x : f32[2,8,9,9]
const %w : f32[8,1,3,3] = seed=1
const %d : f32[12,8,1,1] = seed=2
const %e : f32[12,20,3,3] = seed=3
const %s : f32[20] = seed=4
const %u : f32[32] = seed=5
%a = Conv(%x, %w) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=8 epilogue=Relu
%b = Conv(%a, %d) strides=[1,1] pads=[0,0,0,0] dilations=[1,1] groups=1
%c = Concat(%a, %b) axis=1
%f = Affine(%c, %s, %s) epilogue=Relu
%g = Conv(%f, %e) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
%h = Concat(%a, %b, %g) axis=1
%i = Affine(%h, %u, %u) epilogue=Relu
%j = Pool(%i) kind=avg kernel=[2,2] strides=[2,2] pads=[0,0,0,0] dilations=[1,1]
%k = Reduce(%j) fn=mean axes=[2,3]
%l = Normalize(%k) axes=[1] epsilon=0.1
%m = Normalize(%j) axes=[1,2,3] epsilon=0.1
output "l" %l
output "m" %m
output "j" %j
`}

// Networks of lower precision stay near the reference.
func TestPrecision(t *testing.T) {
	g, err := ir.Parse(`input %x : f32[1,16,6,6]
const %w : f32[20,16,3,3] = seed=1
const %v : f32[10,720] = seed=2
%c = Conv(%x, %w) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
%f = Reshape(%c) shape=[1,720]
%y = Dense(%f, %v) transW=true
output "y" %y
`)
	if err != nil {
		t.Fatal(err)
	}
	in := eval.Inputs(g, 2)
	want, err := eval.Run(g, in)
	if err != nil {
		t.Fatal(err)
	}
	for _, precision := range []Precision{TF32, F16} {
		got, err := emulate(t, []*ir.Graph{g}, Config{Precision: precision}, chooseTile).run(0, in, 1)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := eval.Compare(got[0], want[0]); err != nil || !d.Within(3e-3) || d.Within(1e-7) {
			t.Errorf("%s: %v %v, want the error of 10 bits of fraction", precision, d, err)
		}
	}
}
