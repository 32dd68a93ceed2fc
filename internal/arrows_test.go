// Package internal_test holds tests of the module as a whole.
package internal_test

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
	"golang.org/x/tools/go/packages"

	"modelc/internal/modpath"
)

// layers lists the folders of the module whose packages the packages of a folder
// may import, with those below them; "." is the root package alone. The first
// row that fits counts. Data flows one way: see docs/architecture.md.
var layers = []struct {
	folder string
	may    []string
}{
	{"runtime/internal/mem", nil},
	{"runtime/internal/team", nil},
	{"runtime/internal/simd", []string{"runtime/internal/team"}},
	{"runtime/kernel/bfloat", []string{"runtime/internal/simd", "runtime/internal/team", "runtime/kernel"}},
	{"runtime/kernel/integer", []string{"runtime/internal/simd", "runtime/internal/team", "runtime/kernel"}},
	{"runtime/kernel/plain", []string{"runtime/internal/team", "runtime/kernel"}},
	{"runtime/kernel/recurrent", []string{"runtime/internal/simd", "runtime/internal/team", "runtime/kernel"}},
	{"runtime/kernel", []string{"runtime/internal"}},
	{"runtime/vision", nil},
	{"runtime", []string{"runtime/internal", "runtime/kernel"}},
	{"ir/eval", []string{"ir"}},
	{"ir/examples", []string{"ir"}},
	{"ir", nil},
	{"frontend", []string{"internal/files", "internal/plaintext", "internal/spelling", "ir", "frontend"}},
	{"passes/integer", []string{"ir"}},
	{"passes", []string{"internal/spelling", "ir", "passes/integer"}},
	{"backend/plan", []string{"ir"}},
	{"backend/cpu/pack", nil},
	{"backend/cpu", []string{"backend/cpu", "backend/plan", "ir", "runtime"}},
	{"backend/cuda/launcher", nil}, // generated packages have copies
	{"backend/cuda/shim", []string{"backend/cuda/launcher"}},
	{"backend/cuda/roofline", []string{"backend/cuda", "backend/plan", "internal/columns", "ir"}},
	{"backend/cuda", []string{"backend/cuda", "backend/plan", "ir"}},
	{"backend/golang", []string{"backend/cpu", "backend/cuda", "backend/plan", "internal/files", "internal/modpath", "internal/units", "ir", "runtime"}},
	{"backend/inproc", []string{"backend/cpu", "backend/plan", "ir", "runtime"}},
	{"backend", []string{"backend/plan", "ir"}}, // a second machine
	{"internal/kernelgen", []string{"internal/kernelgen"}},
	{"internal/columns", nil},
	{"internal/files", nil},
	{"internal/gomod", nil},
	{"internal/modpath", nil},
	{"internal/plaintext", nil},
	{"internal/spelling", nil},
	{"internal/units", nil},
	{"internal/report/layout", nil},
	{"internal/dataset", []string{"internal/files", "internal/npy", "ir", "runtime/vision"}},
	// These stand above the root package and below the command.
	{"internal/gorun", []string{".", "backend/golang", "internal/files", "ir"}},
	{"internal/measure", []string{".", "backend/cpu", "backend/inproc", "backend/plan", "internal/machine", "ir", "runtime"}},
	{"internal/report", []string{".", "backend/cuda/roofline", "backend/golang", "backend/plan", "frontend/source", "internal/measure", "internal/report/layout", "internal/units", "ir", "passes"}},
	{"internal", []string{"ir", "internal"}},
}

// below reports whether a package is that of a folder or below it.
func below(pkg, folder string) bool {
	return pkg == folder || folder != "." && strings.HasPrefix(pkg, folder+"/")
}

func TestImportArrows(t *testing.T) {
	pkgs, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedImports}, modpath.Package("..."))
	if err != nil {
		t.Fatal(err)
	}
	if len(pkgs) < 10 {
		t.Fatalf("%d packages found", len(pkgs))
	}
	for _, p := range pkgs {
		from, _ := folder(p.PkgPath)
		for _, l := range layers {
			if !below(from, l.folder) {
				continue
			}
			for imp := range p.Imports {
				to, ours := folder(imp)
				if !ours {
					if below(from, "runtime") && strings.Contains(imp, ".") {
						t.Errorf("%s imports %s: the runtime stays on the standard library", from, imp)
					}
					continue
				}
				ok := false
				for _, m := range l.may {
					ok = ok || below(to, m)
				}
				if !ok {
					t.Errorf("%s imports %s", from, to)
				}
			}
			break
		}
	}
}

// folder returns the folder of a package of the module, "." for the root.
func folder(pkg string) (dir string, ours bool) {
	if pkg == modpath.Module {
		return ".", true
	}
	return strings.CutPrefix(pkg, modpath.Module+"/")
}

// A module with a replace directive cannot be installed with go install
// PATH@VERSION, nor required without repeating the directive.
func TestNoReplace(t *testing.T) {
	b, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse("go.mod", b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(mod.Replace)+len(mod.Exclude) > 0 {
		t.Errorf("go.mod has %d replace and %d exclude directives", len(mod.Replace), len(mod.Exclude))
	}
}
