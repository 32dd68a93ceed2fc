package keras

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"modelc/frontend/keras/hdf5/h5test"
	"modelc/frontend/keras/kerastest"
	"modelc/frontend/source"
	"modelc/ir"
	"modelc/ir/eval"
)

// Operations on a row of four numbers, and layers that resize it, give the
// results of Keras.
func TestOperations(t *testing.T) {
	array := func(v ...any) dict {
		return dict{"class_name": "__numpy__", "config": dict{"value": v, "dtype": "float32"}}
	}
	x := kerastest.Tensor("input", 0)
	for _, c := range []struct {
		class  string
		config dict
		args   []any
		want   []float32 // for 1, −2, 4, 0.25
	}{
		{"NotEqual", nil, []any{x, 4.0}, []float32{1, 1, 0, 1}},
		{"LogicalNot", nil, []any{x}, []float32{0, 0, 0, 0}},
		{"FloorDivide", nil, []any{x, 1.5}, []float32{0, -2, 2, 0}},
		{"Multiply", nil, []any{x, array(1.0, 2.0, 3.0, 4.0)}, []float32{1, -4, 12, 1}},
		{"Round", nil, []any{x}, []float32{1, -2, 4, 0}},
		{"Expm1", nil, []any{x}, []float32{1.7182819, -0.8646647, 53.598152, 0.28402543}},
		{"Var", dict{"axis": []int{1}, "keepdims": true}, []any{x}, []float32{4.6054688}},
		{"Std", dict{"axis": 1}, []any{x}, []float32{2.1460357}},
		{"Logsumexp", dict{"axis": 1}, []any{x}, []float32{4.073049}},
		{"Norm", dict{"axis": 1}, []any{x}, []float32{4.5893898}},
		{"Argmin", dict{"axis": 1}, []any{x}, []float32{1}},
		{"Argmax", nil, []any{x}, []float32{2}},
		{"Any", dict{"axis": 1}, []any{x}, []float32{1}},
		{"ExpandDims", dict{"axis": []int{0, 3}}, []any{x}, []float32{1, -2, 4, 0.25}},
		{"Tile", dict{"repeats": []int{1, 2}}, []any{x}, []float32{1, -2, 4, 0.25, 1, -2, 4, 0.25}},
		{"Repeat", dict{"repeats": 2, "axis": 1}, []any{x}, []float32{1, 1, -2, -2, 4, 4, 0.25, 0.25}},
		{"Roll", dict{"shift": 1, "axis": 1}, []any{x}, []float32{0.25, 1, -2, 4}},
		{"Take", dict{"axis": -1}, []any{x, []any{2.0, 0.0}}, []float32{4, 1}},
		{"Moveaxis", dict{"source": 1, "destination": 0}, []any{x}, []float32{1, -2, 4, 0.25}},
		{"Glu", dict{"axis": -1}, []any{x}, []float32{0.98201376, -1.1243538}},
		{"Threshold", dict{"threshold": 0.5, "default_value": -1}, []any{x}, []float32{1, -1, 4, -1}},
		{"HardShrink", dict{"threshold": 0.5}, []any{x}, []float32{1, -2, 4, 0}},
		{"SoftShrink", dict{"threshold": 0.5}, []any{x}, []float32{0.5, -1.5, 3.5, 0}},
		{"Squareplus", dict{"b": 4}, []any{x}, []float32{1.618034, 0.41421354, 4.236068, 1.1327822}},
		{"SparsePlus", nil, []any{x}, []float32{1, 0, 4, 0.390625}},
		{"Sparsemax", nil, []any{x}, []float32{0, 0, 1, 0}},
	} {
		op := entryOf(c.class, "op", c.config)
		op["module"] = "keras.src.ops.numpy"
		check(t, c.class, functional([]any{nil, 4}, "op", kerastest.Call(op, c.args...)), []float32{1, -2, 4, 0.25}, c.want)
	}
	// TensorFlow rounds the coordinates. Exact coordinates differ by 4e-4.
	bicubic := entryOf("Resizing", "resize", dict{"height": 1, "width": 5, "interpolation": "bicubic"})
	check(t, "bicubic", sequential([]any{nil, 1, 3, 1}, bicubic), []float32{1, -2, 4},
		[]float32{1.2265766859054565, -0.32260799407958984, -2, 1.7583024501800537, 4.453153133392334})
	// A window much larger than the image averages all of it.
	pool := entryOf("AveragePooling2D", "pool", dict{"pool_size": 1 << 20, "strides": 2, "padding": "same"})
	check(t, "a huge window", sequential([]any{nil, 1, 3, 1}, pool), []float32{1, -2, 4}, []float32{1, 1})
}

func check(t *testing.T, name string, model dict, in, want []float32) {
	t.Helper()
	m, err := loadBytes(kerastest.Archive(model, nil), source.Options{})
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	x := ir.NewTensor(m.Graph.Inputs[0].Type)
	copy(x.Float32s(), in)
	y, err := eval.Run(m.Graph, []*ir.Tensor{x})
	if err != nil {
		t.Fatal(err)
	}
	w := ir.NewTensor(ir.T(ir.Float32, len(want)))
	copy(w.Float32s(), want)
	got := ir.FromFloat64s(w.Type, y[0].Float64s())
	if d, err := eval.Compare(got, w); err != nil || !d.Within(1e-6) {
		t.Errorf("%s: %v, want %v: %v", name, got.Float32s(), want, err)
	}
}

// keras.ops.add takes a constant with one extent other than 1 for a bias, and predict adds
// the bias of a channels-first convolution per channel, but that of the other ones along
// the width if that has as many elements. The rules are those of Keras 3 on TensorFlow:
// keras/src/backend/tensorflow/numpy.py, add. A loop over the elements is the oracle.
func TestBiasAxis(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	array := func(v any) dict {
		return dict{"class_name": "__numpy__", "config": dict{"value": v, "dtype": "float32"}}
	}
	for range 200 {
		c, h, w := 2+rng.IntN(2), 2+rng.IntN(2), 2+rng.IntN(2)
		at := rng.IntN(3) // axis of the constant's elements
		n := []int{c, h, w}[at]
		var constant any
		list := make([]any, n)
		for i := range list {
			list[i] = float64(i + 1)
		}
		switch at { // [n,1,1], [1,n,1] or [1,1,n]
		case 0:
			rows := make([]any, n)
			for i := range rows {
				rows[i] = []any{[]any{list[i]}}
			}
			constant = rows
		case 1:
			rows := make([]any, n)
			for i := range rows {
				rows[i] = []any{list[i]}
			}
			constant = []any{rows}
		default:
			constant = []any{[]any{list}}
		}
		axis := at
		if n == w {
			axis = 2
		} else if n == c {
			axis = 0
		}
		want := make([]float32, c*h*w)
		for i := range want {
			want[i] = float32([]int{i / (h * w), i / w % h, i % w}[axis] + 1)
		}
		op := entryOf("Add", "op", nil)
		op["module"] = "keras.src.ops.numpy"
		name := fmt.Sprintf("%d,%d,%d plus %d along %d", c, h, w, n, at)
		check(t, name, functional([]any{nil, c, h, w}, "op", kerastest.Call(op, kerastest.Tensor("input", 0), array(constant))), make([]float32, len(want)), want)
	}
	for _, class := range []string{"Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose"} {
		for _, width := range []int{3, 4} {
			l := entryOf(class, "l", dict{"filters": 3, "kernel_size": 1, "data_format": "channels_first"})
			bias := h5test.Dataset([]float32{1, 2, 3}, 3)
			zeros := func(shape ...int) *h5test.Node {
				return h5test.Dataset(make([]float32, ir.Shape(shape).Len()), shape...)
			}
			w := map[string]weights{
				"Conv2D":          {"conv2d": {zeros(1, 1, 3, 3), bias}},
				"DepthwiseConv2D": {"depthwise_conv2d": {zeros(1, 1, 3, 1), bias}},
				"SeparableConv2D": {"separable_conv2d": {zeros(1, 1, 3, 1), zeros(1, 1, 3, 3), bias}},
				"Conv2DTranspose": {"conv2d_transpose": {zeros(1, 1, 3, 3), bias}},
			}[class]
			m, err := loadBytes(kerastest.Archive(sequential([]any{nil, 3, 2, width}, l), w), source.Options{})
			if err != nil {
				t.Fatal(err)
			}
			y, err := eval.Run(m.Graph, []*ir.Tensor{ir.NewTensor(m.Graph.Inputs[0].Type)})
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range y[0].Float32s() {
				want := i/(2*width) + 1
				if class != "Conv2D" && width == 3 {
					want = i%width + 1
				}
				if v != float32(want) {
					t.Fatalf("%s, width %d: element %d is %v, want %d", class, width, i, v, want)
				}
			}
		}
	}
}

// A parameter of an operator that modelc does not know is refused, unless it has its
// default. Unknown parameters were ignored.
func TestUnreadParameters(t *testing.T) {
	for _, c := range []struct {
		kwargs dict
		want   string // "" for a model that loads
	}{
		{dict{"y": 2.0, "name": "n", "conjugate": false, "data_format": "NHWC"}, ""},
		{dict{"y": 2.0, "unheard_of": 3.0}, "its parameter unheard_of is 3, which is not supported"},
		{dict{"y": 2.0, "data_format": "NCHW"}, "its parameter data_format is NCHW, which is not supported"},
	} {
		m := strings.Replace(keras2, `{"y":2.0,"name":null}`, kerastest.JSON(c.kwargs), 1)
		archive := kerastest.Zip("metadata.json", `{"keras_version":"2.14.0"}`, "config.json", m, "model.weights.h5", string(h5test.Write(h5test.Group(nil))))
		_, err := loadBytes(archive, source.Options{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: %v, want %q", c.kwargs, err, c.want)
		}
	}
}
