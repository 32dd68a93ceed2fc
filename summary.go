package modelc

import (
	"modelc/backend/golang"
	"modelc/frontend/source"
	"modelc/passes"
	"modelc/passes/integer"
)

// Summary describes a package that [Compiled.WritePackage] wrote: its cost and the
// work of the compiler.
type Summary struct {
	golang.Summary
	Dir     string  `json:"dir"`              // absolute path of the package's folder
	Package string  `json:"package"`          // name of the package
	Runtime string  `json:"runtime"`          // import path of the runtime
	Copied  *Copied `json:"copied,omitempty"` // copied runtime; nil if the package imports the runtime of this module
	Model   string  `json:"model"`            // name of the graph
	Format  string  `json:"format"`           // format of the model
	// Predict describes how Predict converts an image to the input. It is empty if
	// the package has no Predict.
	Predict string `json:"predict,omitempty"`
	// Rounding describes the effect of weights in half precision on the outputs. It
	// is nil if the weights have full precision.
	Rounding *golang.Rounding `json:"rounding,omitempty"`
	// LayerErrors has the errors of the convolutions on bfloat16: see Compiled.LayerErrors.
	LayerErrors []LayerError `json:"layer_errors,omitempty"`
	// CUDA describes the part for a GPU. It is nil if there is none.
	CUDA  *CUDASummary `json:"cuda,omitempty"`
	Notes []string     `json:"notes,omitempty"` // remarks for the user
	// Quantized describes the quantisation of the model, if modelc quantised it.
	Quantized *QuantizedReport `json:"quantized,omitempty"`
	// Sessions has an element for each batch size except the smallest.
	Sessions []Session `json:"sessions,omitempty"`

	ModelSize  Size `json:"model_size"`
	ModelNodes int  `json:"model_nodes"`

	Passes    []passes.Stat  `json:"passes"` // the passes that changed something
	Fused     Fused          `json:"fused"`
	FileBytes map[string]int `json:"files"` // size of each file, by its path in the package
	// Integers says which layers of a quantised model compute on integers. It is nil
	// for other models.
	Integers *integer.Report `json:"integers,omitempty"`
}

// Size is the size of a model before the passes, as its author knows it.
type Size struct {
	// Parameters is the number of parameters. Fixed are those among them that training
	// does not change, such as moving averages.
	Parameters int64 `json:"parameters"`
	Fixed      int64 `json:"fixed_parameters"`
	// FLOPs is the number of floating-point operations of a run, a multiply-add counted
	// as two.
	FLOPs int64 `json:"flops"`
}

// CUDASummary is the cost of a package on a GPU.
type CUDASummary struct {
	Kernels  int              `json:"kernels"` // number of launches of a run
	Arena    int              `json:"arena_bytes"`
	Weights  int              `json:"weights_bytes"`
	Products *golang.Rounding `json:"products,omitempty"` // effect of tensor cores; nil in float32
}

// Session is the cost of a session for one batch size.
type Session struct {
	Batch int `json:"batch"`       // number of examples per run
	Arena int `json:"arena_bytes"` // size of the memory for activations
}

// Copied is the size of a copied runtime.
type Copied struct {
	Files int `json:"files"`
	Lines int `json:"lines"`
	Bytes int `json:"bytes"`
	// Shared reports whether the whole runtime was copied, to a separate folder.
	Shared bool `json:"shared,omitempty"`
}

// summary returns the part of a Summary that does not depend on the options of the
// package.
func (c *Compiled) summary() *Summary {
	s := &Summary{Summary: golang.Summarize(c.Program), Model: c.Graph.Name, Format: c.Model.Format, Notes: c.Model.Notes,
		ModelSize: SizeOf(c.Model.Layers), ModelNodes: len(c.Before.Nodes), Fused: c.fused(), Quantized: c.Quantized, FileBytes: map[string]int{}, Integers: c.Report.Integers, LayerErrors: c.LayerErrors}
	for _, p := range c.Report.Passes {
		if p.Changed > 0 && p.Name != "choose_padding" {
			s.Passes = append(s.Passes, p)
		}
	}
	for _, m := range c.more {
		s.Sessions = append(s.Sessions, Session{m.batch, m.Program.Plan.ArenaBytes})
	}
	return s
}

// SizeOf returns the size of a model with the given layers.
func SizeOf(layers []*source.Layer) Size {
	var s Size
	for _, l := range layers {
		if l.Depth == 0 { // the others are part of these
			s.Parameters += l.Trainable + l.Fixed
			s.Fixed += l.Fixed
			s.FLOPs += l.FLOPs
		}
	}
	return s
}
