package modelc

import (
	"fmt"
	"slices"
	"time"

	"modelc/backend/cpu"
	"modelc/backend/inproc"
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/runtime"
)

// Tuning is what the algorithms of a model's convolutions cost on one machine.
type Tuning struct {
	SHA256  string      `json:"sha256"` // of the model
	Tier    string      `json:"tier"`
	Threads int         `json:"threads"`
	Layers  []TunedConv `json:"layers"`
	// TunedMs and ModelMs are the sums of these layers' times with the fastest
	// algorithm and with the cost model's choice; RestMs is the time of all
	// other layers.
	TunedMs float64 `json:"tuned_ms"`
	ModelMs float64 `json:"model_ms"`
	RestMs  float64 `json:"rest_ms"`
}

// TunedConv is one convolution that several algorithms compute.
type TunedConv struct {
	Name      string `json:"name"`
	Algorithm string `json:"algorithm"` // the fastest
	Model     string `json:"model"`     // the cost model's choice
	// Ms is the shortest time of each algorithm, with the pool behind the
	// convolution; Estimates is what the cost model expected.
	Ms        map[string]float64 `json:"ms"`
	Estimates map[string]float64 `json:"estimated_ms"`
}

// Tune measures every algorithm of every convolution of the compiled model
// that has a choice: a program per algorithm runs so often, and the shortest
// time of each layer counts.
func Tune(c *Compiled, threads, runs int) (*Tuning, error) {
	t := &Tuning{SHA256: c.Model.SHA256, Tier: runtime.Tier(), Threads: threads}
	in := eval.Inputs(c.Before, 1)
	possible := map[string]bool{}
	steps := map[string][]*ir.Node{} // by convolution: the nodes that its step computes, under any algorithm
	for _, l := range c.Program.Layers {
		if l.Choice.Estimates == nil {
			continue
		}
		k := TunedConv{Name: plan.NodeName(l.Node), Model: l.Choice.Algorithm, Ms: map[string]float64{}, Estimates: map[string]float64{}}
		for a, ns := range l.Choice.Estimates {
			k.Estimates[a] = ns / 1e6
			possible[a] = true
		}
		t.Layers = append(t.Layers, k)
	}
	algorithms := slices.DeleteFunc(cpu.Algorithms(), func(a string) bool { return !possible[a] })
	times := map[string]map[string]float64{} // by node
	for i, a := range algorithms {
		if err := c.Options.Report("measuring "+a, i, len(algorithms)); err != nil {
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
	spent := func(l *TunedConv, a string) (ms float64) { // on the layer in the program of a
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

func profile(p *cpu.Program, in []*ir.Tensor, threads, runs int) ([]time.Duration, error) {
	e, err := inproc.New(p, threads)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	return e.Profile(in, runs)
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// algorithms returns the fastest algorithm of each layer, if this is the
// tuning of the model with that digest.
func (t *Tuning) algorithms(sha256 string) (map[string]string, error) {
	if t.SHA256 != sha256 {
		return nil, fmt.Errorf("the tuning is of another model (SHA-256 %.12s…, this one %.12s…): run modelc tune again", t.SHA256, sha256)
	}
	m := map[string]string{}
	for _, l := range t.Layers {
		m[l.Name] = l.Algorithm
	}
	return m, nil
}
