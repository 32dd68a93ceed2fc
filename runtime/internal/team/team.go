// Package team runs the parts of a job on several goroutines.
package team

import (
	goruntime "runtime"
	"sync"
	"sync/atomic"
)

// Job is work that splits into independent parts, with a context of type C.
type Job[C any] interface {
	// Part computes part i on the given worker. Any worker may get any part, so
	// the result of a part must not depend on the worker.
	Part(c C, i, worker int)
}

// spins is the number of times that a worker looks for the next job before it
// parks. They take about 50 µs. That is longer than the gaps between the steps of a
// network, and short enough that an idle session uses no processor time.
const spins = 30_000

// Team is a group of workers: the calling goroutine, which is worker 0, and
// threads−1 others that spin briefly between jobs, then park. C is the type of
// the context that jobs get.
type Team[C any] struct {
	threads int
	use     int // the number of workers that take part in jobs
	workers []*worker
	closed  sync.Once
	spin    bool

	// The job in progress. It is written before the workers start.
	job     Job[C]
	ctx     C
	shares  []share // of the job, one for each worker that takes part
	all     []share
	running atomic.Int32 // the number of workers that have not finished
}

// share holds the parts that one worker still has to do. The worker takes them in
// order, because the caches hold data that the previous part used or prefetched. A
// worker whose share is empty takes the last parts of others.
type share struct {
	left atomic.Uint64 // first<<32 | end
	_    [56]byte      // neighbours stay off its cache line
}

func (s *share) set(first, end int) { s.left.Store(uint64(first)<<32 | uint64(end)) }

// take removes and returns the first part or, for another worker, the last.
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

// worker is one of the other goroutines. seq is the number of jobs given to it.
type worker struct {
	seq    atomic.Uint32
	parked atomic.Bool
	wake   chan struct{}
	_      [64]byte // seq is polled: neighbours stay off its cache line
}

// New returns a team of the given number of workers, at least one.
func New[C any](threads int) *Team[C] {
	t := &Team[C]{threads: max(1, threads)}
	t.Use(t.threads)
	t.all = make([]share, t.threads)
	// More workers than processors would spin in each other's way.
	t.spin = t.threads <= goruntime.GOMAXPROCS(0)
	for w := 1; w < t.threads; w++ {
		k := &worker{wake: make(chan struct{}, 1)}
		t.workers = append(t.workers, k)
		go t.loop(k, w)
	}
	return t
}

// Threads returns the number of workers.
func (t *Team[C]) Threads() int { return t.threads }

// Use limits the number of workers that take part in the next jobs. It is at least 1.
func (t *Team[C]) Use(workers int) { t.use = max(1, min(workers, t.threads)) }

// Close ends the workers. The team must be idle.
func (t *Team[C]) Close() {
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

// await returns the number of jobs as soon as it differs from seen.
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
		// This store must be visible before the load below, or a start in between
		// is lost. An atomic store guarantees that too, except in an emulator of
		// arm64 on amd64 (qemu), where only read-modify-write operations are full
		// barriers.
		k.parked.Swap(true)
		if s := k.seq.Load(); s != seen && k.parked.CompareAndSwap(true, false) {
			return s // the job came in between, and no wake-up will follow
		}
		<-k.wake
		// The wake-up may belong to a job that this worker has already finished:
		// start first counts, then looks for a parked worker.
		if s := k.seq.Load(); s != seen {
			return s
		}
	}
}

func (t *Team[C]) loop(k *worker, id int) {
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

func (t *Team[C]) work(id int) {
	j, c := t.job, t.ctx
	for v := range t.shares {
		victim := (id + v) % len(t.shares) // its own share first
		for {
			i, ok := t.shares[victim].take(v > 0)
			if !ok {
				break
			}
			j.Part(c, i, id)
		}
	}
}

// Do runs parts 0 … n−1 of j with context c and returns when all are done. It
// allocates nothing.
func (t *Team[C]) Do(n int, c C, j Job[C]) {
	if n <= 1 || t.use == 1 {
		for i := range n {
			j.Part(c, i, 0)
		}
		return
	}
	workers := min(t.use, n)
	t.job, t.ctx, t.shares = j, c, t.all[:workers]
	for w := range t.shares {
		t.shares[w].set(Cut(n, workers, w), Cut(n, workers, w+1))
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
	// An idle team must not keep the context alive.
	var none C
	t.ctx = none
}
