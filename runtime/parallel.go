package runtime

import (
	"fmt"
	goruntime "runtime"
	"sync"
	"sync/atomic"
)

// RunAll calls run(0) … run(n−1) from at most the given number of goroutines; 0
// means GOMAXPROCS. Each goroutine calls open once to get its own run, and close at
// the end. After a call of run fails, RunAll starts no further calls. It returns
// the error of the lowest i that failed, with i in its text.
func RunAll(n, goroutines int, open func() (run func(i int) error, close func())) error {
	if goroutines <= 0 {
		goroutines = goruntime.GOMAXPROCS(0)
	}
	var next atomic.Int64
	var failed atomic.Bool
	var wg sync.WaitGroup
	errs := make([]error, n)
	for range min(goroutines, n) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			run, close := open()
			defer close()
			for !failed.Load() {
				i := int(next.Add(1) - 1)
				if i >= n {
					return
				}
				if errs[i] = run(i); errs[i] != nil {
					failed.Store(true)
				}
			}
		}()
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
	}
	return nil
}
