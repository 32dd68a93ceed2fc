package internal_test

import (
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"

	"modelc/internal/modpath"
)

const (
	// mostFiles is the maximum number of Go files of a package, without tests.
	mostFiles = 25
	// One in mostBackward dependencies between the files of a package may be
	// backward.
	mostBackward = 10
)

// A package is easy to read if it is small, and if its files have an order in
// which each uses only earlier ones. A dependency on a later file is backward.
func TestStructure(t *testing.T) {
	var patterns []string
	for _, dir := range []string{"", "backend/...", "cmd/...", "frontend/...", "ir/...", "passes/...", "runtime/..."} {
		patterns = append(patterns, modpath.Package(dir))
	}
	pkgs, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports,
	}, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	if len(pkgs) < 10 {
		t.Fatalf("%d packages found", len(pkgs))
	}
	for _, p := range pkgs {
		dir, _ := folder(p.PkgPath)
		for _, err := range p.Errors {
			t.Errorf("%s: %v", dir, err)
		}
		problem := func(format string, args ...any) {
			t.Errorf(dir+": "+format, args...)
		}
		if n := countFiles(t, filepath.Join("..", filepath.FromSlash(dir))); n > mostFiles {
			problem("%d Go files, the maximum is %d", n, mostFiles)
		}
		d := dependenciesOf(p)
		order := d.order()
		if back := d.backward(order); len(back) > 0 && len(back)*mostBackward >= d.count() {
			problem("%d of %d dependencies between files run backward: %s\nwith the files in the order %s", len(back), d.count(), strings.Join(back, ", "), strings.Join(order, " "))
		}
	}
}

// countFiles returns the number of a folder's Go files for all systems.
func countFiles(t *testing.T, dir string) (n int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go") {
			n++
		}
	}
	return n
}

// dependencies has the files that each file of a package uses.
type dependencies map[string]map[string]bool

// dependenciesOf finds the dependencies between the files that are built on this
// system.
func dependenciesOf(p *packages.Package) dependencies {
	d := dependencies{}
	name := func(n interface{ Pos() token.Pos }) string { return filepath.Base(p.Fset.Position(n.Pos()).Filename) }
	for _, f := range p.Syntax {
		d[name(f)] = map[string]bool{}
	}
	for _, f := range p.Syntax {
		from := name(f)
		ast.Inspect(f, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			// Objects of other packages have no file of this one. A package's name
			// is an object of the file that imports it.
			if o := p.TypesInfo.Uses[id]; o != nil && o.Pkg() == p.Types && o.Pos().IsValid() {
				if to := name(o); to != from && d[to] != nil {
					d[from][to] = true
				}
			}
			return true
		})
	}
	return d
}

// count returns the number of dependencies.
func (d dependencies) count() (n int) {
	for _, uses := range d {
		n += len(uses)
	}
	return n
}

// backward returns the dependencies of files on later ones of an order.
func (d dependencies) backward(order []string) (list []string) {
	for i, from := range order {
		for _, to := range order[i+1:] {
			if d[from][to] {
				list = append(list, from+" → "+to)
			}
		}
	}
	return list
}

// order returns the files in an order with few backward dependencies. It begins
// with two simple orders and moves single files as long as that helps.
func (d dependencies) order() []string {
	byName := slices.Sorted(maps.Keys(d))
	best := d.improve(byName)
	if other := d.improve(d.greedy(byName)); len(d.backward(other)) < len(d.backward(best)) {
		best = other
	}
	return best
}

// improve moves the file whose move helps, as long as there is one.
func (d dependencies) improve(order []string) []string {
	order = slices.Clone(order)
	for again := true; again; {
		again = false
		for i := range order {
			// Where the file moves past another one, the dependencies between the
			// two change their direction.
			file, to, gain, best := order[i], i, 0, 0
			for j := i + 1; j < len(order); j++ {
				gain += d.weight(file, order[j])
				if gain > best {
					to, best = j, gain
				}
			}
			gain = 0
			for j := i - 1; j >= 0; j-- {
				gain -= d.weight(file, order[j])
				if gain > best {
					to, best = j, gain
				}
			}
			if best > 0 {
				order = slices.Insert(slices.Delete(order, i, i+1), to, file)
				again = true
			}
		}
	}
	return order
}

// weight is 1 if only a uses b, -1 if only b uses a, otherwise 0.
func (d dependencies) weight(a, b string) (w int) {
	if d[a][b] {
		w++
	}
	if d[b][a] {
		w--
	}
	return w
}

// greedy puts next the file whose unplaced dependencies are fewest, compared with
// the number of unplaced files that use it.
func (d dependencies) greedy(files []string) (order []string) {
	left := slices.Clone(files)
	for len(left) > 0 {
		next, least := 0, 0
		for i, a := range left {
			w := 0
			for _, b := range left {
				w += d.weight(a, b)
			}
			if i == 0 || w < least {
				next, least = i, w
			}
		}
		order = append(order, left[next])
		left = slices.Delete(left, next, next+1)
	}
	return order
}

func TestOrder(t *testing.T) {
	uses := func(files ...string) map[string]bool {
		m := map[string]bool{}
		for _, f := range files {
			m[f] = true
		}
		return m
	}
	d := dependencies{"a": uses("b", "c"), "b": uses("d"), "c": uses("d"), "d": uses("e"), "e": uses("c")} // c → d → e → c
	order := d.order()
	if back := d.backward(order); len(back) != 1 || d.count() != 6 {
		t.Errorf("order %v, backward %v of %d", order, back, d.count())
	}
}
