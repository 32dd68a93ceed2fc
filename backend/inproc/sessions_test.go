package inproc

import (
	"errors"
	"flag"
	"math/rand/v2"
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"modelc/ir"
	"modelc/ir/eval"
	"modelc/runtime"
)

var sessions = flag.Duration("sessions", 300*time.Millisecond, "how long TestSessions opens and closes sessions")

// Goroutines open sessions of one model, run them, and close them: their own after
// use, a session of another goroutine during a run, or never. Every run gives the right
// answer or ErrClosed, and no goroutine is left.
func TestSessions(t *testing.T) {
	before := goruntime.NumGoroutine()
	e := network(t)
	in := eval.Inputs(e.program.Graph, 1)
	want, err := e.Run(in)
	if err != nil {
		t.Fatal(err)
	}
	stop := time.Now().Add(*sessions)
	var wg sync.WaitGroup
	var opened, runs, closed atomic.Int64
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(g)))
			out := ir.NewTensor(want[0].Type)
			for time.Now().Before(stop) {
				s := e.model.NewSession(runtime.Options{Threads: 1 + r.IntN(3)})
				opened.Add(1)
				how := r.IntN(3)
				if how == 1 {
					go s.Close()
				}
				for range 1 + r.IntN(20) {
					if err := s.Begin(); err != nil {
						if !errors.Is(err, runtime.ErrClosed) || how != 1 {
							t.Error(err)
						}
						closed.Add(1)
						break
					}
					clear(out.Bytes())
					err := errors.Join(s.Bind(0, in[0].Bytes()), s.Bind(1, out.Bytes()), s.Run())
					s.End()
					if err != nil || !slices.Equal(out.Bytes(), want[0].Bytes()) {
						t.Errorf("a wrong answer, error %v", err)
					}
					runs.Add(1)
				}
				if how == 0 {
					s.Close()
				}
			}
		})
	}
	wg.Wait()
	e.Close()
	for i := 0; goruntime.NumGoroutine() > before; i++ { // the garbage collector closes the rest
		if i == 1000 {
			t.Fatalf("%d goroutines are left, %d before", goruntime.NumGoroutine(), before)
		}
		goruntime.GC()
		time.Sleep(time.Millisecond)
	}
	t.Logf("%d sessions, %d runs, %d refused because the session was closed", opened.Load(), runs.Load(), closed.Load())
}
