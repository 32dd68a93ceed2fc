package runtime

import (
	"sync"
	"sync/atomic"
)

// job is work that splits into independent parts. Kernels are jobs, or hold
// small structs that are.
type job interface {
	// part computes part i on the given worker, whose scratch memory it may
	// use. Which worker gets which part is not fixed, so a part's result must
	// not depend on it.
	part(c *Context, i, worker int)
}

// team is the workers of one session: the calling goroutine, worker 0, and
// threads−1 others that wait between jobs.
type team struct {
	threads int
	wake    []chan struct{}
	done    sync.WaitGroup
	closed  sync.Once

	// The job in progress. Written before the workers are woken.
	job   job
	ctx   *Context
	parts int32
	next  atomic.Int32
}

func newTeam(threads int) *team {
	t := &team{threads: max(1, threads)}
	for w := 1; w < t.threads; w++ {
		ch := make(chan struct{}, 1)
		t.wake = append(t.wake, ch)
		go t.loop(ch, w)
	}
	return t
}

// close ends the workers. The team must be idle.
func (t *team) close() {
	t.closed.Do(func() {
		for _, ch := range t.wake {
			close(ch)
		}
	})
}

func (t *team) loop(wake chan struct{}, worker int) {
	for range wake {
		t.work(worker)
		t.done.Done()
	}
}

func (t *team) work(worker int) {
	j, c, n := t.job, t.ctx, t.parts
	for i := t.next.Add(1) - 1; i < n; i = t.next.Add(1) - 1 {
		j.part(c, int(i), worker)
	}
}

// do runs parts 0…n−1 of j and returns when all are done.
func (t *team) do(n int, c *Context, j job) {
	if n <= 1 || t.threads == 1 {
		for i := range n {
			j.part(c, i, 0)
		}
		return
	}
	t.job, t.ctx, t.parts = j, c, int32(n)
	t.next.Store(0)
	helpers := min(t.threads, n) - 1
	t.done.Add(helpers)
	for _, ch := range t.wake[:helpers] {
		ch <- struct{}{}
	}
	t.work(0)
	t.done.Wait()
	// Nothing may keep the session's memory alive through an idle team.
	t.job, t.ctx = nil, nil
}
