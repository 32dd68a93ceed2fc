package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The tests pass with another network: after the change of main.go that README
// describes, and `go generate`.
func TestAnotherModel(t *testing.T) {
	if !*long {
		t.Skip("compiles another model and runs all tests with it")
	}
	dir := t.TempDir()
	copyModule(t, dir, func(main string) string { return swapped(t, main) })
	for _, line := range []string{
		"go tool modelc zoo squeezenet1.1 --width 0.25 --size 64 -o squeezenet.onnx",
		"go generate .",
		"go test .",
	} {
		args := strings.Fields(line)
		c := exec.CommandContext(t.Context(), args[0], args[1:]...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
}

// copyModule copies this module to dir, where it refers to the same modelc and the same
// models. edit, unless nil, changes main.go. Tests that copy the module are left out.
func copyModule(t *testing.T, dir string, edit func(string) string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == "swap_test.go" || path == "workflow_test.go" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		switch path {
		case "main.go":
			text := string(b)
			if edit != nil {
				text = edit(text)
			}
			b = []byte(strings.ReplaceAll(text, " ../../", " "+root+"/"))
		case "go.mod":
			b = []byte(strings.ReplaceAll(string(b), "=> ../..", "=> "+root))
		}
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, path), b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// swapped returns main.go with another model in its go:generate line for the package
// network.
func swapped(t *testing.T, text string) string {
	t.Helper()
	lines := strings.Split(text, "\n")
	changed := 0
	for i, line := range lines {
		if strings.HasPrefix(line, "//go:generate ") && strings.Contains(line, " -o network ") {
			lines[i] = "//go:generate go tool modelc compile squeezenet.onnx -o network --preprocess torch --labels imagenet"
			changed++
		}
	}
	if changed != 1 {
		t.Fatalf("main.go has %d lines that compile the package network", changed)
	}
	return strings.Join(lines, "\n")
}
