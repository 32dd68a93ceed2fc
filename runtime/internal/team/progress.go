package team

import (
	"sync"
	"sync/atomic"
)

// Progress is a count that one goroutine raises and others wait for. Call Init
// before any other method.
type Progress struct {
	made atomic.Int64
	mu   sync.Mutex
	grew sync.Cond
}

// Init makes p ready at a count of 0.
func (p *Progress) Init() { p.grew.L = &p.mu }

// Set raises the count to made.
func (p *Progress) Set(made int) {
	p.mu.Lock()
	p.made.Store(int64(made))
	p.mu.Unlock()
	p.grew.Broadcast()
}

// Await returns when the count is at least n.
func (p *Progress) Await(n int) {
	if p.made.Load() < int64(n) {
		p.wait(int64(n))
	}
}

func (p *Progress) wait(n int64) {
	p.mu.Lock()
	for p.made.Load() < n {
		p.grew.Wait()
	}
	p.mu.Unlock()
}
