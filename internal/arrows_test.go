// Package internal_test holds tests of the module as a whole.
package internal_test

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
	"golang.org/x/tools/go/packages"
)

// layers lists what each part of the module may import of it. Data flows one
// way: see docs/architecture.md.
var layers = []struct {
	prefix string
	may    []string
}{
	{"modelc/runtime/internal/mem", nil},
	{"modelc/runtime/internal/team", nil},
	{"modelc/runtime/internal/simd", []string{"modelc/runtime/internal/team"}},
	{"modelc/runtime/kernel/plain", []string{"modelc/runtime/kernel", "modelc/runtime/internal/team"}},
	{"modelc/runtime/kernel", []string{"modelc/runtime/internal"}},
	{"modelc/runtime/vision", nil},
	{"modelc/runtime", []string{"modelc/runtime/kernel", "modelc/runtime/internal"}},
	{"modelc/ir/eval", []string{"modelc/ir"}},
	{"modelc/ir", nil},
	{"modelc/frontend", []string{"modelc/ir", "modelc/frontend"}},
	{"modelc/passes", []string{"modelc/ir"}},
	{"modelc/backend/cpu/pack", nil},
	{"modelc/backend/schedule", []string{"modelc/ir", "modelc/runtime", "modelc/backend/cpu/pack"}},
	{"modelc/backend", []string{"modelc/ir", "modelc/runtime", "modelc/backend/schedule"}},
	{"modelc/internal/kernelgen", []string{"modelc/internal/kernelgen"}},
	{"modelc/internal/gorun", []string{"modelc", "modelc/backend/golang", "modelc/ir"}}, // above the library, below the command
	{"modelc/internal/report/layout", nil},
	{"modelc/internal/report", []string{"modelc", "modelc/backend/golang", "modelc/backend/schedule", "modelc/internal/report/layout", "modelc/ir", "modelc/passes"}}, // above the library, below the command
	{"modelc/internal", []string{"modelc/ir", "modelc/internal"}},
}

func TestImportArrows(t *testing.T) {
	pkgs, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedImports}, "modelc/...")
	if err != nil {
		t.Fatal(err)
	}
	if len(pkgs) < 10 {
		t.Fatalf("%d packages found", len(pkgs))
	}
	for _, p := range pkgs {
		for _, l := range layers {
			if p.PkgPath != l.prefix && !strings.HasPrefix(p.PkgPath, l.prefix+"/") {
				continue
			}
			for imp := range p.Imports {
				if !strings.HasPrefix(imp, "modelc/") && imp != "modelc" {
					if strings.HasPrefix(l.prefix, "modelc/runtime") && strings.Contains(imp, ".") {
						t.Errorf("%s imports %s: the runtime stays on the standard library", p.PkgPath, imp)
					}
					continue
				}
				ok := false
				for _, m := range l.may {
					ok = ok || imp == m || m != "modelc" && strings.HasPrefix(imp, m+"/")
				}
				if !ok {
					t.Errorf("%s imports %s", p.PkgPath, imp)
				}
			}
			break
		}
	}
}

// A module with a replace directive cannot be installed by `go install
// modelc/cmd/modelc@VERSION`, nor required without repeating the directive.
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
