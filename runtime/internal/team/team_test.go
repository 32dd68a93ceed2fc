package team

import (
	goruntime "runtime"
	"sync/atomic"
	"testing"
)

// tally counts the runs of each part.
type tally [7]atomic.Int32

func (t *tally) Part(_ *int, i, _ int) { t[i].Add(1) }

// Every part of every job runs once, whether the workers spin or sleep before it.
// They spin if there are at most as many threads as processors.
func TestTeam(t *testing.T) {
	defer goruntime.GOMAXPROCS(goruntime.GOMAXPROCS(0))
	for _, procs := range []int{1, 3} {
		goruntime.GOMAXPROCS(procs)
		for _, threads := range []int{1, 2, 3, 8} {
			team := New[*int](threads)
			var counts tally
			for job := range 3000 {
				n := 1 + job%len(counts)
				team.Do(n, nil, &counts)
				for i := range counts {
					want := int32(0)
					if i < n {
						want = 1
					}
					if got := counts[i].Swap(0); got != want {
						t.Fatalf("%d processors, %d threads, job %d: part %d of %d ran %d times", procs, threads, job, i, n, got)
					}
				}
			}
			team.Close()
		}
	}
}

// Start counts a job and then wakes the worker if it sleeps. The worker may finish
// the job between the two steps. It must not take the wake-up for another job.
func TestQuickWorker(t *testing.T) {
	k := &worker{wake: make(chan struct{}, 1)}
	k.seq.Add(1) // the first half of start
	seen := k.await(0, false)
	next := make(chan uint32)
	go func() { next <- k.await(seen, false) }()
	for !k.parked.Load() {
		goruntime.Gosched()
	}
	if k.parked.CompareAndSwap(true, false) { // the second half
		k.wake <- struct{}{}
	}
	for !k.parked.Load() { // asleep again
		select {
		case s := <-next:
			t.Fatalf("woken for job %d, which it had done", s)
		default:
			goruntime.Gosched()
		}
	}
	k.start()
	if s := <-next; s != 2 {
		t.Errorf("job %d, want 2", s)
	}
}
