package keras

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"modelc/frontend/keras/kerastest"
	"modelc/frontend/source"
	"modelc/ir"
	"modelc/ir/eval"
)

// firstOf evaluates a model on 1 and returns the first element of its output.
func firstOf(t *testing.T, data []byte) float32 {
	t.Helper()
	m, err := loadBytes(data, source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := ir.NewTensor(m.Graph.Inputs[0].Type)
	for i := range x.Float32s() {
		x.Float32s()[i] = 1
	}
	y, err := eval.Run(m.Graph, []*ir.Tensor{x})
	if err != nil {
		t.Fatal(err)
	}
	return y[0].Float32s()[0]
}

// The calls of a submodel are numbered in three ways. Keras 2 counts from 1.
// Keras 3 counts from 0, but from 1 if a Functional submodel is an output of the
// model.
func TestCallNumbers(t *testing.T) {
	double := func() dict { return entryOf("Rescaling", "double", dict{"scale": 2}) }
	function := func() dict { return functional([]any{nil, 4}, "double", on(double(), "input")) }
	sequence := func() dict { return sequential([]any{nil, 4}, double()) }
	input, once := kerastest.Tensor("input", 0), kerastest.Tensor("block", 0)
	for _, c := range []struct {
		name   string
		block  dict
		calls  []any  // calls of the block
		output string // output of the model
		want   float32
	}{
		{"Functional, the second call", function(), []any{input, once}, `["block",2,0]`, 4},
		{"Functional, the first call", function(), []any{input, once}, `["block",1,0]`, 2},
		{"Functional, from 0", function(), []any{input}, `["block",0,0]`, 2},
		{"Sequential, the second call", sequence(), []any{input, once}, `["block",1,0]`, 4},
		{"Sequential, the first call", sequence(), []any{input, once}, `["block",0,0]`, 2},
	} {
		c.block["name"] = "block"
		for _, x := range c.calls {
			kerastest.Call(c.block, x)
		}
		m := functional([]any{nil, 4}, "", c.block)
		m["config"].(dict)["output_layers"] = json.RawMessage(c.output)
		if got := firstOf(t, kerastest.Archive(m, nil)); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	for output, want := range map[string]float32{`["block",1,0]`: 2, `["block",2,0]`: 4} {
		config := fmt.Sprintf(`{"class_name":"Functional","config":{"name":"m","layers":[
{"class_name":"InputLayer","config":{"batch_input_shape":[null,4],"dtype":"float32","name":"i"},"name":"i","inbound_nodes":[]},
{"class_name":"Functional","name":"block","config":{"name":"block","layers":[
 {"class_name":"InputLayer","config":{"batch_input_shape":[null,4],"dtype":"float32","name":"j"},"name":"j","inbound_nodes":[]},
 {"class_name":"Rescaling","config":{"name":"double","dtype":"float32","scale":2.0,"offset":0.0},"name":"double","inbound_nodes":[[["j",0,0,{}]]]}],
 "input_layers":[["j",0,0]],"output_layers":[["double",0,0]]},"inbound_nodes":[[["i",0,0,{}]],[["block",1,0,{}]]]}],
"input_layers":[["i",0,0]],"output_layers":[%s]}}`, output)
		if got := firstOf(t, kerastest.Archive(config, nil)); got != want {
			t.Errorf("Keras 2, %s: %v, want %v", output, got, want)
		}
	}
}

// Layers for which Keras 3 records training=True are computed as in inference,
// because predict overrides it.
func TestTrainingOverridden(t *testing.T) {
	m := functional([]any{nil, 4}, "drop", training(on(entryOf("Dropout", "drop", dict{"rate": 0.5}), "input")))
	if got := firstOf(t, kerastest.Archive(m, nil)); got != 1 {
		t.Errorf("got %v", got)
	}
}

// A value of a dimension that the model does not have is an error, and not ignored.
func TestUnknownDimension(t *testing.T) {
	const path = "../../testdata/keras/lenet5/model.keras"
	_, err := Load(path, source.Options{Dims: map[string]int{"bacth": 3}})
	if want := `no open dimension "bacth", did you mean "batch"?`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	for _, name := range []string{"batch", "input_layer.0"} {
		m, err := Load(path, source.Options{Dims: map[string]int{name: 3}})
		if err != nil {
			t.Fatal(err)
		}
		if s := m.Graph.Inputs[0].Type.Shape; s[0] != 3 {
			t.Errorf("%s: shape %s", name, s)
		}
		m.Release()
	}
}
