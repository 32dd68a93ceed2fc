// Package kerastest writes .keras archives for tests: the JSON of Keras 3 and
// weights.
package kerastest

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"modelc/frontend/keras/hdf5/h5test"
)

// Dict is a JSON object.
type Dict = map[string]any

// Layer is an entry of a model's list of layers.
func Layer(class, name string, config Dict) Dict {
	c := Dict{"name": name, "dtype": "float32"}
	for k, v := range config {
		c[k] = v
	}
	return Dict{"module": "keras.layers", "class_name": class, "config": c, "name": name, "inbound_nodes": []any{}}
}

// On connects a layer of a Functional model. The layer is called once, with the
// first results of the named layers; several results are a list.
func On(layer Dict, inputs ...string) Dict {
	var tensors []any
	for _, n := range inputs {
		tensors = append(tensors, Tensor(n, 0))
	}
	if len(tensors) > 1 {
		tensors = []any{tensors}
	}
	return Call(layer, tensors...)
}

// Call adds a call with the given arguments to a layer of a Functional model.
func Call(layer Dict, args ...any) Dict {
	layer["inbound_nodes"] = append(layer["inbound_nodes"].([]any), Dict{"args": args, "kwargs": Dict{}})
	return layer
}

// Tensor returns a reference to the first result of a call of a layer.
func Tensor(layer string, call int) Dict {
	return Dict{"class_name": "__keras_tensor__", "config": Dict{"keras_history": []any{layer, call, 0}}}
}

// Input is the name of the input of a model.
const Input = "input"

// Sequential returns a Sequential model. The input shape includes the batch; nil
// is an open extent.
func Sequential(shape []any, layers ...Dict) Dict {
	list := []any{Layer("InputLayer", Input, Dict{"batch_shape": shape})}
	for _, l := range layers {
		list = append(list, l)
	}
	return model("Sequential", Dict{"layers": list})
}

// Functional returns a model with one input and one output.
func Functional(shape []any, output string, layers ...Dict) Dict {
	list := []any{Layer("InputLayer", Input, Dict{"batch_shape": shape})}
	for _, l := range layers {
		list = append(list, l)
	}
	return model("Functional", Dict{"layers": list, "input_layers": []any{Input, 0, 0}, "output_layers": []any{output, 0, 0}})
}

func model(class string, config Dict) Dict {
	config["name"] = "model"
	return Dict{"module": "keras", "class_name": class, "config": config, "name": "model", "inbound_nodes": []any{}}
}

// Weights holds the variables of layers by key. The key is the class in snake
// case; from the second layer of a class it has a number, "conv2d_1".
type Weights map[string][]*h5test.Node

// Seeded returns a weight of pseudo-random numbers, which are the same in every
// run.
func Seeded(shape ...int) *h5test.Node {
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

// Archive returns the .keras file of a model. A config that is a string is
// written unchanged.
func Archive(config any, w Weights) []byte {
	return Zip("metadata.json", `{"keras_version":"3.15.1"}`, "config.json", JSON(config), "model.weights.h5", string(h5test.Write(w.Root())))
}

// Root returns the root group of model.weights.h5.
func (w Weights) Root() *h5test.Node {
	root := h5test.Group(nil)
	root.At("layers")
	for key, list := range w {
		vars := map[string]*h5test.Node{}
		for i, v := range list {
			vars[fmt.Sprint(i)] = v
		}
		root.At("layers/" + key + "/vars").Children = vars
	}
	return root
}

// JSON returns v encoded as JSON, or v itself if it is a string.
func JSON(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Zip returns an archive of uncompressed entries. The arguments alternate
// between names and contents.
func Zip(entries ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		w, err := z.CreateHeader(&zip.FileHeader{Name: entries[i], Method: zip.Store})
		if err == nil {
			_, err = w.Write([]byte(entries[i+1]))
		}
		if err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}
