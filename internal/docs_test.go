package internal_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The table of docs/architecture.md lists all folders with Go code, down to the
// second level, and nothing that does not exist.
func TestArchitecture(t *testing.T) {
	const page = "docs/architecture.md"
	text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	listed := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || strings.HasPrefix(cells[1], " ---") {
			continue
		}
		place := "." // the root package
		if m := quoted.FindStringSubmatch(cells[1]); m != nil {
			place = path.Clean(m[1])
		}
		listed[place] = true
		for _, cell := range cells[2 : len(cells)-1] {
			for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
				// Folders end in a slash, and files have a known extension.
				folder := strings.HasSuffix(m[1], "/")
				if !folder && path.Ext(m[1]) != ".go" && path.Ext(m[1]) != ".md" {
					continue
				}
				found := false
				for _, base := range []string{place, "."} { // relative to the row's place or to the root
					name := path.Join(base, m[1])
					if list, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(name))); err == nil && len(list) > 0 {
						found, listed[name] = true, true
						break
					}
				}
				if !found {
					t.Errorf("%s: %s: %s does not exist", page, place, m[1])
				}
			}
		}
	}
	if len(listed) < 10 {
		t.Fatalf("%s lists %d places", page, len(listed))
	}
	for place := range listed {
		if list, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(place))); err != nil || len(list) == 0 {
			t.Errorf("%s: %s does not exist", page, place)
		}
	}
	inside := map[string]bool{} // folders of which a part is listed
	for place := range listed {
		inside[path.Dir(place)] = true
	}
	for dir, code := range goFolders(t) {
		if strings.Count(dir, "/") <= 1 && !listed[dir] && (code || !inside[dir]) {
			t.Errorf("%s does not list %s", page, dir)
		}
	}
}

// goFolders returns the folders that hold Go code, themselves (true) or below them
// (false).
func goFolders(t *testing.T) map[string]bool {
	t.Helper()
	folders := map[string]bool{}
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if n := d.Name(); n == "testdata" || n != ".." && strings.HasPrefix(n, ".") {
				return filepath.SkipDir
			}
		case filepath.Ext(name) == ".go":
			rel, err := filepath.Rel("..", filepath.Dir(name))
			if err != nil {
				return err
			}
			dir := filepath.ToSlash(rel)
			folders[dir] = true
			for dir = path.Dir(dir); dir != "."; dir = path.Dir(dir) {
				if _, ok := folders[dir]; !ok {
					folders[dir] = false
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return folders
}

// The pages that lead to others name files that exist. docs/README.md lists all
// pages, examples/README.md all examples.
func TestIndexes(t *testing.T) {
	quoted := regexp.MustCompile("`([a-z0-9./_-]+(?:\\.md|/))`")
	for _, c := range []struct{ page, all string }{
		{"README.md", ""},
		{"docs/README.md", "docs/*.md"},
		{"examples/README.md", "examples/*/"},
	} {
		text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(c.page)))
		if err != nil {
			t.Fatal(err)
		}
		named := map[string]bool{c.page: true}
		for _, m := range quoted.FindAllStringSubmatch(string(text), -1) {
			name := path.Join(path.Dir(c.page), m[1])
			named[name] = true
			if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(name))); err != nil {
				t.Errorf("%s: %s does not exist", c.page, m[1])
			}
		}
		list, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(c.all)))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range list {
			name = path.Clean(strings.TrimPrefix(filepath.ToSlash(name), "../"))
			if c.all != "" && !named[name] {
				t.Errorf("%s does not list %s", c.page, name)
			}
		}
	}
}
