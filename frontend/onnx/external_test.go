package onnx

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"modelc/frontend/source"
)

// External data lies in the model's folder. No path and no symbolic link leads out of it.
func TestExternalLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need a privilege")
	}
	dir, outside := t.TempDir(), t.TempDir()
	put := func(path string) error { return os.WriteFile(path, make([]byte, 12), 0o600) }
	for _, err := range []error{
		put(filepath.Join(outside, "secret")), put(filepath.Join(dir, "data")), os.Mkdir(filepath.Join(dir, "sub"), 0o700), put(filepath.Join(dir, "sub", "data")),
		os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "link")),
		os.Symlink(outside, filepath.Join(dir, "folder")),
		os.Symlink("sub/data", filepath.Join(dir, "inside")),
		os.Symlink("loop", filepath.Join(dir, "loop")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	rel, err := filepath.Rel(dir, filepath.Join(outside, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ location, want string }{
		{"data", ""}, {"sub/data", ""}, {"inside", ""}, {"sub/../data", ""},
		{"link", "escapes"}, {"folder/secret", "escapes"}, {"loop", "external data"}, {"sub", "it is a folder, not a file"},
		{rel, "lies outside the model's folder"}, {filepath.Join(outside, "secret"), "lies outside the model's folder"}, {"missing", `"missing" does not exist`},
	} {
		w := message{}.packed(1, 3).int(2, 1).str(8, "w").sub(13, message{}.str(1, "location").str(2, c.location)).int(14, 1)
		g := graphParts{nodes: []message{simple("Add", "y", "x", "w")}, weights: []message{w}, inputs: oneInput, outputs: oneOutput}
		path := filepath.Join(dir, "model.onnx")
		if err := os.WriteFile(path, modelMessage(8, 17, g.encode()), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := Load(path, source.Options{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.location, err, c.want)
		}
		if err == nil {
			m.Release()
		}
	}
}

// A missing file is one problem, however many tensors lie in it.
func TestMissingExternal(t *testing.T) {
	tensor := func(name, location string) message {
		return message{}.packed(1, 3).int(2, 1).str(8, name).sub(13, message{}.str(1, "location").str(2, location)).int(14, 1)
	}
	g := graphParts{
		nodes:   []message{simple("Add", "a", "x", "u"), simple("Add", "b", "x", "v"), simple("Add", "c", "x", "w"), simple("Sum", "y", "a", "b", "c")},
		weights: []message{tensor("u", "one"), tensor("v", "one"), tensor("w", "two")}, inputs: oneInput, outputs: oneOutput,
	}
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(path, modelMessage(8, 17, g.encode()), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path, source.Options{})
	want := []source.Problem{
		{Op: "external data", Reason: `"one" does not exist`, Remedy: "the file belongs into the model's folder, beside the model"},
		{Op: "external data", Reason: `"two" does not exist`, Remedy: "the file belongs into the model's folder, beside the model"},
	}
	var u *source.Unsupported
	if !errors.As(err, &u) || !slices.Equal(u.Problems, want) {
		t.Errorf("%v, want %v", err, want)
	}
}
