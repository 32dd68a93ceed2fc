package modpath

import (
	"os"
	"testing"

	"golang.org/x/mod/modfile"
)

// Module is the path in go.mod.
func TestModule(t *testing.T) {
	b, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := modfile.ModulePath(b); Module != want {
		t.Errorf("module %q, go.mod has %q", Module, want)
	}
	if got, want := Package("runtime/vision"), modfile.ModulePath(b)+"/runtime/vision"; got != want {
		t.Errorf("package %q, want %q", got, want)
	}
}
