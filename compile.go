package modelc

import (
	"errors"
	"fmt"
	"slices"

	"modelc/backend/cpu"
	"modelc/backend/cuda"
	"modelc/frontend"
	"modelc/frontend/source"
	"modelc/ir"
	"modelc/passes"
	"modelc/runtime/kernel"
)

// Compiled is a compiled model.
type Compiled struct {
	Model   *source.Model
	Before  *ir.Graph      // graph of the model, before the passes
	Graph   *ir.Graph      // graph after the passes
	Report  *passes.Report // effects of the passes
	Program *cpu.Program   // steps that compute Graph
	CUDA    *cuda.Program  // the same for a GPU; nil unless Options.CUDA is set
	Options Options
	// LayerErrors has the errors of the convolutions on bfloat16. It is nil unless
	// Options.MaxError is set.
	LayerErrors []LayerError
	// Quantized describes the quantisation if the model is the result of
	// [Quantized.Compile], otherwise it is nil.
	Quantized *QuantizedReport

	batch int         // number of examples per run; 0 if Options.Batches is empty
	more  []*Compiled // the model compiled for the larger sizes of Options.Batches; all share one weights file
}

// Compile compiles the model at path, an ONNX or Keras file. The caller must call
// [Compiled.Close], because constants of the graphs may be slices of the open file.
// The error of a model with unsupported operations lists all of them.
func Compile(path string, o Options) (*Compiled, error) {
	if err := o.Progress.Update("model file", 0, 1); err != nil {
		return nil, err
	}
	var models []*source.Model
	o.Batches = slices.Compact(slices.Sorted(slices.Values(o.Batches)))
	if len(o.Batches) > 0 {
		var err error
		if models, err = loadBatches(path, o.Source, o.Batches); err != nil {
			return nil, err
		}
	} else {
		m, err := frontend.Load(path, o.Source)
		if err != nil {
			return nil, err
		}
		models = []*source.Model{m}
	}
	c, err := compile(models, o)
	if err != nil {
		_ = release(models) // the first error matters
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// CompileModel compiles a model that is loaded already. Of o.Source it
// uses the bounds only. It ignores o.Batches. Closing the result releases m.
func CompileModel(m *source.Model, o Options) (*Compiled, error) {
	o.Batches = nil
	return compile([]*source.Model{m}, o)
}

// compile compiles models, which are the same model for several batch sizes, to
// programs that share one weights file.
func compile(models []*source.Model, o Options) (*Compiled, error) {
	if o.Compute == kernel.BF16 && (o.Exact || o.CUDA != nil) {
		return nil, errors.New("convolutions on bfloat16 are for CPUs, and not exact")
	}
	if o.Compute != kernel.F32 && o.Compute != kernel.BF16 {
		return nil, fmt.Errorf("convolutions cannot compute in %s", o.Compute)
	}
	s := cpu.Config{Exact: o.Exact, Weights: o.Weights, Compute: o.Compute}
	var err error
	if o.Tuning != nil {
		if s.Algorithms, err = o.Tuning.algorithms(models[0].SHA256); err != nil {
			return nil, err
		}
	}
	progress := o.timed()
	list := make([]*Compiled, len(models))
	graphs := make([]*ir.Graph, len(models))
	for i, m := range models {
		if o.Softmax {
			if err := addSoftmax(m.Graph); err != nil {
				return nil, err
			}
		}
		c := &Compiled{Model: m, Before: m.Graph, Graph: m.Graph.Clone(), Options: o}
		if len(o.Batches) > 0 {
			c.batch = o.Batches[i]
		}
		cfg := o.Passes
		cfg.Exact = o.Exact
		cfg.Progress = func(done, total int) error { return progress.Update("passes", done, total) }
		if err := checkWork(c.Graph, &o.Source.Bounds); err != nil {
			return nil, err
		}
		if c.Report, err = passes.Run(c.Graph, &cfg); err != nil {
			return nil, err
		}
		if err := checkConstants(c.Graph); err != nil {
			return nil, err
		}
		var earlier []LayerError
		if i > 0 {
			earlier = list[0].LayerErrors
		}
		if c.LayerErrors, err = narrowLayers(c.Graph, &o, earlier); err != nil {
			return nil, err
		}
		if err := cpu.RoundWeights(c.Graph, o.Weights); err != nil {
			return nil, err
		}
		list[i], graphs[i] = c, c.Graph
		m.Unload() // the passes have computed new weights from many
	}
	if err := progress.Update("schedule", 0, 1); err != nil {
		return nil, err
	}
	programs, err := cpu.BuildAll(graphs, s)
	if err != nil {
		return nil, err
	}
	for i, p := range programs {
		if err := checkSession(p, &o.Source.Bounds); err != nil {
			return nil, err
		}
		list[i].Program = p
		if o.CUDA != nil {
			if list[i].CUDA, err = cuda.Build(graphs[i], *o.CUDA); err != nil {
				return nil, err
			}
		}
	}
	list[0].more = list[1:]
	return list[0], nil
}

// Close releases the model file. The graphs cannot be used after that.
func (c *Compiled) Close() error {
	err := c.Model.Release()
	for _, m := range c.more {
		err = errors.Join(err, m.Close())
	}
	return err
}
