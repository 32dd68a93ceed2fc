package schedule

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

// Each testdata/*.txtar holds the text of a graph and the program it becomes.
func TestPrograms(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(f)
			if err != nil {
				t.Fatal(err)
			}
			g, err := ir.Parse(string(ar.Files[0].Data))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if p, err := Build(g, Config{Exact: true}); err != nil {
				got = "error: " + err.Error() + "\n"
			} else {
				got = Format(p)
			}
			if *update {
				ar.Files = append(ar.Files[:1], txtar.File{Name: "program", Data: []byte(got)})
				if err := os.WriteFile(f, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if len(ar.Files) < 2 {
				t.Fatal("no expected program; run with -update")
			}
			if diff := cmp.Diff(string(ar.Files[1].Data), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
