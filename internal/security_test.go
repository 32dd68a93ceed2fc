package internal_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The tests that docs/security.md names exist. Each promise names a test, and each
// fuzz target is in the page.
func TestSecurityPage(t *testing.T) {
	const page = "docs/security.md"
	text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	exists := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w*)\(\w+ \*testing\.[TF]\)`)
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel("..", filepath.Dir(path))
		if err != nil {
			return err
		}
		if dir = filepath.ToSlash(dir); dir == "." {
			dir = "modelc"
		}
		for _, m := range function.FindAllSubmatch(src, -1) {
			exists[dir+"."+string(m[1])] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("`([\\w/]+\\.(?:Test|Fuzz)\\w*)`").FindAllSubmatch(text, -1) {
		name := string(m[1])
		named[name] = true
		if !exists[name] {
			t.Errorf("%s names %s, which does not exist", page, name)
		}
	}
	if len(named) < 40 {
		t.Errorf("%s names %d tests", page, len(named))
	}
	for name := range exists {
		if strings.Contains(name, ".Fuzz") && !named[name] {
			t.Errorf("%s does not list %s", page, name)
		}
	}
	column := 0 // of tests in the current table
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, " | ")
		switch {
		case strings.HasPrefix(line, "| ") && strings.HasSuffix(strings.TrimSpace(line), "| test |"):
			column = len(cells) - 1
		case !strings.HasPrefix(line, "| "):
			column = 0
		case column > 0 && !strings.HasPrefix(line, "| ---"):
			if test := cells[column]; !strings.Contains(test, "Test") && !strings.HasPrefix(test, "none: ") && !strings.HasPrefix(test, "all tests ") {
				t.Errorf("%s: a promise without a test: %s", page, line)
			}
		}
	}
}
