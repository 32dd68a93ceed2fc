package runtime

import (
	goruntime "runtime"
	"sync"
	"sync/atomic"
)

// preparation is how far a model's weights are prepared. That goes on behind
// NewModel, from the start of Prepared to its end, which is the order in which
// the plan's steps read it: the first run begins while the weights of its last
// layers are still being transformed, on processors that it leaves idle.
type preparation struct {
	made atomic.Int64 // bytes of Prepared, from its start
	mu   sync.Mutex
	grew sync.Cond
}

func (p *preparation) init() { p.grew.L = &p.mu }

func (p *preparation) set(made int) {
	p.mu.Lock()
	p.made.Store(int64(made))
	p.mu.Unlock()
	p.grew.Broadcast()
}

// await returns when the first n bytes are made.
func (p *preparation) await(n int) {
	if p.made.Load() >= int64(n) {
		return
	}
	p.mu.Lock()
	for p.made.Load() < int64(n) {
		p.grew.Wait()
	}
	p.mu.Unlock()
}

// prepare fills Prepared. It has a worker for every processor: a run that waits
// for weights leaves its own idle.
func (m *Model) prepare() {
	load := m.plan.Load
	c := m.newContext(goruntime.GOMAXPROCS(0), m.plan, load, 0)
	defer c.team.close()
	for i, s := range load {
		s.Kernel.Run(c)
		made := m.plan.PreparedBytes
		for _, later := range load[i+1:] {
			made = min(made, later.Kernel.(preparer).prepares().Off)
		}
		m.preparation.set(made)
		ref, format := s.Kernel.(preparer).source()
		release(c.bytes(ref, format.size())) // of no more use
	}
}

// preparer is a kernel of Plan.Load.
type preparer interface {
	Kernel
	source() (Ref, Format) // in Weights
	prepares() Ref         // in Prepared
}

// Wait returns when all weights are prepared. A run waits for those that it
// reads, so that only measurements need it.
func (m *Model) Wait() { m.preparation.await(m.plan.PreparedBytes) }
