package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// cutKernel matches the code that replaces unused micro-kernels, or unused numbers
// of pixels, in a copied runtime.
var cutKernel = regexp.MustCompile(`(?m)(\{) return false \}$|return false // this copy has no others$`)

// strict changes the copied runtimes below dir so that they panic if they call a
// micro-kernel that was left out. The tests of the packages then show that the
// networks use none of them.
func strict(t *testing.T, dir string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "simd_amd64.go" { // every micro-kernel has a tier on amd64
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n += len(cutKernel.FindAll(b, -1))
		b = cutKernel.ReplaceAllFunc(b, func(m []byte) []byte {
			return bytes.Replace(m, []byte("return false"), []byte(`if active != &generic { panic("cut") }; return false`), 1)
		})
		return os.WriteFile(path, b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		t.Errorf("nothing was left out below %s", dir)
	}
}

// The package of a small network contains a small part of the runtime.
func TestStandaloneSmall(t *testing.T) {
	dir := userModule(t)
	if code, _, errs := invoke(t, "compile", "digits.onnx", "--standalone", "-o", "digits"); code != 0 {
		t.Fatal(errs)
	}
	files, lines := 0, 0
	filepath.WalkDir("digits/internal/runtime", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files, lines = files+1, lines+bytes.Count(b, []byte("\n"))
		}
		return err
	})
	t.Logf("%d files, %d lines", files, lines)
	if files > 12 || lines > 9000 {
		t.Errorf("the copied runtime has %d files and %d lines", files, lines)
	}
	strict(t, "digits")
	for _, tier := range []string{"generic", "avx2", "avx512"} { // a tier that the machine lacks is not used
		goTool(t, dir, []string{"MODELC_CPU=" + tier}, "test", "-count=1", "./...")
	}
}
