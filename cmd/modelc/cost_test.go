//go:build unix

package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"modelc/internal/zoo"
)

var (
	cost   = flag.Bool("cost", false, "compile the corpus in MODELC_CORPUS and the zoo, and print what takes most time and memory")
	models = flag.String("models", "", "a folder of further models for -cost")
)

// Every model compiles in 10 seconds on two processors, and 1 GB. Processor time counts, because
// other work delays a process.
func TestCompileCost(t *testing.T) {
	if !*cost {
		t.Skip("-cost is not set")
	}
	const seconds, megabytes, rows = 20, 1000, 12
	type row struct {
		name string
		cpu  float64 // seconds of all processors
		size int64   // peak memory in MB
	}
	var table []row
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module cost\n\ngo 1.24\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	measure := func(name string, args ...string) error {
		cmd := process(append([]string{"compile", "-q", "--standalone", "-o", filepath.Join(dir, "net")}, args...)...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %s", name, bytes.TrimSpace(out.Bytes()))
		}
		u := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		size := int64(u.Maxrss) >> 10
		if runtime.GOOS == "darwin" {
			size >>= 10
		}
		table = append(table, row{name, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), size})
		return nil
	}
	for _, name := range zoo.Names() {
		path := filepath.Join(dir, name+".onnx")
		if code, _, errs := invoke(t, "zoo", name, "-o", path); code != 0 {
			t.Fatal(errs)
		}
		for _, batch := range []string{"1", "32"} {
			if err := measure(name+", batch "+batch, path, "--batch", batch); err != nil {
				t.Error(err)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for _, root := range []string{os.Getenv("MODELC_CORPUS"), *models} {
		if root == "" {
			continue
		}
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.Name() == "hostile" {
				return cmp.Or(err, fs.SkipDir)
			}
			if !slices.Contains([]string{".onnx", ".keras", ".h5"}, filepath.Ext(path)) {
				return nil
			}
			name, _ := filepath.Rel(root, path)
			// Other tests check which models are refused.
			if err := measure(name, path); err != nil {
				t.Log(err)
				return nil
			}
			info, err := d.Info()
			if err != nil || info.Size() < 100<<10 {
				return err
			}
			if err := measure(name+", batch 32", path, "--batch", "32"); err != nil {
				t.Log(err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range table {
		if r.cpu > seconds || r.size > megabytes {
			t.Errorf("%s: %.1f s of processor time, %d MB", r.name, r.cpu, r.size)
		}
	}
	var text strings.Builder
	for _, by := range []func(a, b row) int{
		func(a, b row) int { return cmp.Compare(b.cpu, a.cpu) },
		func(a, b row) int { return cmp.Compare(b.size, a.size) },
	} {
		slices.SortFunc(table, by)
		for _, r := range table[:min(len(table), rows)] {
			fmt.Fprintf(&text, "%-60s %6.1f s %6d MB\n", r.name, r.cpu, r.size)
		}
		text.WriteByte('\n')
	}
	t.Logf("%d models\n%s", len(table), text.String())
}
