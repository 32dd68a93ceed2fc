package runtime

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"modelc/runtime/kernel"
)

// crowd counts the workers that compute at the same time.
type crowd struct {
	dst       kernel.Ref
	inside    *atomic.Int32
	most, own *atomic.Int32 // maxima: of all kernels, and of this one
	mine      atomic.Int32
}

func (k *crowd) ScratchBytes() int        { return 0 }
func (k *crowd) Check(v *kernel.Verifier) { v.Write("dst", k.dst, 4, int64(k.dst.Len)) }
func (k *crowd) Run(c *kernel.Context)    { c.DoAll(k.dst.Len, k) }

func (k *crowd) Part(c *kernel.Context, i, _ int) {
	raise(k.most, k.inside.Add(1))
	raise(k.own, k.mine.Add(1))
	time.Sleep(time.Millisecond) // so that other workers come
	c.F32(k.dst)[i] = float32(i)
	k.mine.Add(-1)
	k.inside.Add(-1)
}

func raise(most *atomic.Int32, n int32) {
	for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
	}
}

// Sessions of several models with the same budget use no more threads than it has. A
// session that runs alone uses all of them. The results are right.
func TestBudget(t *testing.T) {
	const parts, threads = 16, 3
	var inside, most atomic.Int32
	budget := make(chan struct{}, threads)
	run := func(own *atomic.Int32, width, runs int) {
		p := &Plan{Outputs: []Port{{Name: "y", Type: "float32", Shape: []int{parts}, Bytes: 4 * parts}},
			Steps: []Step{{"crowd", &crowd{dst: kernel.Ref{Space: kernel.IO, Len: parts}, inside: &inside, most: &most, own: own}}}}
		m, err := NewModel(p, nil)
		if err != nil {
			t.Error(err)
			return
		}
		s := m.NewSession(Options{Threads: width, Budget: budget})
		defer s.Close()
		for range runs {
			y := make([]float32, parts)
			if err := errors.Join(s.Begin(), s.Bind(0, BytesOf(y)), s.Run()); err != nil {
				t.Error(err)
			}
			s.End()
			if !slices.IsSorted(y) || y[parts-1] != parts-1 {
				t.Errorf("results %v", y)
			}
		}
	}
	var wg sync.WaitGroup
	owns := make([]atomic.Int32, 5)
	for i := range owns {
		wg.Go(func() { run(&owns[i], 8, 10) })
	}
	wg.Wait()
	if n := most.Load(); n > threads {
		t.Errorf("%d threads at the same time, the budget has %d", n, threads)
	}
	for width, want := range map[int]int32{1: 1, 2: 2, 8: threads} {
		var own atomic.Int32
		run(&own, width, 3)
		if own.Load() != want {
			t.Errorf("a session with %d threads used %d, want %d", width, own.Load(), want)
		}
	}
	if len(budget) != 0 {
		t.Errorf("%d threads were not given back", len(budget))
	}
	m, err := NewModel(twice(16), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.NewSession(Options{Budget: make(chan struct{})}).Begin(); err == nil {
		t.Error("a budget without threads was accepted")
	}
}
