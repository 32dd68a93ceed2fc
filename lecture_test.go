package modelc

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"modelc/backend/inproc"
	"modelc/frontend/keras/hdf5/h5test"
	"modelc/frontend/keras/kerastest"
	"modelc/ir"
	"modelc/ir/eval"
)

// The tests of this file check the layers and networks of a first lecture on
// convolutional networks. Each case is a .keras file, which is compiled and run. Its
// outputs are compared with the definition of the layer as loops.

// A lesson is a compiled model of the lecture.
type lesson struct {
	*Compiled
	t *testing.T
}

// learn compiles a model.
func learn(t *testing.T, config kerastest.Dict, w kerastest.Weights) lesson {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.keras")
	if err := os.WriteFile(path, kerastest.Archive(config, w), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := Compile(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return lesson{c, t}
}

// shape returns the shape of the output.
func (l lesson) shape() ir.Shape { return l.Graph.Outputs[0].Value.Type.Shape }

// run returns a seeded input and the output for it. It checks that the reference
// interpreter computes the same output.
func (l lesson) run() (x, y *ir.Tensor) {
	l.t.Helper()
	in := eval.Inputs(l.Before, 1)
	e, err := inproc.New(l.Program, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	defer e.Close()
	got, err := e.Run(in)
	if err != nil {
		l.t.Fatal(err)
	}
	want, err := eval.Run(l.Before, in)
	if err != nil {
		l.t.Fatal(err)
	}
	if d, err := eval.Compare(got[0], want[0]); err != nil || !d.Within(1e-5) {
		l.t.Errorf("kernels and reference: %v, %v", d, err)
	}
	return in[0], got[0]
}

// image is an array of pixels [row][column][channel].
type image struct {
	h, w, c int
	at      []float32
}

// picture returns element n of a batch [N,H,W,C].
func picture(t *ir.Tensor, n int) image {
	s := t.Shape
	size := s[1] * s[2] * s[3]
	return image{s[1], s[2], s[3], t.Float32s()[n*size : (n+1)*size]}
}

// pixel returns the value at a position. It is zero outside the image.
func (m image) pixel(y, x, c int) float64 {
	if y < 0 || y >= m.h || x < 0 || x >= m.w {
		return 0
	}
	return float64(m.at[(y*m.w+x)*m.c+c])
}

// distance returns the largest difference of a value from f at its position.
func (m image) distance(f func(y, x, c int) float64) float64 {
	worst := 0.0
	for y := range m.h {
		for x := range m.w {
			for c := range m.c {
				worst = max(worst, math.Abs(m.pixel(y, x, c)-f(y, x, c)))
			}
		}
	}
	return worst
}

// near is the maximum difference of float32 results from the loops.
const near = 1e-4

// filter applies a kernel [K,K,C,M] at pixel y, x. The result is the correlation
// Σ input(y+i, x+j)·kernel(i, j) or, if flipped is set, the convolution of
// mathematics.
func filter(in image, kernel *h5test.Node, flipped bool, y, x, m int) float64 {
	k, channels, filters := kernel.Shape[0], kernel.Shape[2], kernel.Shape[3]
	sum := 0.0
	for i := range k {
		for j := range k {
			ki, kj := i, j
			if flipped {
				ki, kj = k-1-i, k-1-j
			}
			for c := range channels {
				sum += in.pixel(y+i, x+j, c) * float64(kernel.Data[((ki*k+kj)*channels+c)*filters+m])
			}
		}
	}
	return sum
}

func conv(name string, filters, size int, more kerastest.Dict) kerastest.Dict {
	c := kerastest.Dict{"filters": filters, "kernel_size": []int{size, size}, "use_bias": false}
	for k, v := range more {
		c[k] = v
	}
	return kerastest.Layer("Conv2D", name, c)
}

// Conv2D(32, 5×5, valid, relu) on (32,128,128,3) gives (32,124,124,32).
func TestLectureConv2D(t *testing.T) {
	layer := conv("conv", 32, 5, kerastest.Dict{"activation": "relu"})
	w := kerastest.Weights{"conv2d": {kerastest.Seeded(5, 5, 3, 32)}}
	if s := learn(t, kerastest.Sequential([]any{32, 128, 128, 3}, layer), w).shape(); !s.Equal(ir.Shape{32, 124, 124, 32}) {
		t.Errorf("shape %v", s)
	}
	x, y := learn(t, kerastest.Sequential([]any{2, 20, 24, 3}, layer), w).run()
	for n := range 2 {
		in := picture(x, n)
		if d := picture(y, n).distance(func(y, x, m int) float64 {
			return max(0, filter(in, w["conv2d"][0], false, y, x, m))
		}); d > near {
			t.Errorf("picture %d differs by %g", n, d)
		}
	}
}

// A convolution of networks does not flip the kernel. It is a correlation.
func TestLectureCorrelation(t *testing.T) {
	w := kerastest.Weights{"conv2d": {kerastest.Seeded(3, 3, 2, 4)}}
	x, y := learn(t, kerastest.Sequential([]any{1, 9, 9, 2}, conv("conv", 4, 3, nil)), w).run()
	in, out := picture(x, 0), picture(y, 0)
	if d := out.distance(func(y, x, m int) float64 { return filter(in, w["conv2d"][0], false, y, x, m) }); d > near {
		t.Errorf("the correlation differs by %g", d)
	}
	if d := out.distance(func(y, x, m int) float64 { return filter(in, w["conv2d"][0], true, y, x, m) }); d < 0.1 {
		t.Errorf("with the kernel flipped it differs by %g only", d)
	}
}

// Pools have the right extents and values. Padding is not part of a window.
func TestLecturePooling(t *testing.T) {
	for _, c := range []struct {
		class, padding string
		size, stride   int
		in, out        int
	}{
		{"MaxPooling2D", "valid", 2, 2, 128, 64},
		{"MaxPooling2D", "valid", 2, 5, 128, 26},
		{"MaxPooling2D", "valid", 5, 5, 128, 25},
		{"MaxPooling2D", "same", 5, 5, 128, 26},
		{"MaxPooling2D", "same", 5, 1, 64, 64},
		{"AveragePooling2D", "valid", 2, 2, 128, 64},
		{"AveragePooling2D", "same", 3, 2, 65, 33},
	} {
		layer := kerastest.Layer(c.class, "pool", kerastest.Dict{"pool_size": []int{c.size, c.size}, "strides": []int{c.stride, c.stride}, "padding": c.padding})
		l := learn(t, kerastest.Sequential([]any{1, c.in, c.in, 3}, layer), nil)
		if !l.shape().Equal(ir.Shape{1, c.out, c.out, 3}) {
			t.Errorf("%v: shape %v", c, l.shape())
			continue
		}
		before := 0
		if c.padding == "same" {
			before = max((c.out-1)*c.stride+c.size-c.in, 0) / 2
		}
		x, y := l.run()
		in := picture(x, 0)
		if d := picture(y, 0).distance(func(y, x, ch int) float64 {
			top, sum, n := math.Inf(-1), 0.0, 0.0
			for i := range c.size {
				for j := range c.size {
					py, px := y*c.stride-before+i, x*c.stride-before+j
					if py < 0 || py >= in.h || px < 0 || px >= in.w {
						continue
					}
					v := in.pixel(py, px, ch)
					top, sum, n = max(top, v), sum+v, n+1
				}
			}
			if c.class == "MaxPooling2D" {
				return top
			}
			return sum / n
		}); d > near {
			t.Errorf("%v differs by %g", c, d)
		}
	}
}

// Batch normalisation uses the moving averages of the channel for any batch:
// γ(x−μ)/√(σ²+ε)+β.
func TestLectureBatchNormalization(t *testing.T) {
	gamma, beta, mean := kerastest.Seeded(3), h5test.Dataset([]float32{1, -2, 3}, 3), h5test.Dataset([]float32{.5, 0, -4}, 3)
	variance := h5test.Dataset([]float32{4, .25, 9}, 3)
	layer := kerastest.Layer("BatchNormalization", "norm", kerastest.Dict{"epsilon": 1e-3})
	x, y := learn(t, kerastest.Sequential([]any{2, 6, 5, 3}, layer), kerastest.Weights{"batch_normalization": {gamma, beta, mean, variance}}).run()
	for n := range 2 {
		in := picture(x, n)
		if d := picture(y, n).distance(func(y, x, c int) float64 {
			v := (in.pixel(y, x, c) - float64(mean.Data[c])) / math.Sqrt(float64(variance.Data[c])+1e-3)
			return float64(gamma.Data[c])*v + float64(beta.Data[c])
		}); d > near {
			t.Errorf("picture %d differs by %g", n, d)
		}
	}
}

// Padding adds zeros, repeats the border, or mirrors the image with or without the
// border.
func TestLecturePadding(t *testing.T) {
	pad := func(mode string) kerastest.Dict {
		l := kerastest.Layer("Pad", "pad", kerastest.Dict{"pad_width": []any{[]int{0, 0}, []int{2, 2}, []int{2, 2}, []int{0, 0}}, "mode": mode})
		l["module"] = "keras.src.ops.numpy"
		return l
	}
	const n = 6
	for _, c := range []struct {
		layer kerastest.Dict
		index func(i int) int // of the input, −1 for a zero
	}{
		{kerastest.Layer("ZeroPadding2D", "pad", kerastest.Dict{"padding": 2}), func(i int) int {
			if i < 0 || i >= n {
				return -1
			}
			return i
		}},
		{pad("edge"), func(i int) int { return min(max(i, 0), n-1) }},
		{pad("symmetric"), func(i int) int { return min(max(i, -1-i), 2*n-1-i) }},
		{pad("reflect"), func(i int) int { return min(max(i, -i), 2*n-2-i) }},
	} {
		// With a convolution after it, the padding is not stored.
		w := kerastest.Weights{"conv2d": {kerastest.Seeded(3, 3, 2, 4)}}
		for _, layers := range [][]kerastest.Dict{{c.layer}, {c.layer, conv("conv", 4, 3, nil)}} {
			var list []kerastest.Dict
			last := kerastest.Input
			for _, l := range layers {
				l["inbound_nodes"] = []any{}
				list = append(list, kerastest.On(l, last))
				last = l["name"].(string)
			}
			x, y := learn(t, kerastest.Functional([]any{1, n, n, 2}, last, list...), w).run()
			in := picture(x, 0)
			padded := image{n + 4, n + 4, 2, make([]float32, (n+4)*(n+4)*2)}
			for y := range n + 4 {
				for x := range n + 4 {
					for ch := range 2 {
						padded.at[(y*(n+4)+x)*2+ch] = float32(in.pixel(c.index(y-2), c.index(x-2), ch))
					}
				}
			}
			want := padded.pixel
			if len(layers) > 1 {
				want = func(y, x, m int) float64 { return filter(padded, w["conv2d"][0], false, y, x, m) }
			}
			if d := picture(y, 0).distance(want); d > near {
				t.Errorf("%v, %d layers: differs by %g", c.layer["config"], len(layers), d)
			}
		}
	}
}

// With stride s, a convolution has every s-th result. With "same" padding, the
// result has ⌈n/s⌉ pixels along an axis, and if the number of zeros is odd, there is
// one more at the end.
func TestLectureStride(t *testing.T) {
	w := kerastest.Weights{"conv2d": {kerastest.Seeded(3, 3, 3, 5)}}
	for _, c := range []struct {
		padding           string
		stride, n         int
		out, begin, start int
	}{{"valid", 2, 11, 5, 0, 0}, {"valid", 3, 11, 3, 0, 0}, {"same", 2, 12, 6, 0, 0}, {"same", 2, 11, 6, 1, 0}, {"same", 1, 11, 11, 1, 0}} {
		l := learn(t, kerastest.Sequential([]any{1, c.n, c.n, 3}, conv("conv", 5, 3, kerastest.Dict{"strides": c.stride, "padding": c.padding})), w)
		if !l.shape().Equal(ir.Shape{1, c.out, c.out, 5}) {
			t.Errorf("%v: shape %v", c, l.shape())
		}
		x, y := l.run()
		in := picture(x, 0)
		if d := picture(y, 0).distance(func(y, x, m int) float64 {
			return filter(in, w["conv2d"][0], false, y*c.stride-c.begin, x*c.stride-c.begin, m)
		}); d > near {
			t.Errorf("%v differs by %g", c, d)
		}
	}
}

// drawing builds a Functional model and its weights.
type drawing struct {
	layers []kerastest.Dict
	w      kerastest.Weights
	kept   map[string]int // layers with weights, by class
	last   string
}

func draw() *drawing {
	return &drawing{w: kerastest.Weights{}, kept: map[string]int{}, last: kerastest.Input}
}

// add appends a layer that reads others, the last one by default.
func (d *drawing) add(class, name string, config kerastest.Dict, from ...string) string {
	if from == nil {
		from = []string{d.last}
	}
	d.layers = append(d.layers, kerastest.On(kerastest.Layer(class, name, config), from...))
	d.last = name
	return name
}

// keep adds the weights of the next layer of a class.
func (d *drawing) keep(class string, list ...*h5test.Node) {
	key := class
	if n := d.kept[class]; n > 0 {
		key = fmt.Sprintf("%s_%d", class, n)
	}
	d.kept[class]++
	d.w[key] = list
}

// scaled returns random weights that keep the scale of the operand.
func scaled(fan int, shape ...int) *h5test.Node {
	n := kerastest.Seeded(shape...)
	for i := range n.Data {
		n.Data[i] *= float32(math.Sqrt(2 / float64(fan)))
	}
	return n
}

func (d *drawing) conv(name string, from string, size, in, out, stride int, activation string) string {
	d.keep("conv2d", scaled(size*size*in, size, size, in, out), h5test.Dataset(make([]float32, out), out))
	return d.add("Conv2D", name, kerastest.Dict{"filters": out, "kernel_size": size, "strides": stride, "padding": "same", "activation": activation}, from)
}

// norm adds a batch normalisation whose result is multiplied by gain.
func (d *drawing) norm(name, from string, n int, gain float32) string {
	gamma, variance := make([]float32, n), make([]float32, n)
	for i := range n {
		gamma[i], variance[i] = gain*(1+float32(i)/float32(n)), 1+float32(i%3)
	}
	d.keep("batch_normalization", h5test.Dataset(gamma, n), scaled(200*n, n), scaled(200*n, n), h5test.Dataset(variance, n))
	return d.add("BatchNormalization", name, kerastest.Dict{"epsilon": 1e-3}, from)
}

func (d *drawing) dense(name string, in, out int, activation string) string {
	d.keep("dense", scaled(in, in, out), scaled(out, out))
	return d.add("Dense", name, kerastest.Dict{"units": out, "activation": activation})
}

func (d *drawing) learn(t *testing.T, shape ...any) lesson {
	t.Helper()
	return learn(t, kerastest.Functional(shape, d.last, d.layers...), d.w)
}

// probabilities checks that the output is a distribution.
func (l lesson) probabilities(classes int) {
	l.t.Helper()
	_, y := l.run()
	sum := 0.0
	for _, p := range y.Float64s() {
		sum += p
	}
	if !y.Shape.Equal(ir.Shape{1, classes}) || math.Abs(sum-1) > 1e-5 || slices.Min(y.Float32s()) < 0 {
		l.t.Errorf("shape %v, sum %v", y.Shape, sum)
	}
}

// shapes returns the shapes of the layers by name.
func (l lesson) shapes() map[string]ir.Shape {
	m := map[string]ir.Shape{}
	for _, n := range l.Before.Nodes {
		m[n.Out[0].Name] = n.Out[0].Type.Shape
	}
	return m
}

// LeNet-5 of 1998: 61,706 parameters.
func TestLectureLeNet5(t *testing.T) {
	d := draw()
	d.keep("conv2d", scaled(25, 5, 5, 1, 6), scaled(600, 6))
	d.keep("conv2d", scaled(150, 5, 5, 6, 16), scaled(600, 16))
	d.keep("conv2d", scaled(400, 5, 5, 16, 120), scaled(600, 120))
	layer := func(name string, filters int) {
		d.add("Conv2D", name, kerastest.Dict{"filters": filters, "kernel_size": 5, "activation": "tanh"})
	}
	layer("c1", 6)
	d.add("AveragePooling2D", "s2", kerastest.Dict{"pool_size": 2})
	layer("c3", 16)
	d.add("AveragePooling2D", "s4", kerastest.Dict{"pool_size": 2})
	layer("c5", 120)
	d.add("Flatten", "flat", nil)
	d.dense("f6", 120, 84, "tanh")
	d.dense("scores", 84, 10, "softmax")
	l := d.learn(t, nil, 32, 32, 1)
	for name, want := range map[string]ir.Shape{"c1": {1, 28, 28, 6}, "s2": {1, 14, 14, 6}, "c3": {1, 10, 10, 16}, "s4": {1, 5, 5, 16}, "c5": {1, 1, 1, 120}, "f6": {1, 84}} {
		if s := l.shapes()[name]; !s.Equal(want) {
			t.Errorf("%s has shape %v, want %v", name, s, want)
		}
	}
	if n := l.summary().ModelSize.Parameters; n != 61706 {
		t.Errorf("%d parameters", n)
	}
	l.probabilities(10)
}

// VGG-16 has thirteen 3×3 convolutions in five blocks, and three dense layers. The
// test has an eighth of the channels and pixels.
func TestLectureVGG16(t *testing.T) {
	d := draw()
	in := 3
	for block, layers := range []int{2, 2, 3, 3, 3} {
		out := 8 << min(block, 3)
		for i := range layers {
			d.conv(fmt.Sprintf("block%d_conv%d", block+1, i+1), d.last, 3, in, out, 1, "relu")
			in = out
		}
		d.add("MaxPooling2D", fmt.Sprintf("block%d_pool", block+1), kerastest.Dict{"pool_size": 2})
	}
	d.add("Flatten", "flatten", nil)
	d.dense("fc1", 2*2*64, 64, "relu")
	d.dense("fc2", 64, 64, "relu")
	d.dense("predictions", 64, 10, "softmax")
	l := d.learn(t, nil, 64, 64, 3)
	for block, size := range []int{32, 16, 8, 4, 2} {
		name := fmt.Sprintf("block%d_pool", block+1)
		if s, want := l.shapes()[name], (ir.Shape{1, size, size, 8 << min(block, 3)}); !s.Equal(want) {
			t.Errorf("%s has shape %v, want %v", name, s, want)
		}
	}
	count := map[string]int{}
	for _, n := range l.Graph.Nodes {
		count[n.Op.Name()]++
	}
	// Activations are parts of layers. The transpositions change the layout of the picture and
	// the order of the flattened features. Neither is a step.
	if count["Conv"] != 13 || count["Pool"] != 5 || count["Dense"] != 3 || count["Unary"] != 0 || count["Transpose"] > 2 {
		t.Errorf("%v", count)
	}
	for _, s := range l.Program.Layers {
		if strings.Contains(s.Doc, "Transpose") || strings.Contains(s.Doc, "Unpack") {
			t.Errorf("a step moves elements: %s", s.Doc)
		}
	}
	l.probabilities(10)
}

// A block of ResNet v1 adds its input to the result of its convolutions, and
// rectifies the sum. If the result of the convolutions is 0, the block is
// relu(input).
func TestLectureResNetV1(t *testing.T) {
	block := func(gain float32) *drawing {
		d := draw()
		x := d.conv("stem", d.last, 3, 3, 16, 1, "linear")
		y := d.conv("conv1", x, 3, 16, 16, 1, "linear")
		y = d.add("Activation", "relu1", kerastest.Dict{"activation": "relu"}, d.norm("bn1", y, 16, 1))
		y = d.conv("conv2", y, 3, 16, 16, 1, "linear")
		y = d.norm("bn2", y, 16, gain)
		if gain == 0 {
			clear(d.w["batch_normalization_1"][1].Data) // β
		}
		d.add("Add", "add", nil, x, y)
		d.add("Activation", "out", kerastest.Dict{"activation": "relu"})
		return d
	}
	l := block(1).learn(t, 1, 16, 16, 3)
	l.run()
	for _, n := range l.Graph.Nodes {
		if _, ok := n.Op.(ir.Binary); ok {
			t.Errorf("%s is a step of its own, not the end of a convolution", n)
		}
	}
	d := block(0)
	x, y := d.learn(t, 1, 16, 16, 3).run()
	in, kernel := picture(x, 0), d.w["conv2d"][0]
	if d := picture(y, 0).distance(func(y, x, m int) float64 { return max(0, filter(in, kernel, false, y-1, x-1, m)) }); d > near {
		t.Errorf("differs from relu(input) by %g", d)
	}
}

// A block of ResNet v2 normalises and rectifies before its convolutions. The path
// around them is the identity, and no rectifier follows the sum.
func TestLectureResNetV2(t *testing.T) {
	block := func(silent bool) *drawing {
		d := draw()
		x := d.conv("stem", d.last, 3, 3, 16, 1, "linear")
		y := d.add("Activation", "relu1", kerastest.Dict{"activation": "relu"}, d.norm("bn1", x, 16, 1))
		y = d.conv("conv1", y, 3, 16, 16, 1, "linear")
		y = d.add("Activation", "relu2", kerastest.Dict{"activation": "relu"}, d.norm("bn2", y, 16, 1))
		y = d.conv("conv2", y, 3, 16, 16, 1, "linear")
		if silent {
			clear(d.w["conv2d_2"][0].Data)
		}
		d.add("Add", "add", nil, x, y)
		return d
	}
	block(false).learn(t, 1, 16, 16, 3).run()
	d := block(true)
	x, y := d.learn(t, 1, 16, 16, 3).run()
	in, kernel := picture(x, 0), d.w["conv2d"][0]
	if d := picture(y, 0).distance(func(y, x, m int) float64 { return filter(in, kernel, false, y-1, x-1, m) }); d > near {
		t.Errorf("differs from the input by %g", d)
	}
	if slices.Min(y.Float32s()) >= 0 {
		t.Error("the sum was rectified")
	}
}

// Each layer of a block of DenseNet reads the results of all layers before it and
// appends its channels to them.
func TestLectureDenseNet(t *testing.T) {
	const growth = 12
	d := draw()
	all := d.conv("stem", d.last, 3, 3, 24, 1, "linear")
	channels := 24
	for i := range 3 {
		n := fmt.Sprint(i + 1)
		y := d.add("Activation", "relu"+n, kerastest.Dict{"activation": "relu"}, d.norm("bn"+n, all, channels, 1))
		y = d.conv("conv"+n, y, 3, channels, growth, 1, "linear")
		all = d.add("Concatenate", "concat"+n, nil, all, y)
		channels += growth
	}
	l := d.learn(t, 1, 16, 16, 3)
	if !l.shape().Equal(ir.Shape{1, 16, 16, 24 + 3*growth}) {
		t.Errorf("shape %v", l.shape())
	}
	x, y := l.run()
	in, out, kernel := picture(x, 0), picture(y, 0), d.w["conv2d"][0]
	stem := image{16, 16, 24, nil}
	for y := range 16 {
		for x := range 16 {
			for c := range 24 {
				stem.at = append(stem.at, float32(out.pixel(y, x, c)))
			}
		}
	}
	if d := stem.distance(func(y, x, m int) float64 { return filter(in, kernel, false, y-1, x-1, m) }); d > near {
		t.Errorf("the first channels differ from the block's input by %g", d)
	}
}
