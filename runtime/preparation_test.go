package runtime

import (
	"slices"
	"testing"
	"time"

	"modelc/runtime/kernel"
)

// held prepares one float from one weight as soon as the test allows it.
type held struct {
	src, dst kernel.Ref
	letGo    chan struct{}
}

func (k *held) Source() (kernel.Ref, kernel.Format) { return k.src, kernel.F32 }
func (k *held) Prepares() kernel.Ref                { return k.dst }
func (k *held) ScratchBytes() int                   { return 0 }
func (k *held) Check(v *kernel.Verifier) {
	v.Read("src", k.src, 4, 1)
	v.Write("dst", k.dst, 4, 1)
}
func (k *held) Run(c *kernel.Context) {
	<-k.letGo
	c.F32(k.dst)[0] = -c.F32(k.src)[0]
}

// read copies a prepared float to an output and signals that it ran.
type read struct {
	src, dst kernel.Ref
	done     chan struct{}
}

func (k *read) ScratchBytes() int { return 0 }

func (k *read) Check(v *kernel.Verifier) {
	v.Read("src", k.src, 4, 1)
	v.Write("dst", k.dst, 4, 1)
}
func (k *read) Run(c *kernel.Context) {
	c.F32(k.dst)[0] = c.F32(k.src)[0]
	close(k.done)
}

// Runs begin before all weights are prepared. They wait for the weights that they
// read, even if a later step prepares an earlier place.
func TestPreparation(t *testing.T) {
	const n = 3
	order := []int{0, 2, 1} // of the steps that prepare
	p := &Plan{WeightsBytes: n * 4, PreparedBytes: n * 4, Outputs: []Port{{Name: "y", Type: "float32", Shape: []int{n}, Bytes: n * 4}}}
	ref := func(space kernel.Space, i int) kernel.Ref { return kernel.Ref{Space: space, Off: i * 4, Len: 1} }
	for _, i := range order {
		p.Load = append(p.Load, Step{Kernel: &held{ref(kernel.Weights, i), ref(kernel.Prepared, i), make(chan struct{})}})
	}
	for i := range n {
		p.Steps = append(p.Steps, Step{Kernel: &read{ref(kernel.Prepared, i), ref(kernel.IO, i), make(chan struct{})}})
	}
	m, err := NewModel(p, BytesOf([]float32{1, 2, 3}))
	if err != nil {
		t.Fatal(err)
	}
	s := m.NewSession(Options{Threads: 1})
	defer s.Close()
	y := make([]float32, n)
	if err := s.Bind(0, BytesOf(y)); err != nil {
		t.Fatal(err)
	}
	run := make(chan error)
	go func() { run <- s.Run() }()

	step := func(i int) chan struct{} { return p.Steps[i].Kernel.(*read).done }
	waits := func(i int) {
		t.Helper()
		select {
		case <-step(i):
			t.Fatalf("step %d ran before its weights were prepared", i)
		case <-time.After(20 * time.Millisecond):
		}
	}
	waits(0)
	close(p.Load[0].Kernel.(*held).letGo)
	<-step(0)
	close(p.Load[1].Kernel.(*held).letGo)
	waits(1)
	close(p.Load[2].Kernel.(*held).letGo)
	<-step(1)
	<-step(2)
	if err := <-run; err != nil {
		t.Fatal(err)
	}
	if want := []float32{-1, -2, -3}; !slices.Equal(y, want) {
		t.Errorf("%v, want %v", y, want)
	}
	m.Wait()
}

// Close of a model without sessions stops the preparation of its weights. A session
// keeps it going.
func TestCloseStopsPreparation(t *testing.T) {
	for _, session := range []bool{false, true} {
		p := &Plan{WeightsBytes: 8, PreparedBytes: 8}
		for i := range 2 {
			at := func(space kernel.Space) kernel.Ref { return kernel.Ref{Space: space, Off: i * 4, Len: 1} }
			p.Load = append(p.Load, Step{Kernel: &held{at(kernel.Weights), at(kernel.Prepared), make(chan struct{}, 1)}})
		}
		m, err := NewModel(p, BytesOf([]float32{1, 2}))
		if err != nil {
			t.Fatal(err)
		}
		if session {
			defer m.NewSession(Options{Threads: 1}).Close()
		}
		m.Close()
		second := p.Load[1].Kernel.(*held).letGo
		second <- struct{}{} // the second step takes it if it runs
		close(p.Load[0].Kernel.(*held).letGo)
		m.Wait()
		if ran := len(second) == 0; ran != session {
			t.Errorf("a session: %v, the second step ran: %v", session, ran)
		}
	}
}
