package keras

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"modelc/frontend/keras/hdf5"
	"modelc/frontend/keras/hdf5/h5test"
	"modelc/frontend/keras/kerastest"
	"modelc/frontend/source"
)

// Short names for functions of package kerastest.
type (
	dict    = kerastest.Dict
	weights = kerastest.Weights
)

var (
	entryOf    = kerastest.Layer
	on         = kerastest.On
	sequential = kerastest.Sequential
	functional = kerastest.Functional
	seeded     = kerastest.Seeded
)

// loadBytes loads a file from memory.
func loadBytes(data []byte, opts source.Options) (*source.Model, error) {
	return load("model", func(path string) ([]byte, error) {
		if path != "model" {
			return nil, errors.New("no such file")
		}
		return data, nil
	}, opts)
}

// small is a valid model, which the cases below damage.
func small() (dict, weights) {
	conv := entryOf("Conv2D", "conv", dict{"filters": 2, "kernel_size": []int{3, 3}})
	return sequential([]any{nil, 8, 8, 3}, conv, entryOf("Flatten", "flat", nil), entryOf("Dense", "scores", dict{"units": 4})),
		weights{"conv2d": {seeded(3, 3, 3, 2), seeded(2)}, "dense": {seeded(72, 4), seeded(4)}}
}

// legacyOf returns the .h5 file of small. rename changes the names of layers and
// weights.
func legacyOf(rename func(root *h5test.Node)) []byte {
	config, w := small()
	root := h5test.Group(nil).With("model_config", kerastest.JSON(config)).With("keras_version", "3.15.1")
	model := root.At("model_weights").With("layer_names", "conv", "flat", "scores")
	for name, key := range map[string]string{"conv": "conv2d", "scores": "dense"} {
		g := model.At(name).With("weight_names", "conv/kernel", "conv/bias")
		g.At("conv").Children = map[string]*h5test.Node{"kernel": w[key][0], "bias": w[key][1]}
	}
	model.At("flat").With("weight_names")
	rename(root)
	return h5test.Write(root)
}

// deflated returns an archive with an entry of n zeros whose header has the
// length says.
func deflated(t testing.TB, name string, n, says uint64) []byte {
	t.Helper()
	var packed, b bytes.Buffer
	f, _ := flate.NewWriter(&packed, flate.BestSpeed)
	zeros := make([]byte, 1<<20)
	for range n >> 20 {
		f.Write(zeros)
	}
	f.Close()
	z := zip.NewWriter(&b)
	config, _ := small()
	w, err := z.Create("config.json")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, kerastest.JSON(config))
	raw, err := z.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Deflate, CompressedSize64: uint64(packed.Len()), UncompressedSize64: says})
	if err != nil {
		t.Fatal(err)
	}
	raw.Write(packed.Bytes())
	z.Close()
	return b.Bytes()
}

// flip inverts a byte.
func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 0xff
	return b
}

// doubled returns a model that calls its inner model twice. The inner model does
// the same, up to the given depth.
func doubled(depth int) dict {
	m := functional([]any{nil, 4}, "act", on(entryOf("ReLU", "act", nil), "input"))
	for range depth {
		m["name"] = "inner"
		kerastest.Call(kerastest.Call(m, kerastest.Tensor(kerastest.Input, 0)), kerastest.Tensor("inner", 0))
		last := kerastest.Call(entryOf("ReLU", "last", nil), kerastest.Tensor("inner", 1))
		m = functional([]any{nil, 4}, "last", m, last)
	}
	return m
}

// A damaged, hostile or unsupported file is an error that names the problem and
// its place. The error takes at most a second and little memory.
func TestHostile(t *testing.T) {
	config, w := small()
	good := kerastest.Archive(config, w)
	if _, err := loadBytes(good, source.Options{}); err != nil {
		t.Fatal(err)
	}
	legacy := legacyOf(func(*h5test.Node) {})
	if _, err := loadBytes(legacy, source.Options{}); err != nil {
		t.Fatal(err)
	}
	text := kerastest.JSON(config)
	hdf5 := h5test.Write(h5test.Group(nil))
	broken := func(layers ...dict) []byte { return kerastest.Archive(sequential([]any{nil, 8, 8, 3}, layers...), nil) }
	lambda := func(name string) dict {
		return entryOf("Lambda", name, dict{"function": dict{"class_name": "__lambda__", "config": dict{"code": "4wAAAAAA"}}})
	}
	custom := entryOf("MyAttention", "look", nil)
	custom["module"], custom["registered_name"] = "research.layers", "research>MyAttention"

	dense := func(name string, policy dict) dict { return entryOf("Dense", name, dict{"units": 2, "dtype": policy}) }
	int8Policy := dict{"module": "keras.dtype_policies", "class_name": "QuantizedDTypePolicy", "config": dict{"mode": "int8", "source_name": "float32"}}
	oldPolicy := dict{"class_name": "QuantizedDTypePolicy", "config": dict{"name": "float8_from_mixed_bfloat16"}}

	var chain []dict
	for i := range 10000 {
		chain = append(chain, on(entryOf("ReLU", fmt.Sprint("a", i), nil), fmt.Sprint("a", i+1)))
	}
	chain = append(chain, on(entryOf("ReLU", "a10000", nil), "input"))
	var many []any
	for range 1 << 15 {
		many = append(many, []any{"act", 0, 0})
	}
	outputs := functional([]any{nil, 4}, "act", on(entryOf("ReLU", "act", nil), "input"))
	outputs["config"].(dict)["output_layers"] = many
	var operands []string
	for range 1 << 14 {
		operands = append(operands, "input")
	}
	circle := h5test.Write(h5test.Group(map[string]*h5test.Node{"layers": h5test.Group(nil)}))
	copy(circle[bytes.LastIndex(circle, []byte("SNOD"))+8+8:], circle[64:72]) // the root's entry is the root

	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "neither a .keras archive, nor HDF5, nor JSON"},
		{"half an archive", good[:len(good)/2], "the archive is damaged or incomplete"},
		{"an archive without its end", good[:len(good)-10], "the archive is damaged or incomplete"},
		{"a flipped bit in the weights", flip(good, bytes.Index(good, []byte("\x89HDF"))+600), "model.weights.h5 is damaged: its checksum is wrong"},
		{"a flipped bit in the configuration", flip(good, bytes.Index(good, []byte(`"filters"`))), "config.json is damaged: its checksum is wrong"},
		{"half an .h5", legacy[:len(legacy)/2], "the file is truncated"},
		{"an .h5 with a damaged root", flip(legacy, 65), "object header"},
		{"a bomb", deflated(t, "model.weights.h5", 80<<20, 80<<20), "it looks like a decompression bomb"},
		{"a bomb that lies", deflated(t, "model.weights.h5", 80<<20, 4096), "model.weights.h5: zip: not a valid zip file"},
		{"an entry outside", kerastest.Zip("config.json", text, "../../.ssh/authorized_keys", "x"), `entry "../../.ssh/authorized_keys" with a path outside the archive`},
		{"an absolute entry", kerastest.Zip("/etc/passwd", "x"), `entry "/etc/passwd" with a path outside the archive`},
		{"an entry twice", kerastest.Zip("config.json", text, "config.json", "{}"), `two entries "config.json"`},
		{"no configuration", kerastest.Zip("model.weights.h5", string(hdf5)), "has no config.json"},
		{"no weights", kerastest.Zip("config.json", text), "has no model.weights.h5"},
		{"weights that are none", kerastest.Zip("config.json", text, "model.weights.h5", strings.Repeat("x", 200)), "not an HDF5 file"},
		{"a group that contains itself", kerastest.Zip("config.json", text, "model.weights.h5", string(circle)), "the group contains itself"},
		{"not JSON", kerastest.Archive(`{"class_name": Sequential}`, nil), "config.json is not valid JSON"},
		{"deep JSON", kerastest.Archive(strings.Repeat(`{"a":[`, 1000)+strings.Repeat("]}", 1000), nil), "nested more than 400 levels deep"},
		{"long JSON", kerastest.Archive(`{"a":[`+strings.Repeat("1,", 1<<20)+"1]}", nil), "more than 262144 values"},
		{"JSON of another kind", kerastest.Archive(`{"labels": []}`, nil), `the model is a ""`},
		{"a subclass", kerastest.Archive(`{"class_name": "MyModel", "config": {}}`, nil), `the model is a "MyModel": only Sequential and Functional`},
		{"layers of one name", broken(entryOf("ReLU", "a", nil), entryOf("ReLU", "a", nil)), `two layers named "a"`},
		{"weights missing", kerastest.Archive(config, weights{"conv2d": w["conv2d"]}), `keras.layers.Dense "scores": its weight "kernel" (number 0) is not in the file`},
		{"weights of another shape", kerastest.Archive(config, weights{"conv2d": w["conv2d"], "dense": {seeded(71, 4), seeded(4)}}), `"scores": its weight "kernel" has shape [71,4] in the file, but shape [72,4] in the configuration`},
		{"too many weights", kerastest.Archive(config, weights{"conv2d": append([]*h5test.Node{}, seeded(3, 3, 3, 2), seeded(2), seeded(2)), "dense": w["dense"]}), `"conv": it has 3 weights in the file, want 2`},
		{"weights alone", legacyOf(func(r *h5test.Node) { delete(r.Attrs, "model_config") }), "the file contains only weights"},
		{"a group of weights missing", legacyOf(func(r *h5test.Node) { delete(r.At("model_weights").Children, "conv") }), `it has no "conv"`},
		{"a weight missing", legacyOf(func(r *h5test.Node) { delete(r.At("model_weights/conv/conv").Children, "bias") }), `/model_weights/conv/conv: it has no "bias"`},
		{"a layer without a list of weights", legacyOf(func(r *h5test.Node) { delete(r.At("model_weights/conv").Attrs, "weight_names") }), `no attribute "weight_names"`},
		{"layers in a circle", kerastest.Archive(functional([]any{nil, 4}, "b", on(entryOf("Add", "a", nil), "input", "b"), on(entryOf("ReLU", "b", nil), "a")), nil), "the layers form a cycle"},
		{"a layer that does not exist", kerastest.Archive(functional([]any{nil, 4}, "b", on(entryOf("ReLU", "b", nil), "a")), nil), `layer "a", which does not exist`},
		{"an output that does not exist", kerastest.Archive(functional([]any{nil, 4}, "z", on(entryOf("ReLU", "b", nil), "input")), nil), `layer "z", which does not exist`},
		{"long names", kerastest.Archive(sequential([]any{nil, 4}, entryOf("ReLU", strings.Repeat("n", 5000), nil)), nil), "is longer than 4096 bytes"},
		{"models inside models", kerastest.Archive(doubled(30), nil), "expand to more than"},
		{"a long chain backwards", kerastest.Archive(functional([]any{nil, 4}, "a0", chain...), nil), "precede the layers that they read"},
		{"many outputs", kerastest.Archive(outputs, nil), "inputs or outputs"},
		{"many operands", kerastest.Archive(functional([]any{nil, 4}, "sum", on(entryOf("Add", "sum", nil), operands...)), nil), "it reads 16384 tensors"},
		{"a huge border", broken(entryOf("ZeroPadding2D", "pad", dict{"padding": []int{16000000, 16000000}})), `"pad": [1,32000008,32000008,3] has more than`},
		{"an endless border", broken(entryOf("ZeroPadding2D", "pad", dict{"padding": []int64{1 << 40, 1}})), `"pad": padding`},
		{"a huge kernel", broken(entryOf("Conv2D", "c", dict{"filters": 2, "kernel_size": []int{1 << 30, 3}})), `"c": kernel_size: 1073741824 is outside the range`},
		{"huge statistics", broken(entryOf("ZeroPadding2D", "pad", dict{"padding": []int{2050, 2050}}), entryOf("Normalization", "n", dict{"axis": []int{1, 2}, "mean": 0, "variance": 1})), `"n": statistics`},
		{"a layer without a configuration", broken(dict{"module": "keras.layers", "class_name": "Normalization", "name": "n"}), `"n": its weight "mean"`},
		{"no channels", kerastest.Archive(sequential([]any{nil, 8, 8, 0}, entryOf("Conv2D", "c", dict{"filters": 2, "kernel_size": []int{3, 3}})), nil), `"c"`},
		{"a negative stride", broken(entryOf("Conv2D", "c", dict{"filters": 2, "kernel_size": 3, "strides": -1})), `"c": strides: -1 is outside the range`},
		{"text for a number", broken(entryOf("Dense", "d", dict{"units": "many"})), `"d": units is many, not a whole number`},
		{"an unknown activation", broken(entryOf("Activation", "a", dict{"activation": "zap"})), `zap`},
		{"code and classes of others", broken(lambda("swap"), entryOf("ReLU", "fine", nil), custom, lambda("norm")),
			"3 things in this model cannot be compiled:\n" +
				`  keras.layers.Lambda "swap": it contains Python code, which modelc does not run (replace it by built-in layers or keras.ops, and save the model again)` + "\n" +
				`  research>MyAttention "look": it is of the custom class research>MyAttention, whose Python code modelc does not run (build it from the layers of Keras or keras.ops, and save the model again)` + "\n" +
				`  keras.layers.Lambda "norm"`},
		{"quantised layers", broken(dense("a", int8Policy), dense("b", oldPolicy), dense("c", dict{"class_name": "DTypePolicy", "config": dict{"name": "float32"}})),
			"2 things in this model cannot be compiled:\n" +
				"  keras.layers.Dense \"a\": model.quantize(\"int8\") changed it (save the model before model.quantize, and quantise it with `modelc quantize`)\n" +
				"  keras.layers.Dense \"b\": model.quantize(\"float8\")"},
		{"open extents", kerastest.Archive(sequential([]any{nil, nil, nil, 3}, entryOf("ReLU", "r", nil)), nil),
			`open extents: height of input "input" (axis 1), width of input "input" (axis 2): set --dim height=N --dim width=N`},
		{"shards without a model", []byte(`{"weight_map": {"/layers/dense/vars": ["m_00000.weights.h5"]}}`), "only lists shards of weights: write model.to_json()"},
		{"strides and dilations", broken(entryOf("Conv2D", "c", dict{"filters": 2, "kernel_size": 3, "strides": 2, "dilation_rate": []int{1, 2}})), `"c": strides [2 2] together with dilation_rate [1 2], which Keras does not support`},
		{"where a custom layer stands", kerastest.Archive(functional([]any{nil, 4}, "b", on(entryOf("ReLU", "first", nil), "input"), on(lambda("b"), "first")), nil), `it reads ["first"]`},
		{"random at inference", kerastest.Zip("metadata.json", `{"keras_version":"2.15.0"}`, "config.json",
			kerastest.JSON(functional([]any{nil, 4}, "b", training(on(entryOf("Dropout", "b", nil), "input")))), "model.weights.h5", string(hdf5)), "training=True"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begin := time.Now()
			m, err := loadBytes(c.data, source.Options{})
			took := time.Since(begin)
			runtime.ReadMemStats(&after)
			if m != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %.400v\nwant %s", err, c.want)
			}
			// A busy machine takes several times as long as an idle one. Work that
			// grows faster than the file takes thousands of times as long.
			if took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 128<<20+32*uint64(len(c.data)) {
				t.Errorf("it took %d MB for a file of %d kB", n>>20, len(c.data)>>10)
			}
		})
	}
}

func training(l dict) dict {
	l["inbound_nodes"].([]any)[0].(dict)["kwargs"] = dict{"training": true}
	return l
}

// A file that is truncated at any length is an error.
func TestTruncated(t *testing.T) {
	config, w := small()
	for name, data := range map[string][]byte{"model.keras": kerastest.Archive(config, w), "model.h5": legacyOf(func(*h5test.Node) {})} {
		for n := 0; n < len(data); n += 13 {
			if _, err := loadBytes(data[:n], source.Options{}); err == nil {
				t.Errorf("%s: %d of %d bytes load", name, n, len(data))
			}
		}
	}
}

// FuzzConfig reads configurations, and FuzzFile reads files. No input may cause a
// panic or take more than a second.
func FuzzConfig(f *testing.F) {
	config, w := small()
	f.Add([]byte(kerastest.JSON(config)))
	f.Add([]byte(kerastest.JSON(doubled(2))))
	f.Add([]byte(kerastest.JSON(functional([]any{nil, 4}, "b", on(entryOf("Add", "a", nil), "input", "input"), on(entryOf("ReLU", "b", nil), "a")))))
	f.Add([]byte(keras2))
	for _, class := range []string{"Resizing", "Reshape", "Permute", "UpSampling2D", "Cropping2D", "LayerNormalization", "GroupNormalization", "Softmax", "GlobalAveragePooling2D", "CenterCrop", "Normalization", "Rescaling", "TimeDistributed", "DepthwiseConv2D", "Conv2DTranspose", "AveragePooling2D"} {
		f.Add([]byte(kerastest.JSON(sequential([]any{nil, 8, 8, 3}, entryOf(class, "l", dict{"height": 4, "width": 5, "target_shape": []int{-1, 3}, "dims": []int{2, 1, 3}, "size": 2, "cropping": 1, "groups": 3, "scale": 0.5, "mean": 1, "variance": 2, "axis": -1, "layer": entryOf("ReLU", "r", nil)})))))
	}
	for name := range registry[nsTF] {
		for _, kwargs := range []string{
			`{"axis":1,"shape":[["t",0,0],-1],"size":[3,4],"k":2,"ksize":[1,2,2,1],"strides":2,"padding":"SAME","block_size":2,"target_height":9,"target_width":5,"perm":[0,2,1,3],"multiples":[1,2,1,1],"y":["t",0,0],"num_or_size_splits":[1,-1]}`,
			`{"begin":[0,1],"end":[1,3],"begin_mask":1,"strides":[1,-1],"paddings":[[0,0],[1,1],[0,1],[0,0]],"indices":[0,2],"depth":4,"bias":[1,2,3],"slice_spec":{"start":["t",0,0],"stop":2,"step":null},"filter":[[[[1,2]],[[1,2]],[[1,2]]]],"central_fraction":0.5,"b":2,"dims":[2,2],"value":1,"limit":5}`,
		} {
			f.Add([]byte(`{"class_name":"Functional","config":{"name":"m","layers":[
{"class_name":"InputLayer","config":{"batch_input_shape":[1,8,6,3],"dtype":"float32","name":"i"},"name":"i","inbound_nodes":[]},
{"class_name":"TFOpLambda","config":{"name":"t","function":"rank"},"name":"t","inbound_nodes":[["i",0,0,{}]]},
{"class_name":"TFOpLambda","config":{"name":"c","function":"` + name + `"},"name":"c","inbound_nodes":[["i",0,0,` + kwargs + `]]}],
"input_layers":[["i",0,0]],"output_layers":[["c",0,0]]}}`))
		}
	}
	store, err := openRoot(h5test.Write(w.Root()))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		begin := time.Now()
		r, err := decodeJSON(b, "config.json")
		if err != nil {
			return
		}
		for _, version := range []string{"2.15.0", "3.15.1"} {
			convert("model", &file{version: version, config: r, store: &archiveStore{groups: []*hdf5.Group{store}}, metadata: map[string]string{}}, source.Options{})
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// keras2 is a configuration in the format of Keras 2.
const keras2 = `{"class_name":"Functional","config":{"name":"m","layers":[
{"class_name":"InputLayer","config":{"batch_input_shape":[null,4],"dtype":"float32","name":"i"},"name":"i","inbound_nodes":[]},
{"class_name":"TFOpLambda","config":{"name":"t","function":"math.multiply"},"name":"t","inbound_nodes":[["i",0,0,{"y":2.0,"name":null}]]},
{"class_name":"SlicingOpLambda","config":{"name":"s","function":"__operators__.getitem"},"name":"s","inbound_nodes":[["t",0,0,{"slice_spec":[{"start":null,"stop":null,"step":null},{"start":1,"stop":3,"step":1}]}]]},
{"class_name":"Concatenate","config":{"name":"c","axis":-1},"name":"c","inbound_nodes":[[["s",0,0,{}],["i",0,0,{}]]]}],
"input_layers":[["i",0,0]],"output_layers":[["c",0,0]]}}`

func FuzzFile(f *testing.F) {
	config, w := small()
	f.Add(kerastest.Archive(config, w))
	f.Add(legacyOf(func(*h5test.Node) {}))
	f.Add([]byte(kerastest.JSON(config)))
	f.Add(binary.LittleEndian.AppendUint64(nil, 0x04034b50))
	f.Fuzz(func(t *testing.T, b []byte) {
		begin := time.Now()
		loadBytes(b, source.Options{})
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
