package modelc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"
	"unicode"

	"modelc/frontend/source"
	"modelc/internal/zoo"
	"modelc/ir"
	"modelc/runtime"
)

// Files that try to break a compiler are refused or compiled, as the corpus
// requires, in short time, with little memory and without a panic. If one is refused, nothing is
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
			if problem := hostile(t, filepath.Join(dir, name), want, t.TempDir()); problem != nil {
				t.Error(problem)
			}
		})
	}
}

// hostile returns an error if the file is not handled as the corpus requires.
func hostile(t *testing.T, file, want, dir string) (problem error) {
	defer func() {
		if r := recover(); r != nil {
			problem = fmt.Errorf("panic: %v", r)
		}
	}()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module hostile\n\ngo 1.26\n"), 0o666); err != nil {
		return err
	}
	out := filepath.Join(dir, "out")
	st, err := os.Stat(file)
	if err != nil {
		return err
	}
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	begin := time.Now()
	c, err := Compile(file, Options{})
	took := time.Since(begin)
	goruntime.ReadMemStats(&after)
	mem := int64(after.TotalAlloc - before.TotalAlloc) // not less than the peak
	t.Logf("%v, %d kB", took, mem>>10)
	if took > 2*time.Second || mem > 512<<20+st.Size() {
		return fmt.Errorf("it took %v and %d MB", took, mem>>20)
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

// tryText compiles a graph in text form.
func tryText(t *testing.T, text string, o Options) error {
	t.Helper()
	g, err := ir.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	c, err := CompileModel(&source.Model{Graph: g, Release: func() error { return nil }}, o)
	if err == nil {
		err = c.Close()
	}
	return err
}

// A model whose sessions or runs exceed a limit is refused, and so is a constant without
// meaning.
func TestCost(t *testing.T) {
	for _, c := range []struct{ name, text, want, raise string }{
		{"operations", "graph \"g\"\ninput %x : f32[8192,8192]\n%y = MatMul(%x, %x)\n%z = MatMul(%x, %y)\n%a = MatMul(%x, %z)\n%b = MatMul(%x, %a)\noutput \"b\" %b", "--limit flops=N", "flops=5e12"},
		{"a wide normalisation", "graph \"g\"\ninput %x : f32[1,4194304,1,1]\n%y = LRN(%x) size=4194303 alpha=1 beta=1 bias=1\noutput \"y\" %y", "--limit flops=N", "flops=1e14"},
		{"boxes", "graph \"g\"\ninput %b : f32[1,2097152,4]\ninput %s : f32[1,1,2097152]\n%r, %n = NonMaxSuppression(%b, %s) perClass=2097152\noutput \"r\" %r", "--limit flops=N", "flops=1e14"},
		{"a session", "graph \"g\"\ninput %x : f32[134217728]\ninput %y : f32[134217728]\n%a = Binary(%x, %y) fn=Add\n%b = Binary(%x, %a) fn=Sub\n%c = Binary(%b, %a) fn=Mul\n%d = Binary(%a, %b) fn=Max\n%e = Binary(%c, %d) fn=Min\noutput \"a\" %a\noutput \"b\" %b\noutput \"c\" %c\noutput \"d\" %d\noutput \"e\" %e\noutput \"f\" %x\noutput \"g\" %y", "--limit session=N", "session=9e9"},
		{"a division by zero", "graph \"g\"\ninput %x : i64[2]\nconst %z : i64[2] = {1, 0}\n%y = Binary(%x, %z) fn=Div\noutput \"y\" %y", "divided by a constant zero", ""},
		{"a remainder of zero", "graph \"g\"\ninput %x : u8[2]\nconst %z : u8[1] = {0}\n%y = Binary(%x, %z) fn=Mod\noutput \"y\" %y", "divided by a constant zero", ""},
		{"a division of constants", "graph \"g\"\ninput %x : i64[1]\nconst %z : i64[1] = {0}\nconst %a : i64[1] = {3}\n%b = Binary(%a, %z) fn=Div\n%y = Binary(%x, %b) fn=Add\noutput \"y\" %y", "divided by a constant zero", ""},
		{"a float division", "graph \"g\"\ninput %x : f32[1]\nconst %z : f32[1] = {0}\n%y = Binary(%x, %z) fn=Div\noutput \"y\" %y", "", ""},
		{"an index", "graph \"g\"\ninput %x : f32[3]\nconst %i : i64[2] = {-3, 3}\n%y = Gather(%x, %i) axis=0\noutput \"y\" %y", "index 3 is outside axis 0", ""},
		{"a negative index", "graph \"g\"\ninput %x : f32[3]\nconst %i : i32[1] = {-4}\n%y = Gather(%x, %i) axis=0\noutput \"y\" %y", "index -4 is outside axis 0", ""},
		{"legal indices", "graph \"g\"\ninput %x : f32[3]\nconst %i : i64[2] = {-3, 2}\n%y = Gather(%x, %i) axis=0\noutput \"y\" %y", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := tryText(t, c.text, Options{})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if c.raise == "" {
				return
			}
			var o Options
			if err := o.Source.Bounds.Set(c.raise); err != nil {
				t.Fatal(err)
			}
			if err := tryText(t, c.text, o); err != nil {
				t.Errorf("with %s: %v", c.raise, err)
			}
		})
	}
}

// Work that takes longer than the limit ends with an error.
func TestTimeLimit(t *testing.T) {
	var o Options
	o.Source.Bounds[ir.BoundTime] = 1
	p := o.timed()
	if err := p("passes", 0, 1); err != nil {
		t.Error(err)
	}
	time.Sleep(1100 * time.Millisecond)
	if err := p("passes", 0, 1); err == nil || !strings.Contains(err.Error(), "exceeds the limit of 1 seconds; raise it with --limit time=N") {
		t.Error(err)
	}
}

// BenchmarkVerify measures what the verifier adds to New for ResNet-50, and New with the
// preparation of weights.
func BenchmarkVerify(b *testing.B) {
	path := filepath.Join(b.TempDir(), "resnet50.onnx")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	if err := errors.Join(zoo.Write(f, "resnet50", zoo.Options{}), f.Close()); err != nil {
		b.Fatal(err)
	}
	c, err := Compile(path, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	plan := c.Program.Plan
	var weights bytes.Buffer
	if err := c.Program.WriteWeights(&weights); err != nil {
		b.Fatal(err)
	}
	b.Run("Verify", func(b *testing.B) {
		for b.Loop() {
			if err := plan.Verify(nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("New", func(b *testing.B) {
		for b.Loop() {
			m, err := runtime.NewModel(plan, weights.Bytes())
			if err != nil {
				b.Fatal(err)
			}
			m.Wait()
			m.Close()
		}
	})
}
