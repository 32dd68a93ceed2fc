package golang

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// checkNeighbours returns an error if the Go files in tmp, which are about to be moved to
// dir, would not build beside the Go files of others there: because those belong to
// another package, or declare the same names. others are the names of the files in dir
// that modelc did not write. The error reports every clash.
func checkNeighbours(tmp, dir string, others []string) error {
	made, err := filepath.Glob(filepath.Join(tmp, "*.go"))
	if err != nil || len(made) == 0 {
		return err
	}
	ours, name := map[string]string{}, "" // the file of each name
	for _, path := range made {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for d := range topLevel(f) {
			ours[d] = filepath.Base(path)
		}
		name = strings.TrimSuffix(f.Name.Name, "_test")
	}
	var list []error
	packages := map[string]string{} // a file of each other package
	same := ""                      // a file of the same package
	for _, other := range others {
		path := filepath.Join(dir, other)
		if filepath.Ext(other) != ".go" || filepath.Base(other) != other {
			continue
		}
		if built, err := build.Default.MatchFile(dir, other); err != nil || !built {
			continue // another machine's, ignored, or not Go: a build will tell
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		if p := f.Name.Name; p != name && (p != name+"_test" || !strings.HasSuffix(other, "_test.go")) {
			packages[p] = path
			continue
		}
		if f.Name.Name == name {
			same = path
		}
		names := topLevel(f)
		for _, d := range slices.Sorted(maps.Keys(names)) {
			if file, ok := ours[d]; ok {
				_, what, _ := strings.Cut(d, " ")
				list = append(list, fmt.Errorf("%s declares %s, as %s of the model does: rename it, or choose another folder", fset.Position(names[d]), what, file))
			}
		}
	}
	if same != "" && len(packages) > 0 {
		packages[name] = same
	}
	others = slices.Sorted(maps.Keys(packages))
	switch {
	case len(others) == 1:
		list = append(list, fmt.Errorf("%s belongs to package %s, the model to package %s: choose another folder, or set --package %[2]s", packages[others[0]], others[0], name))
	case len(others) > 1:
		for i, p := range others {
			others[i] = fmt.Sprintf("%s (%s)", p, filepath.Base(packages[p]))
		}
		list = append(list, fmt.Errorf("%s holds several packages, %s: choose another folder", dir, strings.Join(others, " and ")))
	}
	return errors.Join(list...)
}

// topLevel returns the places of the names that a file declares for its package. A name
// has the name of the package before it, because tests may be a package of their own.
func topLevel(f *ast.File) map[string]token.Pos {
	list := map[string]token.Pos{}
	add := func(prefix string, name *ast.Ident) {
		if name.Name != "_" {
			list[f.Name.Name+" "+prefix+name.Name] = name.Pos()
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			switch {
			case d.Recv != nil && len(d.Recv.List) == 1:
				add(receiver(d.Recv.List[0].Type)+".", d.Name)
			case d.Name.Name != "init":
				add("", d.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					add("", s.Name)
				case *ast.ValueSpec:
					for _, n := range s.Names {
						add("", n)
					}
				}
			}
		}
	}
	return list
}
