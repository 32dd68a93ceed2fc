package cuda

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"modelc/backend/cpu"
	"modelc/backend/inproc"
	"modelc/ir"
	"modelc/ir/eval"
)

// randomInteger returns a graph of a convolution or dense layer on integers, with everything
// that it may have.
func randomInteger(r *rand.Rand) (*ir.Graph, error) {
	g := ir.NewGraph("integers")
	var err error
	constant := func(d ir.DType, shape ...int) *ir.Value {
		if err != nil {
			return nil
		}
		t := ir.NewTensor(ir.T(d, shape...))
		for i := range t.Type.Shape.Len() {
			switch d {
			case ir.Int8:
				ir.Elements[int8](t)[i] = int8(r.IntN(256))
			case ir.Int32:
				ir.Elements[int32](t)[i] = int32(r.IntN(1<<16) - 1<<15)
			case ir.Float32:
				t.Float32s()[i] = 0.001 * (1 + r.Float32())
			}
		}
		return g.AddConst("c", t)
	}
	pick := func(list ...ir.DType) ir.DType { return list[r.IntN(len(list))] }
	from, to := pick(ir.Uint8, ir.Int8), pick(ir.Uint8, ir.Int8, ir.Int32, ir.Float32)
	lo, _ := from.Range()
	q := ir.Integer{To: to, XZero: lo + r.IntN(256)}
	if q.Requantises() {
		lo, hi := to.Range()
		q.YZero, q.Lo, q.Hi = lo+r.IntN(256), lo+r.IntN(9), hi-r.IntN(9)
	}
	m, groups := 1+r.IntN(40), 1
	var bias, multiplier, epilogue = (*ir.Value)(nil), (*ir.Value)(nil), ir.Act{}
	set := func(m int) {
		if r.IntN(2) == 0 {
			bias = constant(map[bool]ir.DType{true: ir.Float32, false: ir.Int32}[to == ir.Float32], m)
		}
		if to != ir.Int32 {
			multiplier = constant(ir.Float32, []int{1, m}[r.IntN(2):][:1]...)
			if multiplier.Type.Shape[0] == 1 && m > 1 {
				multiplier = constant(ir.Float32)
			}
		}
		if to == ir.Float32 && r.IntN(2) == 0 {
			epilogue = ir.Act{Fn: ir.Relu}
		}
	}
	var y *ir.Value
	if r.IntN(3) == 0 {
		set(m)
		k := 1 + r.IntN(300)
		x := g.AddInput("x", ir.T(from, 1+r.IntN(7), k))
		op, shape := ir.Dense{TransW: r.IntN(2) == 0, Integer: q, Epilogue: epilogue}, []int{k, m}
		if op.TransW {
			shape = []int{m, k}
		}
		y, err = g.Emit("dense", op, x, constant(ir.Int8, shape...), bias, multiplier)
	} else {
		cg := 1 + r.IntN(20)
		if r.IntN(3) == 0 {
			groups, m = 2, 8+r.IntN(9)
		}
		set(m * groups)
		x := g.AddInput("x", ir.T(from, 1+r.IntN(2), cg*groups, 5+r.IntN(8), 5+r.IntN(8)))
		op := ir.Conv{Strides: []int{1 + r.IntN(2), 1 + r.IntN(2)}, Dilations: []int{1 + r.IntN(2), 1 + r.IntN(2)}, Groups: groups,
			Pads: []int{r.IntN(3), r.IntN(3), r.IntN(3), r.IntN(3)}, Integer: q, Epilogue: epilogue}
		y, err = g.Emit("conv", op, x, constant(ir.Int8, m*groups, cg, 1+r.IntN(3), 1+r.IntN(3)), bias, nil, nil, nil, multiplier)
	}
	if err != nil {
		return nil, err
	}
	g.AddOutput("y", y)
	return g, ir.Verify(g)
}

// Layers on integers use dp4a and give the bits of the CPU's kernels and of the reference
// interpreter, for all operands: extreme bytes are frequent.
func TestIntegers(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	var graphs []*ir.Graph
	most := 40
	if *long {
		most = 400
	}
	for len(graphs) < most {
		if g, err := randomInteger(r); err == nil { // otherwise a window does not fit
			graphs = append(graphs, g)
		}
	}
	e := emulate(t, graphs, Config{}, chooseTile)
	for i, g := range graphs {
		if doc := e.programs[i].Steps.Layers[0].Doc; strings.Contains(doc, "generic") {
			t.Errorf("%s: %s", ir.Format(g), doc)
		}
		in := eval.Inputs(g, uint64(i))
		b := in[0].Bytes()
		for k := range b {
			if r.IntN(3) == 0 {
				b[k] = []byte{0, 255, 127, 128}[r.IntN(4)]
			}
		}
		if err := sameBits(e, i, g, in); err != nil {
			t.Errorf("%v\n%s", err, ir.Format(g))
		}
	}
}

// sameBits compares the outputs of program i with the bits of the engine on the CPU and of the
// reference interpreter.
func sameBits(e *emulator, i int, g *ir.Graph, in []*ir.Tensor) error {
	got, err := e.run(i, in, uint64(i))
	if err != nil {
		return err
	}
	want, err := eval.Run(g, in)
	if err != nil {
		return err
	}
	p, err := cpu.Build(g, cpu.Config{})
	if err != nil {
		return err
	}
	engine, err := inproc.New(p, 1)
	if err != nil {
		return err
	}
	defer engine.Close()
	also, err := engine.Run(in)
	if err != nil {
		return err
	}
	for k := range got {
		if !bytes.Equal(got[k].Bytes(), want[k].Bytes()) {
			return fmt.Errorf("output %d differs from the reference interpreter", k)
		}
		if !bytes.Equal(got[k].Bytes(), also[k].Bytes()) {
			return fmt.Errorf("output %d differs from the CPU", k)
		}
	}
	return nil
}
