package runtime

import (
	"encoding/binary"
	"errors"
	"fmt"
	goruntime "runtime"
	"unsafe"

	"modelc/runtime/internal/mem"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// Model is a plan bound to its weights. It is immutable: any number of sessions
// on any number of goroutines may share it.
type Model struct {
	plan     *Plan
	weights  []byte
	prepared []byte
	ready    team.Progress // bytes of prepared
}

// NewModel returns the model of p with the given weights, the payload of a weights
// file. It fails if their size is not that of the plan, if [Plan.Verify] does, or on a
// big-endian machine.
// NewModel transforms weights in the background; runs wait for those that they read.
// The model refers to weights and does not copy them, unless their memory does not
// start at a multiple of 4 bytes.
func NewModel(p *Plan, weights []byte) (*Model, error) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		return nil, errors.New("modelc: weights are little-endian, this machine is big-endian")
	}
	if len(weights) != p.WeightsBytes {
		return nil, fmt.Errorf("modelc: the weights are %d bytes, the package was generated for %d", len(weights), p.WeightsBytes)
	}
	if err := p.Verify(nil); err != nil {
		return nil, fmt.Errorf("modelc: the package is damaged, generate it again: %w", err)
	}
	if len(weights) > 0 && uintptr(unsafe.Pointer(unsafe.SliceData(weights)))%4 != 0 {
		w := mem.Aligned(len(weights))
		kernel.Move(w, weights)
		weights = w
	}
	m := &Model{plan: p, weights: weights, prepared: mem.Aligned(p.PreparedBytes)}
	m.ready.Init()
	if len(p.Load) > 0 {
		go m.prepare()
	}
	return m, nil
}

// newContext returns a context for steps of p, with arena bytes of memory for
// activations. ready is nil for steps that prepare weights.
func (m *Model) newContext(threads int, p *Plan, steps []Step, arena int, ready *team.Progress) *kernel.Context {
	scratch := 0
	for _, s := range steps {
		scratch = max(scratch, s.Kernel.ScratchBytes())
	}
	spaces := make([][]byte, int(kernel.IO)+len(p.Inputs)+len(p.Outputs))
	spaces[kernel.Arena] = mem.Aligned(arena)
	spaces[kernel.Weights] = m.weights
	spaces[kernel.Prepared] = m.prepared
	return kernel.NewContext(spaces, threads, scratch, p.Double, ready)
}

// prepare fills the space Prepared from its start to its end, which is the order
// in which the steps of the plan read it. The first run can therefore begin while
// the weights of the last layers are still being transformed. prepare has a worker
// for every processor: the workers of a run that waits for weights are idle.
func (m *Model) prepare() {
	load := m.plan.Load
	c := m.newContext(goruntime.GOMAXPROCS(0), m.plan, load, 0, nil)
	defer c.Closer()()
	for i, s := range load {
		s.Kernel.Run(c)
		made := m.plan.PreparedBytes
		for _, later := range load[i+1:] {
			made = min(made, later.Kernel.(kernel.Preparer).Prepares().Off)
		}
		m.ready.Set(made)
		ref, format := s.Kernel.(kernel.Preparer).Source()
		mem.Release(c.Bytes(ref, format.Bytes()))
	}
}

// Wait returns when all weights are prepared. Only measurements need it: runs wait
// for the weights that they read.
func (m *Model) Wait() { m.ready.Await(m.plan.PreparedBytes) }
