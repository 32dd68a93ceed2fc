package runtime

import (
	goruntime "runtime"
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

// spins is how often a worker looks for the next job before it parks: about
// 50 µs, longer than the gaps between the steps of a network, short enough
// that an idle session burns nothing.
const spins = 30_000

// team is the workers of one session: the calling goroutine, worker 0, and
// threads−1 others that spin briefly between jobs, then park.
type team struct {
	threads int
	workers []*worker
	closed  sync.Once
	spin    bool

	// The job in progress. Written before the workers are started.
	job     job
	ctx     *Context
	shares  []share // one per worker that takes part, of all in mem
	mem     []share
	running atomic.Int32 // workers that have not finished it
}

// share is the parts that one worker has left. It takes them in order, so that
// what one part leaves in its caches, and what it asks memory for, serves the
// next. Who has none left takes the last ones of others.
type share struct {
	left atomic.Uint64 // first<<32 | end
	_    [56]byte      // neighbours stay off its cache line
}

func (s *share) set(first, end int) { s.left.Store(uint64(first)<<32 | uint64(end)) }

// take removes the first part, or the last one for a worker that steals it.
func (s *share) take(steal bool) (part int, ok bool) {
	for {
		left := s.left.Load()
		first, end := left>>32, left&(1<<32-1)
		if first == end {
			return 0, false
		}
		if steal {
			if s.left.CompareAndSwap(left, left-1) {
				return int(end - 1), true
			}
		} else if s.left.CompareAndSwap(left, left+1<<32) {
			return int(first), true
		}
	}
}

// worker is one of the other goroutines. seq counts the jobs given to it.
type worker struct {
	seq    atomic.Uint32
	parked atomic.Bool
	wake   chan struct{}
	_      [64]byte // seq is polled: neighbours stay off its cache line
}

func newTeam(threads int) *team {
	t := &team{threads: max(1, threads)}
	t.mem = make([]share, t.threads)
	// More workers than processors would spin in each other's way.
	t.spin = t.threads <= goruntime.GOMAXPROCS(0)
	for w := 1; w < t.threads; w++ {
		k := &worker{wake: make(chan struct{}, 1)}
		t.workers = append(t.workers, k)
		go t.loop(k, w)
	}
	return t
}

// close ends the workers. The team must be idle.
func (t *team) close() {
	t.closed.Do(func() {
		t.job = nil
		for _, k := range t.workers {
			k.start()
		}
	})
}

// start gives the worker its next job.
func (k *worker) start() {
	k.seq.Add(1)
	if k.parked.CompareAndSwap(true, false) {
		k.wake <- struct{}{}
	}
}

// await returns when the worker's count differs from seen, and the count.
func (k *worker) await(seen uint32, spin bool) uint32 {
	if spin {
		for i := range spins {
			if s := k.seq.Load(); s != seen {
				return s
			}
			if i%1024 == 1023 {
				goruntime.Gosched()
			}
		}
	}
	for {
		// This store must be seen before the load below is done, or a start in
		// between is lost. A plain atomic store promises that as well, but an
		// emulator of arm64 on amd64 (qemu) does not keep it: there, only
		// read-modify-write operations are full barriers.
		k.parked.Swap(true)
		if s := k.seq.Load(); s != seen && k.parked.CompareAndSwap(true, false) {
			return s // it came in between, and nobody will send
		}
		<-k.wake
		// A worker that was quick may be woken by the start of the job that it
		// has just finished: start counts first and looks for sleepers then.
		if s := k.seq.Load(); s != seen {
			return s
		}
	}
}

func (t *team) loop(k *worker, id int) {
	seen := uint32(0)
	for {
		seen = k.await(seen, t.spin)
		if t.job == nil {
			return
		}
		t.work(id)
		t.running.Add(-1)
	}
}

func (t *team) work(id int) {
	j, c := t.job, t.ctx
	for v := range t.shares {
		victim := (id + v) % len(t.shares) // its own share first
		for {
			i, ok := t.shares[victim].take(v > 0)
			if !ok {
				break
			}
			j.part(c, i, id)
		}
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
	workers := min(t.threads, n)
	t.job, t.ctx, t.shares = j, c, t.mem[:workers]
	for w := range t.shares {
		t.shares[w].set(cut(n, workers, w), cut(n, workers, w+1))
	}
	t.running.Store(int32(workers - 1))
	for _, k := range t.workers[:workers-1] {
		k.start()
	}
	t.work(0)
	for i := 0; t.running.Load() > 0; i++ {
		if i%64 == 63 || !t.spin {
			goruntime.Gosched()
		}
	}
	// Nothing may keep the session's memory alive through an idle team.
	t.ctx = nil
}
