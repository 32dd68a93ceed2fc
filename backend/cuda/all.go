package cuda

import (
	"fmt"
	"maps"

	"modelc/ir"
)

// BuildAll is like [Build] for several graphs. The programs have one source, with the
// kernels of all. The error of graph i is the i-th; its program is nil.
func BuildAll(graphs []*ir.Graph, cfg Config) ([]*Program, []error) {
	programs, errs := make([]*Program, len(graphs)), make([]error, len(graphs))
	parts := map[string]bool{}
	var functions []*function
	for i, g := range graphs {
		b, err := lowerAll(g, cfg, fmt.Sprintf("g%d_", i), chooseTile)
		if err != nil {
			errs[i] = err
			continue
		}
		maps.Copy(parts, b.parts)
		functions = append(functions, b.functions...)
		programs[i] = b.program()
	}
	source := sourceOf(parts, functions)
	for _, p := range programs {
		if p != nil {
			p.Source = source
		}
	}
	return programs, errs
}
