package cpu

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"modelc/ir"
)

var update = flag.Bool("update", false, "rewrite testdata from what Build does")

// Each testdata/*.txtar holds the text of a graph, the program with Config.Exact
// and, if it differs, the program without.
func TestPrograms(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txtar"), func(t *testing.T) {
			want, err := txtar.ParseFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got := &txtar.Archive{Comment: want.Comment, Files: want.Files[:1:1]}
			program := func(c Config) string {
				g, err := ir.Parse(string(want.Files[0].Data))
				if err != nil {
					t.Fatal(err)
				}
				p, err := Build(g, c)
				if err != nil {
					return "error: " + err.Error() + "\n"
				}
				return p.Format()
			}
			exact, fast := program(Config{Exact: true}), program(Config{})
			got.Files = append(got.Files, txtar.File{Name: "program", Data: []byte(exact)})
			if fast != exact {
				got.Files = append(got.Files, txtar.File{Name: "fast", Data: []byte(fast)})
			}
			if *update {
				if err := os.WriteFile(f, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(txtar.Format(want)), string(txtar.Format(got))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
