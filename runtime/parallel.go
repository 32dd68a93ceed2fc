package runtime

import (
	goruntime "runtime"
	"sync"
	"sync/atomic"
)

// RunAll calls run(0) … run(n−1) from at most the given number of goroutines; 0
// means GOMAXPROCS. Each goroutine calls open once to get its own run, and close at
// the end. RunAll returns the error of each call.
func RunAll(n, goroutines int, open func() (run func(i int) error, close func())) []error {
	if goroutines <= 0 {
		goroutines = goruntime.GOMAXPROCS(0)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, n)
	for range min(goroutines, n) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			run, close := open()
			defer close()
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				errs[i] = run(int(i))
			}
		}()
	}
	wg.Wait()
	return errs
}
