package keras

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"modelc/frontend/keras/hdf5/h5test"
	"modelc/frontend/source"
	"modelc/ir"
)

// Models of tests: the JSON of Keras 3 and the weights of an archive.

type dict = map[string]any

// one is an entry of a Sequential's list of layers.
func one(class, name string, config dict) dict {
	c := dict{"name": name, "dtype": "float32"}
	for k, v := range config {
		c[k] = v
	}
	return dict{"module": "keras.layers", "class_name": class, "config": c}
}

// sequential is a model of layers on an input of that shape, batch included.
func sequential(shape []any, layers ...dict) dict {
	list := []any{one("InputLayer", "input", dict{"batch_shape": shape})}
	for _, l := range layers {
		list = append(list, l)
	}
	return dict{"module": "keras", "class_name": "Sequential", "config": dict{"name": "model", "layers": list}}
}

// on makes a layer one of a Functional model, which reads the first results
// of others.
func (l layerJSON) on(inputs ...string) dict {
	var tensors []any
	for _, n := range inputs {
		tensors = append(tensors, dict{"class_name": "__keras_tensor__", "config": dict{"keras_history": []any{n, 0, 0}}})
	}
	var calls []any
	switch len(tensors) {
	case 0:
	case 1:
		calls = []any{dict{"args": tensors, "kwargs": dict{}}}
	default:
		calls = []any{dict{"args": []any{tensors}, "kwargs": dict{}}}
	}
	out := dict{"inbound_nodes": calls, "name": l["config"].(dict)["name"]}
	for k, v := range l {
		out[k] = v
	}
	return out
}

type layerJSON dict

// functional is a model with one input and one output.
func functional(shape []any, output string, layers ...dict) dict {
	list := []any{layerJSON(one("InputLayer", "input", dict{"batch_shape": shape})).on()}
	for _, l := range layers {
		list = append(list, l)
	}
	return dict{"module": "keras", "class_name": "Functional", "config": dict{"name": "model", "layers": list,
		"input_layers": []any{"input", 0, 0}, "output_layers": []any{output, 0, 0}}}
}

// weights are the variables of layers by key, "conv2d_1".
type weights map[string][]*h5test.Node

// seeded is a weight of random numbers.
func seeded(shape ...int) *h5test.Node {
	n := 1
	for _, d := range shape {
		n *= d
	}
	r := rand.New(rand.NewPCG(uint64(n), 1))
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(r.NormFloat64())
	}
	return h5test.Dataset(data, shape...)
}

// archiveOf is the .keras file of a model.
func archiveOf(t testing.TB, config any, w weights) []byte {
	root := h5test.Group(nil)
	root.At("layers")
	for key, list := range w {
		for i, v := range list {
			root.At("layers/" + key + "/vars").Children = set(root.At("layers/"+key+"/vars").Children, fmt.Sprint(i), v)
		}
	}
	return zipOf(t, member{"metadata.json", `{"keras_version":"3.15.1"}`}, member{"config.json", encoded(t, config)}, member{"model.weights.h5", string(h5test.Write(root))})
}

func set(m map[string]*h5test.Node, k string, v *h5test.Node) map[string]*h5test.Node {
	if m == nil {
		m = map[string]*h5test.Node{}
	}
	m[k] = v
	return m
}

func encoded(t testing.TB, v any) string {
	t.Helper()
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// member is an entry of an archive.
type member struct{ name, data string }

func zipOf(t testing.TB, entries ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		w, err := z.CreateHeader(&zip.FileHeader{Name: e.name, Method: zip.Store})
		if err == nil {
			_, err = w.Write([]byte(e.data))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// loadBytes loads a file that lies in memory.
func loadBytes(data []byte, opts source.Options) (*source.Model, error) {
	return load("model", func(path string) ([]byte, error) {
		if path != "model" {
			return nil, errors.New("no such file")
		}
		return data, nil
	}, opts)
}

// graphOf loads a model that must load.
func graphOf(t testing.TB, config any, w weights) *ir.Graph {
	t.Helper()
	m, err := loadBytes(archiveOf(t, config, w), source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m.Graph
}

// The archives that tests write are what the reader takes for one of Keras.
func TestWritten(t *testing.T) {
	g := graphOf(t, sequential([]any{nil, 4, 4, 3}, one("Conv2D", "first", dict{"filters": 2, "kernel_size": []int{3, 3}})), weights{"conv2d": {seeded(3, 3, 3, 2), seeded(2)}})
	if s := ir.Format(g); !strings.Contains(s, "Conv(") || !g.Outputs[0].Value.Type.Equal(ir.T(ir.Float32, 1, 2, 2, 2)) {
		t.Error(s)
	}
}
