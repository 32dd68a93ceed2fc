package passes

import (
	"io"
	"time"
)

// Config selects the passes and the checks between them.
type Config struct {
	Exact   bool     // run exact passes only
	Only    []string // run these passes only, all if it is empty
	Disable []string // do not run these passes
	// PrintAfter names the passes after which the graph's text is written to
	// Log; "all" stands for every pass.
	PrintAfter []string
	Log        io.Writer
	// Verify checks the graph's invariants after each pass. Check also compares
	// its outputs on seeded inputs with those before the passes.
	Verify, Check bool
	// Progress, unless nil, is called with the number of passes that are done.
	// An error ends the run.
	Progress func(done, total int) error
}

// Report is the outcome of a run.
type Report struct {
	Passes []Stat
}

// Stat is the outcome of one pass.
type Stat struct {
	Name    string        `json:"name"`
	Changed int           `json:"changed"` // the number of places
	Before  Size          `json:"before"`
	After   Size          `json:"after"`
	Time    time.Duration `json:"ns"`
}

// Size is the cost of a graph.
type Size struct {
	Nodes int   `json:"nodes"`
	FLOPs int64 `json:"flops"`
	// Bytes is the size of all nodes' operands and results, weights included.
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
