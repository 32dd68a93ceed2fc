package onnx

import (
	"math/rand/v2"
	"slices"
	"testing"

	"modelc/frontend/source"
	"modelc/internal/conformance"
)

// seedModel contains every message of the format.
func seedModel() message {
	branch := graphParts{nodes: []message{simple("Relu", "r", "x")}, outputs: []message{tensorInput("r", 1)}}.encode()
	g := graphParts{
		nodes: []message{
			nodeMessage("Conv", "conv", []string{"x", "w", "b"}, []string{"c"}, stringAttr("auto_pad", "SAME_UPPER"), intsAttr("strides", 1, 2)),
			nodeMessage("MaxPool", "pool", []string{"c"}, []string{"p"}, intsAttr("kernel_shape", 2, 2), intAttr("ceil_mode", 1)),
			nodeMessage("Constant", "", nil, []string{"k"}, tensorAttr("value", intWeights("", 1, -1))),
			simple("Reshape", "f", "p", "k"),
			simple("Shape", "s", "f"),
			nodeMessage("Cast", "", []string{"s"}, []string{"t"}, intAttr("to", 9)),
			nodeMessage("Slice", "", []string{"t", "zero", "one"}, []string{"cond"}),
			nodeMessage("If", "", []string{"cond"}, []string{"i"}, graphAttr("then_branch", branch), graphAttr("else_branch", branch)),
			call("act", "a", "f").sub(5, floatAttr("slope", 0.1)),
			simple("Resize", "up", "x", "", "scales"),
			nodeMessage("Upsample", "", []string{"x"}, []string{"u"}, message{}.str(1, "scales").float(7, 1, 1, 2, 2)),
		},
		weights: []message{
			floatWeights("w", []int64{2, 3, 1, 1}, 1, 2, 3, 4, 5, 6), intWeights("zero", 0), intWeights("one", 1),
			message{}.packed(1, 2).int(2, 1).str(8, "b").bytes(9, make([]byte, 8)),
			message{}.packed(1, 4).int(2, 11).str(8, "scales").double(10, 1, 1, 2, 0.5),
		},
		inputs: []message{tensorInput("x", 1, "N", 3, 4, 4)}, outputs: []message{tensorInput("a", 1), tensorInput("i", 1), tensorInput("up", 1)},
	}
	f := function("act", []string{"v"}, []string{"r"}, nodeMessage("LeakyRelu", "", []string{"v"}, []string{"r"}, refAttr("alpha", "slope")))
	return modelMessage(8, 13, g.encode()).sub(14, message{}.str(1, "key").str(2, "value")).sub(8, opsetMessage("local", 1)).sub(25, f)
}

// A truncated file is an error or, if it ends after a field, a shorter model.
func TestTruncated(t *testing.T) {
	b := seedModel()
	if _, err := Parse("whole", b, "", source.Options{}); err != nil {
		t.Error(err)
	}
	for i := range b {
		Parse("cut", b[:i:i], "", source.Options{}) // Parse must return
	}
}

// damaged changes a few bytes of a model.
func damaged(r *rand.Rand, model []byte) []byte {
	b := slices.Clone(model)
	for range 1 + r.IntN(3) {
		i := r.IntN(len(b))
		switch r.IntN(3) {
		case 0:
			b[i] = byte(r.IntN(256))
		case 1:
			b[i] ^= 1 << r.IntN(8)
		case 2:
			b[i] += byte(r.IntN(5) - 2)
		}
	}
	return b
}

// A damaged file is an error or a valid graph, for any operators.
func TestDamaged(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		Parse("damaged", damaged(r, seedModel()), "", source.Options{})
	}
}

// The same holds for the models of the conformance suite, one per operator and
// opset.
func TestDamagedCorpus(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	suite, err := conformance.Open(corpus(t))
	if err != nil {
		t.Fatal(err)
	}
	defer suite.Close()
	for _, c := range suite.Cases {
		if c.SameAs != "" {
			continue
		}
		model, err := c.Model()
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			Parse(c.String(), damaged(r, model), "", source.Options{})
		}
	}
}

// No file causes a panic, and every model that Parse accepts is a valid graph.
func FuzzParse(f *testing.F) {
	f.Add([]byte(seedModel()))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := Parse("fuzz", b, "", source.Options{}); err == nil {
			m.Release()
		}
	})
}

func FuzzTensor(f *testing.F) {
	f.Add([]byte(floatWeights("w", []int64{2, 2}, 1, 2, 3, 4)))
	f.Add([]byte(intWeights("w", 1, 2, 3)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, _, err := ParseTensor(b); err == nil {
			x.Float64s()
		}
	})
}
