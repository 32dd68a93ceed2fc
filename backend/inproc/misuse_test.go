package inproc

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"modelc/backend/cpu"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/runtime"
)

// network returns an engine for a small network, with two threads.
func network(t *testing.T) *Engine {
	t.Helper()
	g, err := ir.Parse(`graph "small"
input %x : f32[1,1,14,14]
const %w : f32[8,1,5,5] = seed=1
const %v : f32[16,8,3,3] = seed=2
const %d : f32[400,10] = seed=3
%a = Conv(%x, %w) strides=[1,1] pads=[0,0,0,0] dilations=[1,1] groups=1 epilogue=Tanh
%b = Pool(%a) kind=max kernel=[2,2] strides=[2,2] pads=[0,0,0,0] dilations=[1,1]
%c = Conv(%b, %v) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1 epilogue=Relu
%f = Reshape(%c) shape=[1,400]
%s = Dense(%f, %d)
%y = Softmax(%s) axes=[1]
output "y" %y
`)
	if err != nil {
		t.Fatal(err)
	}
	p, err := cpu.Build(g, cpu.Config{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(p, 2)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Of 10,000 calls of many goroutines on one engine, each gives the right answer, bit
// for bit, or ErrInUse. After Close, calls fail with ErrClosed.
func TestConcurrentCalls(t *testing.T) {
	e := network(t)
	const goroutines, calls = 20, 500
	var inputs, want [goroutines][]*ir.Tensor
	for g := range inputs {
		inputs[g] = eval.Inputs(e.program.Graph, uint64(g))
		var err error
		if want[g], err = e.Run(inputs[g]); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	done, refused := 0, 0
	for g := range goroutines {
		wg.Go(func() {
			for range calls {
				got, err := e.Run(inputs[g])
				mu.Lock()
				switch {
				case err == nil:
					done++
					if !slices.Equal(got[0].Bytes(), want[g][0].Bytes()) {
						t.Errorf("goroutine %d: a wrong answer", g)
					}
				case errors.Is(err, runtime.ErrInUse):
					refused++
				default:
					t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if done == 0 || refused == 0 {
		t.Errorf("%d calls were right, %d were refused, want some of each", done, refused)
	}
	e.Close()
	if _, err := e.Run(inputs[0]); !errors.Is(err, runtime.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// Wrong calls are errors.
func TestMisuse(t *testing.T) {
	e := network(t)
	x := eval.Inputs(e.program.Graph, 1)
	for _, c := range []struct {
		in   []*ir.Tensor
		want string
	}{
		{nil, "takes 1 inputs, got 0"},
		{[]*ir.Tensor{x[0], x[0]}, "takes 1 inputs, got 2"},
		{[]*ir.Tensor{nil}, `input "x" is nil, want f32[1,1,14,14]`},
		{[]*ir.Tensor{ir.NewTensor(ir.T(ir.Float32, 1, 1, 14, 13))}, `input "x" is f32[1,1,14,13], want f32[1,1,14,14]`},
		{[]*ir.Tensor{ir.NewTensor(ir.T(ir.Float64, 1, 1, 14, 14))}, `input "x" is f64[1,1,14,14]`},
	} {
		if _, err := e.Run(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	if err := network(t).Step(); err == nil || !strings.Contains(err.Error(), "not bound") {
		t.Errorf("a step without inputs: %v", err)
	}
	e.Close()
	e.Close()
	_, trace := e.Trace(x, nil)
	profile := e.Profile(x, nil)
	for _, err := range []error{e.Bind(x), e.Step(), trace, profile} {
		if !errors.Is(err, runtime.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}
