package passes

import (
	"fmt"
	"strings"
)

// Docs returns docs/passes.md: the pipeline and its constraints as Markdown.
func Docs() string {
	var b strings.Builder
	b.WriteString("# Passes\n\nMade from the table in `passes/pipeline.go` by `go test ./passes -update`.\n" +
		"Exact passes keep every rounding of the model; only they run under `--exact`.\n\n| # | pass | exact | what it does |\n| --- | --- | --- | --- |\n")
	for i, p := range Pipeline {
		exact := ""
		if p.Exact {
			exact = "yes"
		}
		fmt.Fprintf(&b, "| %d | `%s` | %s | %s |\n", i+1, p.Name, exact, p.Doc)
	}
	b.WriteString("\n## Order\n\n| before | after | because |\n| --- | --- | --- |\n")
	for _, c := range constraints {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", c.before, c.after, c.reason)
	}
	b.WriteString("\nThe pattern, the legality and the non-goals of a pass stand in the comment of its file; `passes/testdata` holds a before and after for each, and cases in which it must not fire.\n")
	return b.String()
}
