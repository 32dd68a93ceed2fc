package main

import (
	"fmt"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"sync"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"modelc/internal/zoo"
	"modelc/ir"
)

// rate is a row of the table of throughput: images per second on sessions with one thread
// each. Rates are medians of turns.
type rate struct {
	Model                      string
	Batch, Sessions            int
	PerSecond, OrtPerSecond    float64
	Ratio, RatioLow, RatioHigh float64 // median and quartiles of the ratio over pairs of turns
}

const rateHead = "| model | batch | sessions | modelc images/s | ORT images/s | × faster | spread of the ratio |\n| --- | --- | --- | --- | --- | --- | --- |"

func (r *rate) row() string {
	return fmt.Sprintf("| %s | %d | %d | %.4g | %.4g | **%.2f** | %.2f–%.2f |", r.Model, r.Batch, r.Sessions, r.PerSecond, r.OrtPerSecond, r.Ratio, r.RatioLow, r.RatioHigh)
}

// throughput measures both engines in turn until the time is over. The sessions of an
// engine share the weights.
func throughput(path string, opts options, sessions int, budget time.Duration) (*rate, error) {
	b, err := open(path, opts, 1)
	if err != nil {
		return nil, err
	}
	defer b.close()
	r := &rate{Batch: b.in.Shape[0], Sessions: sessions}
	theirs, destroy, err := b.ortSessions(path, sessions)
	if err != nil {
		return nil, err
	}
	defer destroy()
	ours := []func() error{b.ours.Step}
	for len(ours) < sessions {
		e, err := b.ours.Another(1)
		if err != nil {
			return nil, err
		}
		defer e.Close()
		if err := e.Bind([]*ir.Tensor{b.in}); err != nil {
			return nil, err
		}
		ours = append(ours, e.Step)
	}
	var a, o, ratios []float64
	for end := time.Now().Add(budget); len(ratios) < 4 || time.Now().Before(end); {
		x, err := perSecond(ours, r.Batch)
		if err != nil {
			return nil, err
		}
		y, err := perSecond(theirs, r.Batch)
		if err != nil {
			return nil, err
		}
		a, o, ratios = append(a, x), append(o, y), append(ratios, x/y)
	}
	a, o, ratios = a[1:], o[1:], ratios[1:] // the first pair warms up
	for _, l := range [][]float64{a, o, ratios} {
		slices.Sort(l)
	}
	n := len(ratios)
	r.PerSecond, r.OrtPerSecond = a[n/2], o[n/2]
	r.Ratio, r.RatioLow, r.RatioHigh = ratios[n/2], ratios[n/4], ratios[3*n/4]
	return r, nil
}

// perSecond runs every session on a goroutine for at least 200 ms and returns the number of
// images per second of all.
func perSecond(sessions []func() error, batch int) (float64, error) {
	const turn = 200 * time.Millisecond
	rates, errs := make([]float64, len(sessions)), make([]error, len(sessions))
	var wg sync.WaitGroup
	for i, run := range sessions {
		wg.Go(func() {
			start, n := time.Now(), 0
			for time.Since(start) < turn && errs[i] == nil {
				errs[i] = run()
				n += batch
			}
			rates[i] = float64(n) / time.Since(start).Seconds()
		})
	}
	wg.Wait()
	total := 0.0
	for i, x := range rates {
		if errs[i] != nil {
			return 0, errs[i]
		}
		total += x
	}
	return total, nil
}

// manyImages is the size of the batch in the table of throughput.
const manyImages = 8

// throughputs measures a model on one session and on a session for each processor. If it
// is a network of the zoo, it is also measured on batches.
func throughputs(model, path, dir string, o options, budget time.Duration, row func(r *rate) error) error {
	cases := []struct {
		path     string
		sessions int
	}{{path, 1}, {path, goruntime.NumCPU()}}
	if slices.Contains(zoo.Names(), model) {
		batch := filepath.Join(dir, "batch.onnx")
		if err := writeZoo(batch, model, manyImages); err != nil {
			return err
		}
		cases = append(cases, cases[0])
		cases[2].path = batch
	}
	for _, c := range cases {
		r, err := throughput(c.path, o, c.sessions, budget)
		if err != nil {
			return err
		}
		r.Model = model
		if err := row(r); err != nil {
			return err
		}
	}
	return nil
}

// ortSessions returns functions that run the model of b on one thread each. They share a
// session of ONNX Runtime.
func (b *engines) ortSessions(path string, n int) (run []func() error, destroy func(), err error) {
	o, err := ortOptions(1)
	if err != nil {
		return nil, nil, err
	}
	defer o.Destroy()
	s, err := ort.NewDynamicAdvancedSession(path, []string{b.inName}, []string{b.outName}, o)
	if err != nil {
		return nil, nil, err
	}
	for range n {
		x, err := ort.NewTensor(ortShape(b.in.Shape), b.in.Float32s())
		if err != nil {
			return nil, nil, err
		}
		y, err := ort.NewTensor(ortShape(b.outShape), make([]float32, b.outShape.Len()))
		if err != nil {
			return nil, nil, err
		}
		run = append(run, func() error { return s.Run([]ort.Value{x}, []ort.Value{y}) })
	}
	return run, func() { s.Destroy() }, nil
}
