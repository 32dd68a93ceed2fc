package modelc

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"modelc/backend/inproc"
	"modelc/internal/npy"
	"modelc/internal/onnxfile"
	"modelc/ir"
	"modelc/ir/eval"
)

// sketch builds a network with seeded weights.
type sketch struct {
	*ir.Graph
	t *testing.T
}

func (s sketch) emit(op ir.Op, in ...*ir.Value) *ir.Value {
	v, err := s.Emit(op.Name(), op, in...)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// weights returns a constant whose rows of fanIn elements keep the variance of what they are
// multiplied with.
func (s sketch) weights(fanIn int, shape ...int) *ir.Value {
	v := ir.Seeded(ir.T(ir.Float32, shape...), uint64(len(s.Constants))).Float64s()
	for i := range v {
		v[i] /= math.Sqrt(float64(fanIn))
	}
	return s.AddConst("w", ir.FromFloat64s(ir.T(ir.Float32, shape...), v))
}

// conv emits a convolution with stride 1 or that of both axes, and a ReLU.
func (s sketch) conv(x *ir.Value, m, k, stride, pad int) *ir.Value {
	in := x.Type.Shape
	kernel, strides, pads, dilations := []int{m, in[1]}, []int{}, []int{}, []int{}
	for range in[2:] {
		kernel, strides, pads, dilations = append(kernel, k), append(strides, stride), append(pads, pad, pad), append(dilations, 1)
	}
	w := s.weights(ir.Shape(kernel[1:]).Len()/2, kernel...)
	y := s.emit(ir.Conv{Strides: strides, Pads: pads, Dilations: dilations, Groups: 1}, x, w, s.weights(100, m))
	return s.emit(ir.Unary{Fn: ir.Act{Fn: ir.Relu}}, y)
}

func (s sketch) pool(x *ir.Value, h, w int) *ir.Value {
	return s.emit(ir.Pool{Kernel: []int{h, w}, Strides: []int{h, w}, Pads: make([]int, 4), Dilations: []int{1, 1}}, x)
}

// lstm emits an LSTM over x [T,N,I]. states are absent or h and c.
func (s sketch) lstm(x *ir.Value, hidden int, d ir.Direction, states ...*ir.Value) []*ir.Value {
	op := ir.Recurrent{Cell: ir.CellLSTM, Direction: d, F: ir.Act{Fn: ir.Sigmoid}, G: ir.Act{Fn: ir.Tanh}, H: ir.Act{Fn: ir.Tanh}}
	dirs, features := op.Directions(), x.Type.Shape[2]
	in := []*ir.Value{x, s.weights(features, dirs, 4*hidden, features), s.weights(hidden, dirs, 4*hidden, hidden), s.weights(10, dirs, 8*hidden)}
	n, err := s.Append("lstm", op, append(in, states...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return n.Out
}

// crnn is the network of Shi et al. 2015, which reads a line of text: convolutions like those
// of VGG, and two bidirectional LSTMs over the columns of the picture. divisor divides the
// channels.
func crnn(t *testing.T, divisor int) *ir.Graph {
	s := sketch{ir.NewGraph("crnn"), t}
	x := s.AddInput("x", ir.T(ir.Float32, 1, 1, 32, 100))
	v := s.pool(s.conv(x, 64/divisor, 3, 1, 1), 2, 2)
	v = s.pool(s.conv(v, 128/divisor, 3, 1, 1), 2, 2)
	v = s.pool(s.conv(s.conv(v, 256/divisor, 3, 1, 1), 256/divisor, 3, 1, 1), 2, 1)
	v = s.pool(s.conv(s.conv(v, 512/divisor, 3, 1, 1), 512/divisor, 3, 1, 1), 2, 1)
	v = s.conv(v, 512/divisor, 2, 1, 0) // [1,C,1,T]
	c, steps := v.Type.Shape[1], v.Type.Shape[3]
	v = s.emit(ir.Transpose{Perm: []int{2, 0, 1}}, s.emit(ir.Reshape{Shape: ir.Shape{1, c, steps}}, v))
	for _, units := range []int{256 / divisor, 37} {
		hidden := 256 / divisor
		v = s.lstm(v, hidden, ir.Bidirectional)[0]
		v = s.emit(ir.Dense{}, s.emit(ir.Reshape{Shape: ir.Shape{steps, 2 * hidden}}, v), s.weights(hidden, 2*hidden, units), s.weights(100, units))
		v = s.emit(ir.Reshape{Shape: ir.Shape{steps, 1, units}}, v)
	}
	s.AddOutput("scores", s.emit(ir.Softmax{Axes: []int{2}}, v))
	s.Prune()
	return s.Graph
}

// voiceDetector is a network like those that detect voices: strided convolutions over 32 ms of
// sound at 16 kHz, an LSTM whose states are inputs and outputs, and a probability.
func voiceDetector(t *testing.T) *ir.Graph {
	s := sketch{ir.NewGraph("vad"), t}
	x := s.AddInput("x", ir.T(ir.Float32, 1, 1, 512))
	h, c := s.AddInput("h", ir.T(ir.Float32, 1, 1, 128)), s.AddInput("c", ir.T(ir.Float32, 1, 1, 128))
	v := s.conv(x, 128, 256, 128, 64)
	for _, l := range []struct{ m, stride int }{{128, 1}, {64, 2}, {64, 2}, {128, 1}} {
		v = s.conv(v, l.m, 3, l.stride, 1)
	}
	v = s.emit(ir.Transpose{Perm: []int{2, 0, 1}}, v)
	out := s.lstm(v, 128, ir.Forward, h, c)
	score := s.emit(ir.Dense{Epilogue: ir.Act{Fn: ir.Sigmoid}}, s.emit(ir.Reshape{Shape: ir.Shape{1, 128}}, out[1]), s.weights(128, 128, 1), s.weights(1, 1))
	s.AddOutput("probability", score)
	s.AddOutput("next h", out[1])
	s.AddOutput("next c", out[2])
	s.Prune()
	return s.Graph
}

// Networks with LSTMs, read from ONNX files and compiled, have the outputs of the reference
// interpreter, and of ONNX Runtime if MODELC_ORT names a Python that has it. The outputs after
// the first are states, which the next call reads.
func TestRecurrentNetworks(t *testing.T) {
	python := os.Getenv("MODELC_ORT")
	divisor := 4
	if python != "" {
		divisor = 1
	}
	for name, g := range map[string]*ir.Graph{"crnn": crnn(t, divisor), "vad": voiceDetector(t)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "model.onnx")
			m, err := onnxfile.FromGraph(g, "test")
			if err != nil {
				t.Fatal(err)
			}
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Encode(f); err != nil {
				t.Fatal(err)
			}
			f.Close()
			c, err := Compile(path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			const calls = 5
			var want [][]*ir.Tensor
			inputs := eval.Inputs(g, 0)
			for k := range calls {
				inputs[0] = eval.Inputs(g, uint64(k))[0]
				if err := npy.Write(filepath.Join(dir, fmt.Sprintf("x_%d.npy", k)), inputs[0]); err != nil {
					t.Fatal(err)
				}
				for i := range inputs[1:] {
					if k == 0 {
						clear(inputs[1+i].Float32s())
					}
				}
				out, err := eval.Run(g, inputs)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, out)
				inputs = append(inputs[:1:1], out[1:]...)
			}
			var first [][]*ir.Tensor
			for _, threads := range []int{1, 2} {
				e, err := inproc.New(c.Program, threads)
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				in := eval.Inputs(g, 0)
				for _, state := range in[1:] {
					clear(state.Float32s())
				}
				for k := range calls {
					in[0] = eval.Inputs(g, uint64(k))[0]
					out, err := e.Run(in)
					if err != nil {
						t.Fatal(err)
					}
					agree(t, fmt.Sprintf("%d threads, call %d", threads, k), out, want[k])
					if threads == 1 {
						first = append(first, out)
					} else if !ir.SameBits(out[0], first[k][0]) {
						t.Errorf("call %d: other bits with %d threads", k, threads)
					}
					in = append(in[:1:1], out[1:]...)
				}
			}
			if python == "" {
				return
			}
			if out, err := exec.CommandContext(t.Context(), python, "testdata/recurrent.py", dir).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for k := range calls {
				var out []*ir.Tensor
				for i := range first[k] {
					v, err := npy.Read(filepath.Join(dir, fmt.Sprintf("y_%d_%d.npy", k, i)))
					if err != nil {
						t.Fatal(err)
					}
					out = append(out, v)
				}
				agree(t, fmt.Sprintf("ONNX Runtime, call %d", k), first[k], out)
			}
		})
	}
}

// agree compares outputs, with a tolerance of 1e-5.
func agree(t *testing.T, what string, got, want []*ir.Tensor) {
	t.Helper()
	for i := range want {
		if d, err := eval.Compare(got[i], want[i]); err != nil || !d.Within(1e-5) {
			t.Errorf("%s, output %d: %v %v", what, i, d, err)
		}
	}
}
