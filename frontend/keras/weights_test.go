package keras

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modelc/frontend/keras/hdf5/h5test"
	"modelc/frontend/keras/kerastest"
	"modelc/frontend/source"
	"modelc/ir"
	"modelc/ir/eval"
)

// randomLayers returns layers on rows of four numbers, some of them models, and their
// weights in the form of a version of Keras. list is the name of the group of layers, and
// each layer with weights counts for step in the number of its class.
func randomLayers(rng *rand.Rand, depth int, list string, step int) (layers []dict, root *h5test.Node) {
	root = h5test.Group(nil)
	root.At("vars")
	all := root.At(list)
	count := map[string]int{}
	weight := func(shape ...int) *h5test.Node {
		n := 1
		for _, d := range shape {
			n *= d
		}
		data := make([]float32, n)
		for i := range data {
			data[i] = 0.1 + rng.Float32()
		}
		return h5test.Dataset(data, shape...)
	}
	for i := range 3 + rng.IntN(5) {
		name := fmt.Sprintf("l%d", i)
		var l dict
		var w []*h5test.Node
		inside := (*h5test.Node)(nil)
		key := ""
		switch k := rng.IntN(5); {
		case k == 0:
			l, key = entryOf("ReLU", name, nil), "re_lu"
		case k == 1:
			l, key = entryOf("BatchNormalization", name, nil), "batch_normalization"
			w = []*h5test.Node{weight(4), weight(4), weight(4), weight(4)}
		case k == 2 && depth > 0:
			inner, group := randomLayers(rng, depth-1, list, step)
			l, key, inside = sequential([]any{nil, 4}, inner...), "sequential", group
			l["name"], l["config"].(dict)["name"] = name, name
		default:
			l, key = entryOf("Dense", name, dict{"units": 4}), "dense"
			w = []*h5test.Node{weight(4, 4), weight(4)}
		}
		at := key
		if n := count[key]; n > 0 {
			at = fmt.Sprintf("%s_%d", key, n)
		}
		count[key]++
		if w != nil || inside != nil && hasWeights(inside) {
			count[key] += step - 1
		}
		if inside != nil {
			all.At(at).Children = inside.Children
		} else {
			vars := all.At(at + "/vars")
			for i, v := range w {
				vars.Children = with(vars.Children, fmt.Sprint(i), v)
			}
		}
		layers = append(layers, l)
	}
	return layers, root
}

func with(m map[string]*h5test.Node, name string, v *h5test.Node) map[string]*h5test.Node {
	if m == nil {
		m = map[string]*h5test.Node{}
	}
	m[name] = v
	return m
}

// hasWeights reports whether a group has datasets.
func hasWeights(n *h5test.Node) bool {
	for _, c := range n.Children {
		if c.Data != nil || hasWeights(c) {
			return true
		}
	}
	return false
}

// shards distributes the datasets of a group at random over files.
func shards(rng *rand.Rand, n *h5test.Node, path string, files []*h5test.Node, list map[string][]string) {
	for name, c := range n.Children {
		if c.Data == nil {
			shards(rng, c, path+"/"+name, files, list)
			continue
		}
		k := rng.IntN(len(files))
		at := files[k].At(strings.TrimPrefix(path, "/"))
		at.Children = with(at.Children, name, c)
		list[path] = append(list[path], fmt.Sprintf("m_%05d.weights.h5", k))
	}
}

// Random models have the same result in the forms in which versions of Keras store their
// weights: Keras 2.15 and 3, 2.14, 2.12 and 2.13, and shards beside a JSON file.
func TestStores(t *testing.T) {
	for seed := range uint64(60) {
		result := func(m *source.Model, err error) []float32 {
			t.Helper()
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			x := ir.NewTensor(m.Graph.Inputs[0].Type)
			for i := range x.Float32s() {
				x.Float32s()[i] = float32(i) - 1.5
			}
			y, err := eval.Run(m.Graph, []*ir.Tensor{x})
			if err != nil {
				t.Fatal(err)
			}
			return y[0].Float32s()
		}
		var want []float32
		for _, c := range []struct {
			version, list string
			step          int
		}{
			{"2.15.0", "layers", 1},
			{"2.14.0", "_layer_checkpoint_dependencies", 1},
			{"2.13.1", "_layer_checkpoint_dependencies", 2},
			{"2.12.0", "_layer_checkpoint_dependencies", 2},
		} {
			layers, root := randomLayers(rand.New(rand.NewPCG(seed, 1)), 2, c.list, c.step)
			archive := kerastest.Zip("metadata.json", `{"keras_version":"`+c.version+`"}`, "config.json", kerastest.JSON(sequential([]any{nil, 4}, layers...)),
				"model.weights.h5", string(h5test.Write(root)))
			got := result(loadBytes([]byte(archive), source.Options{}))
			if want == nil {
				want = got
			} else if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("seed %d, Keras %s: %v, want %v", seed, c.version, got, want)
			}
		}
		rng := rand.New(rand.NewPCG(seed, 1))
		layers, root := randomLayers(rng, 2, "layers", 1)
		files := []*h5test.Node{h5test.Group(nil), h5test.Group(nil), h5test.Group(nil)}
		list := map[string][]string{}
		shards(rng, root, "", files, list)
		if len(list) == 0 {
			continue
		}
		dir := t.TempDir()
		write := func(name string, b []byte) {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for k, f := range files {
			write(fmt.Sprintf("m_%05d.weights.h5", k), h5test.Write(f))
		}
		write("m.weights.json", []byte(kerastest.JSON(dict{"weight_map": list})))
		write("m.json", []byte(kerastest.JSON(sequential([]any{nil, 4}, layers...))))
		m, err := Load(filepath.Join(dir, "m.json"), source.Options{})
		if got := result(m, err); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("seed %d, shards: %v, want %v", seed, got, want)
		}
		if err := m.Release(); err != nil {
			t.Error(err)
		}
	}
}
