package zoo

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestPublishedSizes compares the numbers of parameters and of multiply-accumulates with those of
// the networks in torchvision, and for ResNet-50 v2 in Keras. Multiply-accumulates depend on every
// stride and pad.
func TestPublishedSizes(t *testing.T) {
	for _, want := range []struct {
		name       string
		parameters int64
		mmacs      int64
	}{
		{"lenet5", 61_706, 0},
		{"lenet5-relu", 61_706, 0},
		{"vgg16", 138_357_544, 15_470},
		{"vgg19", 143_667_240, 19_632},
		{"resnet18", 11_689_512, 1_814},
		{"resnet50", 25_557_032, 4_089},
		{"resnet50v2", 25_568_360, 3_482},
		{"densenet121", 7_978_856, 2_834},
		{"squeezenet1.1", 1_235_496, 349},
		{"mobilenetv2", 3_504_872, 300},
	} {
		info, err := Lookup(want.name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Parameters != want.parameters || info.MACs/1e6 != want.mmacs {
			t.Errorf("%s has %d parameters and %d MMAC, published are %d and %d", want.name, info.Parameters, info.MACs/1e6, want.parameters, want.mmacs)
		}
	}
}

func TestExtent(t *testing.T) {
	for _, c := range []struct {
		in, kernel, stride, pad int
		ceil                    bool
		want                    int
	}{
		{224, 7, 2, 3, false, 112},
		{112, 3, 2, 1, false, 56},
		{111, 3, 2, 0, true, 55},
		{32, 3, 2, 0, false, 15},
		{32, 3, 2, 0, true, 16},
		{5, 5, 1, 0, false, 1},
	} {
		var b builder
		if got := b.extent("x", c.in, c.kernel, c.stride, c.pad, c.ceil); got != c.want || b.err != nil {
			t.Errorf("%+v: got %d, error %v", c, got, b.err)
		}
	}
}

// small has options with which every network has all its layers and runs quickly.
func small(name string) Options {
	o := Options{Width: 0.25, Size: 64, Classes: 10, Seed: 1}
	if strings.HasPrefix(name, "lenet5") {
		o.Size = 0
	}
	return o
}

func TestNodeCounts(t *testing.T) {
	want := map[string]map[string]int{
		"lenet5":        {"Conv": 2, "Tanh": 4, "AveragePool": 2, "Gemm": 3},
		"lenet5-relu":   {"Conv": 2, "Relu": 4, "MaxPool": 2, "Gemm": 3},
		"vgg16":         {"Conv": 13, "Relu": 15, "MaxPool": 5, "Gemm": 3},
		"vgg19":         {"Conv": 16, "Relu": 18, "MaxPool": 5, "Gemm": 3},
		"resnet18":      {"Conv": 20, "BatchNormalization": 20, "Add": 8, "Relu": 17, "Gemm": 1},
		"resnet50":      {"Conv": 53, "BatchNormalization": 53, "Add": 16, "Relu": 49, "MaxPool": 1, "Gemm": 1},
		"resnet50v2":    {"Conv": 53, "BatchNormalization": 49, "Add": 16, "MaxPool": 4, "Pad": 1, "Gemm": 1},
		"densenet121":   {"Conv": 120, "BatchNormalization": 121, "Concat": 58, "AveragePool": 3, "Gemm": 1},
		"squeezenet1.1": {"Conv": 26, "Relu": 26, "Concat": 8, "MaxPool": 3, "GlobalAveragePool": 1},
		"mobilenetv2":   {"Conv": 52, "BatchNormalization": 52, "Clip": 35, "Add": 10, "Gemm": 1},
	}
	for _, name := range Names() {
		m := decode(t, write(t, name, small(name)))
		for op, n := range want[name] {
			if m.ops[op] != n {
				t.Errorf("%s has %d %s nodes, want %d", name, m.ops[op], op, n)
			}
		}
		if m.ops["Softmax"] != 1 {
			t.Errorf("%s has %d Softmax nodes, want 1", name, m.ops["Softmax"])
		}
	}
}

// TestFileIsConsistent decodes files and checks lengths, names and weights.
func TestFileIsConsistent(t *testing.T) {
	for _, name := range Names() {
		m := decode(t, write(t, name, small(name)))
		if len(m.weights) == 0 || m.outputs["output"] != 1 {
			t.Errorf("%s: %d initialisers, %d producers of output", name, len(m.weights), m.outputs["output"])
		}
		for value, n := range m.outputs {
			if n != 1 {
				t.Errorf("%s: %s has %d producers", name, value, n)
			}
		}
		for _, in := range m.inputs {
			if _, weight := m.weights[in]; !weight && m.outputs[in] == 0 && in != "input" {
				t.Errorf("%s: %s is read and not defined", name, in)
			}
		}
		for weight, data := range m.weights {
			for _, v := range data {
				if math.Abs(float64(v)) > 1e3 || math.IsNaN(float64(v)) {
					t.Errorf("%s: %s holds %v", name, weight, v)
					break
				}
			}
			if strings.HasSuffix(weight, ".running_var") {
				for _, v := range data {
					if v <= 0 {
						t.Errorf("%s: %s holds %v", name, weight, v)
						break
					}
				}
			}
		}
	}
}

// TestBytesAreReproducible checks the bytes of one network. They do not depend on the machine or the
// number of cores.
func TestBytesAreReproducible(t *testing.T) {
	const want = "9c0507ce583972bad3382f6bc06e97d15c2083df8ef2c8ad6cd7efe79f9ff4ce"
	sum := sha256.Sum256(write(t, "mobilenetv2", small("mobilenetv2")))
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("mobilenetv2 has SHA-256 %s, want %s; update the digest only for an intended change of the network", got, want)
	}
	o := small("mobilenetv2")
	o.Seed++
	if bytes.Equal(write(t, "mobilenetv2", o), write(t, "mobilenetv2", small("mobilenetv2"))) {
		t.Error("the seed has no effect")
	}
}

func TestWeightsAreNormal(t *testing.T) {
	const rows, length, std = 64, 576, 0.25
	for _, centre := range []float64{0, 1} {
		w := tensor{"w", []int{rows, length}, true, normal(std, centre)}
		var buf bytes.Buffer
		if _, err := w.writeData(&buf, 1, nil); err != nil {
			t.Fatal(err)
		}
		data := floats(buf.Bytes())
		var sum, squares float64
		var spread float64 // of row sums
		for r := range rows {
			var row float64
			for _, v := range data[r*length : (r+1)*length] {
				row += float64(v)
				squares += float64(v) * float64(v)
			}
			sum += row
			spread += row * row
		}
		n := float64(rows * length)
		if mean := sum / n; math.Abs(mean) > 0.005 {
			t.Errorf("centre %g: mean %g", centre, mean)
		}
		if got := math.Sqrt(squares / n); math.Abs(got-std) > 0.01*std {
			t.Errorf("centre %g: standard deviation %g, want %g", centre, got, std)
		}
		// Sums of independent values have the variance length·std², sums of centred values zero.
		if got, want := spread/rows/(length*std*std), 1-centre; math.Abs(got-want) > 0.4 || centre == 1 && got > 1e-6 {
			t.Errorf("centre %g: variance of row sums is %g of that of independent values", centre, got)
		}
	}
}

// TestRowsDiffer draws a tensor of more than one chunk.
func TestRowsDiffer(t *testing.T) {
	w := tensor{"w", []int{3, chunk / 2}, true, normal(1, 0)}
	var buf bytes.Buffer
	if _, err := w.writeData(&buf, 1, nil); err != nil {
		t.Fatal(err)
	}
	row := buf.Len() / 3
	for r := range 2 {
		if bytes.Equal(buf.Bytes()[2*row:], buf.Bytes()[r*row:(r+1)*row]) {
			t.Errorf("rows %d and 2 are equal", r)
		}
	}
}

func TestOptions(t *testing.T) {
	m := decode(t, write(t, "vgg16", Options{Width: 0.0625, Size: 32, Classes: 7, Batch: 3, Logits: true}))
	if m.ops["Softmax"] != 0 {
		t.Error("Logits left a Softmax")
	}
	if got := len(m.weights["fc8.bias"]); got != 7 {
		t.Errorf("fc8.bias has %d elements, want 7 classes", got)
	}
	if got := len(m.weights["conv1_1.weight"]); got != 4*3*9 {
		t.Errorf("conv1_1.weight has %d elements, want 4x3x3x3", got)
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct {
		name string
		o    Options
		want string
	}{
		{"alexnet", Options{}, "want lenet5, "},
		{"vgg16", Options{Size: 16}, "pool5: a window of 2 does not fit into 1 pixels"},
		{"vgg16", Options{Batch: -1}, "must not be negative"},
		{"vgg16", Options{Width: 4}, "use a smaller width"},
	} {
		err := Write(io.Discard, test.name, test.o)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Write(%s, %+v): error %v, want one with %q", test.name, test.o, err, test.want)
		}
	}
	full := errors.New("disk full")
	if err := Write(failing{full}, "lenet5", Options{}); !errors.Is(err, full) {
		t.Errorf("error of the writer: got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func write(t *testing.T, name string, o Options) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := Write(&buf, name, o); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// model holds the properties of a file that the tests check.
type model struct {
	ops     map[string]int // nodes by op type
	inputs  []string       // inputs of all nodes
	outputs map[string]int // number of producers of each value
	weights map[string][]float32
}

// decode reads an ONNX file by its field numbers. It fails the test if lengths are inconsistent.
func decode(t *testing.T, file []byte) model {
	t.Helper()
	m := model{ops: map[string]int{}, outputs: map[string]int{}, weights: map[string][]float32{}}
	for _, graph := range fields(t, file)[7] {
		f := fields(t, graph)
		for _, n := range f[1] {
			node := fields(t, n)
			m.ops[string(node[4][0])]++
			m.outputs[string(node[2][0])]++
			for _, in := range node[1] {
				m.inputs = append(m.inputs, string(in))
			}
		}
		for _, init := range f[5] {
			w := fields(t, init)
			elements := 1
			for _, d := range w[1] {
				n, _ := protowire.ConsumeVarint(d)
				elements *= int(n)
			}
			data, name := w[9][0], string(w[8][0])
			if dataType, _ := protowire.ConsumeVarint(w[2][0]); dataType == 1 { // float32
				m.weights[name] = floats(data)
			} else {
				m.weights[name] = nil
				elements *= 2
			}
			if len(data) != 4*elements {
				t.Errorf("%s: %d bytes of data do not fit its shape", name, len(data))
			}
		}
	}
	return m
}

// fields splits a message into the contents of its fields by number.
func fields(t *testing.T, m []byte) map[protowire.Number][][]byte {
	t.Helper()
	f := map[protowire.Number][][]byte{}
	for len(m) > 0 {
		number, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		size := protowire.ConsumeFieldValue(number, kind, m[n:])
		if size < 0 {
			t.Fatal(protowire.ParseError(size))
		}
		content := m[n : n+size]
		if kind == protowire.BytesType {
			content, _ = protowire.ConsumeBytes(content)
		}
		f[number] = append(f[number], content)
		m = m[n+size:]
	}
	return f
}

func floats(data []byte) []float32 {
	v := make([]float32, len(data)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return v
}
