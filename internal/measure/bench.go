// Package measure measures the run times of compiled models on this machine.
package measure

import (
	"time"

	"modelc"
	"modelc/backend/inproc"
	"modelc/internal/machine"
	"modelc/ir/eval"
	"modelc/runtime"
)

// The loop that measures Profile.Stream reads at least leastStream bytes, so that starting
// threads takes no time to speak of, and at most mostStream bytes, which exceeds all caches.
const (
	leastStream = 1 << 20
	mostStream  = 128 << 20
)

// The runs that warm up take at least warmUp, and are at least two.
const warmUp = 100 * time.Millisecond

// Bench measures the compiled model on seeded random inputs. It runs it the given number of
// times on the given number of threads, after runs that warm up.
func Bench(c *modelc.Compiled, threads, runs int) (*Profile, error) {
	if err := c.Options.Progress.Update("preparing weights", 0, 1); err != nil {
		return nil, err
	}
	start := time.Now()
	e, err := inproc.New(c.Program, threads)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	e.Wait()
	p := &Profile{SHA256: c.Model.SHA256, Model: c.Graph.Name, Threads: threads, Tier: runtime.Tier(), Load: ms(time.Since(start))}
	in := eval.Inputs(c.Before, 1)
	run := func() ([]time.Duration, error) {
		times := make([]time.Duration, len(c.Program.Layers))
		return times, e.Profile(in, times)
	}
	start = time.Now()
	for i := 0; i < 2 || time.Since(start) < warmUp; i++ {
		if _, err := run(); err != nil {
			return nil, err
		}
	}
	peak := runtime.PeakGFLOPS()
	all := make([][]time.Duration, runs)
	for i := range all {
		if err := c.Options.Progress.Update("measuring runs", i, runs); err != nil {
			return nil, err
		}
		if all[i], err = run(); err != nil {
			return nil, err
		}
	}
	// Other programs may have slowed one of the measurements.
	p.Peak = max(peak, runtime.PeakGFLOPS()) * float64(threads)
	p.Integer = p.Peak * runtime.ByteRate()
	weights := c.Program.Plan.WeightsBytes + c.Program.Plan.PreparedBytes
	p.Stream = machine.ReadBandwidth(threads, min(max(weights, leastStream), mostStream*threads))
	p.set(c.Program.Layers, all)
	return p, nil
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
