package modelc

import (
	"modelc/backend/golang"
	"modelc/ir"
	"modelc/passes"
)

// Summary describes a package that [Compiled.WritePackage] wrote: what it costs
// and what the compiler did.
type Summary struct {
	golang.Summary
	Dir     string  `json:"dir"`     // absolute path of the package's folder
	Package string  `json:"package"` // name
	Runtime string  `json:"runtime"` // import path of the runtime
	Copied  *Copied `json:"copied,omitempty"`
	Model   string  `json:"model"`
	Format  string  `json:"format"`
	// Predict describes how the package turns an image into its input. It is
	// empty if the package takes no images.
	Predict string `json:"predict,omitempty"`
	// Rounding describes what weights in half precision do to the outputs. It is
	// nil if the weights have full precision.
	Rounding *golang.Rounding `json:"rounding,omitempty"`
	Notes    []string         `json:"notes,omitempty"`
	// Sessions has an element for each batch size but the smallest.
	Sessions []Session `json:"sessions,omitempty"`

	// ModelParameters, ModelFLOPs and ModelNodes count those of the model as it
	// was written.
	ModelParameters int64 `json:"model_parameters"`
	ModelFLOPs      int64 `json:"model_flops"`
	ModelNodes      int   `json:"model_nodes"`

	Passes    []passes.Stat  `json:"passes"` // the passes that changed something
	Fused     Fused          `json:"fused"`
	FileBytes map[string]int `json:"files"` // size of each file, by its path in the package
}

// Session is what a session for one batch size costs.
type Session struct {
	Batch int `json:"batch"`
	Arena int `json:"arena_bytes"`
}

// Copied is the size of a copied runtime.
type Copied struct {
	Files int `json:"files"`
	Lines int `json:"lines"`
	Bytes int `json:"bytes"`
	// Shared reports whether the whole runtime was copied, to a folder of its
	// own.
	Shared bool `json:"shared,omitempty"`
}

// summary describes what does not depend on the package's options.
func (c *Compiled) summary() *Summary {
	s := &Summary{Summary: golang.Summarize(c.Program), Model: c.Graph.Name, Format: c.Model.Format, Notes: c.Model.Notes,
		ModelNodes: len(c.Before.Nodes), Fused: c.fused(), FileBytes: map[string]int{}}
	for _, n := range c.Before.Nodes {
		s.ModelFLOPs += ir.FLOPs(n)
	}
	for _, v := range c.Before.Constants {
		if v.Type.DType.IsFloat() {
			s.ModelParameters += int64(v.Type.Shape.Len())
		}
	}
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
