package passes

import (
	"io"
	"time"

	"modelc/passes/integer"
)

// Config selects the passes and the checks between them.
type Config struct {
	Exact   bool     // run exact passes only
	Only    []string // run these passes only, all if it is empty
	Disable []string // do not run these passes
	// PrintAfter names the passes after which Run writes the text of the graph to Log;
	// "all" stands for every pass.
	PrintAfter []string
	Log        io.Writer
	// Verify makes Run check the invariants of the graph after each pass. Check makes
	// it also compare outputs on seeded inputs with those of the original graph.
	Verify, Check bool
	// Run calls Progress, unless it is nil, with the number of completed passes. An
	// error from Progress ends the run.
	Progress func(done, total int) error

	report *Report // of the run
}

// Report is the outcome of a run.
type Report struct {
	Passes []Stat
	// Integers says which layers compute on integers. It is nil unless the model has
	// quantised tensors.
	Integers *integer.Report
}

// Stat is the outcome of one pass.
type Stat struct {
	Name    string        `json:"name"`
	Changed int           `json:"changed"` // the number of changed places
	Before  Size          `json:"before"`
	After   Size          `json:"after"`
	Time    time.Duration `json:"ns"`
}

// Size is the cost of a graph.
type Size struct {
	Nodes int   `json:"nodes"`
	FLOPs int64 `json:"flops"`
	// Bytes is the size of the operands and results of all nodes, including weights.
	Bytes int64 `json:"bytes"`
}

// Changed returns the number of places that the named pass changed.
func (r *Report) Changed(name string) int {
	for _, s := range r.Passes {
		if s.Name == name {
			return s.Changed
		}
	}
	return 0
}
