package modelc

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
)

// notYet lists hostile files of the corpus that are not handled as the corpus
// requires, with the reason. The test fails with -long if such a file is handled.
var notYet = map[string]string{
	"F4_cumsum_16384.onnx": "CumSum is a product with a matrix of 2^28 elements, which takes longer than the limit",
}

// Files that try to break a compiler are refused or compiled, as the corpus
// requires, in short time and without a panic. If one is refused, nothing is
// written.
func TestHostileFiles(t *testing.T) {
	root := os.Getenv("MODELC_CORPUS")
	if root == "" {
		t.Skip("MODELC_CORPUS is not set: models from outside are not tested")
	}
	dir := filepath.Join(root, "hostile")
	table, err := os.ReadFile(filepath.Join(dir, "expect.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(table)), "\n")[1:]
	if len(rows) < 15 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		name, want, ok := strings.Cut(row, "\t")
		want, _, ok2 := strings.Cut(want, "\t")
		if !ok || !ok2 {
			t.Fatalf("row %q", row)
		}
		t.Run(name, func(t *testing.T) {
			reason, known := notYet[name]
			if known && !*long {
				t.Skip(reason)
			}
			problem := hostile(filepath.Join(dir, name), want, t.TempDir())
			switch {
			case known && problem == nil:
				t.Errorf("it gets what it should: take it out of notYet (%s)", reason)
			case known:
				t.Skipf("%s: %v", reason, problem)
			case problem != nil:
				t.Error(problem)
			}
		})
	}
}

// hostile returns an error if the file is not handled as the corpus requires.
func hostile(file, want, dir string) (problem error) {
	defer func() {
		if r := recover(); r != nil {
			problem = fmt.Errorf("panic: %v", r)
		}
	}()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module hostile\n\ngo 1.26\n"), 0o666); err != nil {
		return err
	}
	out := filepath.Join(dir, "out")
	begin := time.Now()
	c, err := Compile(file, Options{})
	if took := time.Since(begin); took > 2*time.Second {
		return fmt.Errorf("it took %v", took)
	}
	if err == nil {
		defer c.Close()
		// The go command looks for the module here, which takes time.
		begin := time.Now()
		_, err = c.WritePackage(out, PackageOptions{Standalone: true})
		if took := time.Since(begin); took > 20*time.Second {
			return fmt.Errorf("writing it took %v", took)
		}
	}
	if err == nil && want == "accept" {
		cmd := exec.Command("go", "test", ".")
		cmd.Dir = out
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("the package's own test: %w\n%s", err, text)
		}
	}
	if err == nil && want == "reject" {
		return fmt.Errorf("it is accepted")
	}
	if err != nil {
		if want == "accept" {
			return err
		}
		if _, missing := os.Stat(out); missing == nil {
			return fmt.Errorf("it is refused, but something was written: %v", err)
		}
		unprintable := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
		if text := err.Error(); strings.ContainsFunc(text, unprintable) || strings.Count(text, "\n") > 1 {
			return fmt.Errorf("the message has characters of the file: %q", text)
		}
	}
	return nil
}
