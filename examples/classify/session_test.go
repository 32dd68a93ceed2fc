package main

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/classify/digits"
)

// A session belongs to one goroutine at a time. Goroutines that share one by mistake
// get the right answer or an error.
func TestSharedSession(t *testing.T) {
	m, err := digits.New()
	if err != nil {
		t.Fatal(err)
	}
	s := m.NewSession(digits.Threads(2))
	defer s.Close()
	inputs, want := make([]*digits.Input, 8), make([]*digits.Output, 8)
	for g := range inputs {
		inputs[g], want[g] = digits.NewInput(), digits.NewOutput()
		for i := range inputs[g].Data {
			inputs[g].Data[i] = float32(i*(g+1)%29) / 29
		}
		if err := s.Run(inputs[g], want[g]); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	var right, refused atomic.Int64
	for g := range inputs {
		wg.Go(func() {
			out := digits.NewOutput()
			for range 1250 {
				switch err := s.Run(inputs[g], out); {
				case err != nil && strings.HasSuffix(err.Error(), "session is in use: every goroutine needs its own"):
					refused.Add(1)
				case err != nil:
					t.Error(err)
				case !slices.Equal(out.Data, want[g].Data):
					t.Errorf("goroutine %d got %v, want %v", g, out.Data, want[g].Data)
					return
				default:
					right.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if right.Load() == 0 {
		t.Error("no call was right")
	}
	t.Logf("%d calls were right, %d were refused", right.Load(), refused.Load())
}
