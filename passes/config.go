package passes

import (
	"io"
	"time"
)

// Config selects passes and what is checked between them.
type Config struct {
	Exact   bool     // only passes that keep every rounding
	Only    []string // if not empty, no other passes
	Disable []string
	// PrintAfter names passes after which the graph's text goes to Log; "all"
	// means each.
	PrintAfter []string
	Log        io.Writer
	// Verify checks the graph's invariants after each pass, Check its values
	// on seeded inputs too.
	Verify, Check bool
	// Progress, unless nil, is told how many of the passes are done. An error
	// ends the work.
	Progress func(done, total int) error

	report *Report
}

// Report tells what the passes did.
type Report struct {
	Passes []Stat
	// Padding gives, per node, how padding is realised and why.
	Padding map[string]string
}

// Stat is what one pass did.
type Stat struct {
	Name    string        `json:"name"`
	Changed int           `json:"changed"` // places
	Before  Size          `json:"before"`
	After   Size          `json:"after"`
	Time    time.Duration `json:"ns"`
}

// Size is what a graph costs.
type Size struct {
	Nodes int   `json:"nodes"`
	FLOPs int64 `json:"flops"`
	// Bytes is the sum of all nodes' operands and results, weights included.
	Bytes int64 `json:"bytes"`
}

// Changed returns how many places the named pass changed.
func (r *Report) Changed(name string) int {
	for _, s := range r.Passes {
		if s.Name == name {
			return s.Changed
		}
	}
	return 0
}
