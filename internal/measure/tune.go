package measure

import (
	"slices"
	"time"

	"modelc"
	"modelc/backend/cpu"
	"modelc/backend/inproc"
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/runtime"
)

// Tune measures every algorithm of every convolution that several algorithms can compute. It
// builds a program for each algorithm and runs it the given number of times on the given
// number of threads. It compares the shortest times of each layer.
func Tune(c *modelc.Compiled, threads, runs int) (*modelc.Tuning, error) {
	t := &modelc.Tuning{SHA256: c.Model.SHA256, Tier: runtime.Tier(), Threads: threads}
	in := eval.Inputs(c.Before, 1)
	possible := map[string]bool{}
	steps := map[string][]*ir.Node{} // by convolution: the nodes of its step, with the algorithm that fuses most nodes
	for _, l := range c.Program.Layers {
		if l.Choice.Estimates == nil {
			continue
		}
		k := modelc.TunedConv{Name: plan.NodeName(l.Node), Model: l.Choice.Algorithm, Ms: map[string]float64{}, Estimates: map[string]float64{}}
		for a, ns := range l.Choice.Estimates {
			k.Estimates[a] = ns / 1e6
			possible[a] = true
		}
		t.Layers = append(t.Layers, k)
	}
	algorithms := slices.DeleteFunc(cpu.Algorithms(), func(a string) bool { return !possible[a] })
	times := map[string]map[string]float64{} // by node
	for i, a := range algorithms {
		if err := c.Options.Progress.Update("measuring "+a, i, len(algorithms)); err != nil {
			return nil, err
		}
		force := map[string]string{}
		for _, l := range t.Layers {
			force[l.Name] = a
		}
		p, err := cpu.Build(c.Graph, cpu.Config{Exact: c.Options.Exact, Algorithms: force})
		if err != nil {
			return nil, err
		}
		took, err := profile(p, in, threads, runs)
		if err != nil {
			return nil, err
		}
		times[a] = map[string]float64{}
		for i, l := range p.Layers {
			if l.Node == nil {
				continue
			}
			name := plan.NodeName(l.Node)
			times[a][name] += ms(took[i])
			if l.Choice.Estimates != nil && len(l.Nodes) > len(steps[name]) {
				steps[name] = l.Nodes
			}
		}
		t.RestMs = 0
		for i := range took {
			t.RestMs += ms(took[i])
		}
	}
	spent := func(l *modelc.TunedConv, a string) (ms float64) { // the time of the layer in the program of a
		for _, n := range steps[l.Name] {
			ms += times[a][plan.NodeName(n)]
		}
		return ms
	}
	for i := range t.Layers {
		l := &t.Layers[i]
		for _, a := range algorithms {
			if l.Estimates[a] == 0 {
				continue
			}
			l.Ms[a] = spent(l, a)
			if l.Algorithm == "" || l.Ms[a] < l.Ms[l.Algorithm] {
				l.Algorithm = a
			}
		}
		t.TunedMs += l.Ms[l.Algorithm]
		t.ModelMs += l.Ms[l.Model]
		t.RestMs -= spent(l, algorithms[len(algorithms)-1])
	}
	return t, nil
}

// profile returns the shortest time of each layer of p.
func profile(p *cpu.Program, in []*ir.Tensor, threads, runs int) ([]time.Duration, error) {
	e, err := inproc.New(p, threads)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	e.Wait()
	best := make([]time.Duration, len(p.Layers))
	times := make([]time.Duration, len(p.Layers))
	for run := range runs {
		if err := e.Profile(in, times); err != nil {
			return nil, err
		}
		for i, d := range times {
			if run == 0 || d < best[i] {
				best[i] = d
			}
		}
	}
	return best, nil
}
