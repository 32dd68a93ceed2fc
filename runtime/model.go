package runtime

import (
	"encoding/binary"
	"fmt"
	goruntime "runtime"
	"sync/atomic"
	"unsafe"

	"modelc/runtime/internal/mem"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// Model is a plan bound to its weights. It is immutable: any number of sessions
// on any number of goroutines may share it.
type Model struct{ *loaded }

// loaded is the part of a model that its sessions need. The last user releases the
// memory: the model until it is closed, a session, or the preparation of weights.
type loaded struct {
	plan     *Plan
	weights  []byte
	prepared []byte
	ready    team.Progress // bytes of prepared
	source   string        // of the weights, as in Info; empty if sum is unknown
	sum      [32]byte      // SHA-256 of the weights
	unmap    func()        // ends the use of the file with the weights
	users    atomic.Int32
	closed   atomic.Bool
}

// NewModel returns the model of p with the given weights, the payload of a weights
// file. It fails if their size is not that of the plan, if [Plan.Verify] does, or on a
// big-endian machine.
// NewModel transforms weights in the background; runs wait for those that they read.
// The model refers to weights and does not copy them, unless their memory does not
// start at a multiple of 4 bytes.
func NewModel(p *Plan, weights []byte) (*Model, error) {
	return newModel(&loaded{plan: p, weights: weights, unmap: func() {}})
}

// newModel checks l and starts the preparation of its weights.
func newModel(l *loaded) (*Model, error) {
	p := l.plan
	if err := checkCPU(binary.NativeEndian); err != nil {
		return nil, err
	}
	if len(l.weights) != p.WeightsBytes {
		return nil, fmt.Errorf("%w: %d bytes, the package was generated for %d", ErrWeights, len(l.weights), p.WeightsBytes)
	}
	if err := p.Verify(nil); err != nil {
		return nil, fmt.Errorf("the package is damaged, generate it again: %w", err)
	}
	if len(l.weights) > 0 && uintptr(unsafe.Pointer(unsafe.SliceData(l.weights)))%4 != 0 {
		w := mem.Aligned(len(l.weights))
		kernel.Move(w, l.weights)
		l.weights = w
	}
	l.prepared = mem.Aligned(p.PreparedBytes)
	l.ready.Init()
	l.users.Add(1)
	if len(p.Load) > 0 {
		l.users.Add(1)
		go l.prepare()
	}
	m := &Model{l}
	goruntime.AddCleanup(m, func(l *loaded) { (&Model{l}).Close() }, l)
	return m, nil
}

// checkCPU returns an error if the CPU stores numbers in another order than weights
// files.
func checkCPU(order binary.ByteOrder) error {
	if order.Uint16([]byte{1, 0}) != 1 {
		return fmt.Errorf("%w: it is big-endian, and weights are little-endian", ErrCPU)
	}
	return nil
}

// Close releases the memory of the weights when the last session is closed. New sessions
// fail. The garbage collector closes a model that is no longer used.
func (m *Model) Close() {
	if m != nil && m.closed.CompareAndSwap(false, true) {
		m.done()
	}
}

// use adds a user of l, unless the model is closed.
func (l *loaded) use() bool {
	for n := l.users.Load(); n > 0 && !l.closed.Load(); n = l.users.Load() {
		if l.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
	return false
}

// done removes a user of l.
func (l *loaded) done() {
	if l.users.Add(-1) == 0 {
		mem.Discard(l.prepared)
		l.prepared, l.weights = nil, nil
		l.unmap()
	}
}

// newContext returns a context for steps of p, with arena bytes of memory for
// activations. ready is nil for steps that prepare weights.
func (l *loaded) newContext(threads int, p *Plan, steps []Step, arena int, ready *team.Progress) *kernel.Context {
	spaces := make([][]byte, int(kernel.IO)+len(p.Inputs)+len(p.Outputs)+len(p.Loop.Views))
	spaces[kernel.Arena] = mem.Aligned(arena)
	spaces[kernel.Weights] = l.weights
	spaces[kernel.Prepared] = l.prepared
	return kernel.NewContext(spaces, threads, scratch(steps), p.Double, ready)
}

// scratch returns the size in bytes of the memory that a thread needs for steps.
func scratch(steps []Step) (n int) {
	for _, s := range steps {
		n = max(n, s.Kernel.ScratchBytes())
	}
	return n
}

// prepare fills the space Prepared from its start to its end, which is the order
// in which the steps of the plan read it. The first run can therefore begin while
// the weights of the last layers are still being transformed. prepare has a worker
// for every processor: the workers of a run that waits for weights are idle.
// It stops if the model was closed and has no sessions.
func (l *loaded) prepare() {
	defer l.done()
	defer l.ready.Set(l.plan.PreparedBytes)
	load := l.plan.Load
	c := l.newContext(goruntime.GOMAXPROCS(0), l.plan, load, 0, nil)
	defer c.Closer()()
	for i, s := range load {
		if l.users.Load() == 1 {
			return
		}
		s.Kernel.Run(c)
		made := l.plan.PreparedBytes
		for _, later := range load[i+1:] {
			made = min(made, later.Kernel.(kernel.Preparer).Prepares().Off)
		}
		l.ready.Set(made)
		ref, format := s.Kernel.(kernel.Preparer).Source()
		mem.Release(c.Bytes(ref, format.Bytes()))
	}
}

// Wait returns when all weights are prepared. Only measurements need it: runs wait
// for the weights that they read.
func (m *Model) Wait() { m.ready.Await(m.plan.PreparedBytes) }
