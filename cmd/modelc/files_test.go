//go:build unix

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"modelc"
	"modelc/frontend/source"
)

// A pipe, folder or device in the place of any file is an error, and does not block.
func TestSpecialFiles(t *testing.T) {
	dir := userModule(t)
	copyFile(t, filepath.Join(dir, "digits.onnx"), "net.onnx", nil)
	if err := syscall.Mkfifo("pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"folder", "folder.npy", "folder.png", "folder.svg"} {
		if err := os.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"pipe.npy", "pipe.pb", "pipe.png", "pipe.json", "pipe.onnx", "pipe.keras", "pipe.txt", "pipe.html"} {
		if err := os.Symlink("pipe", name); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ args, want string }{
		{"inspect pipe.onnx", "it is a pipe"}, {"inspect pipe.keras", "it is a pipe"}, {"inspect folder", "it is a folder"}, {"inspect /dev/zero", "it is a device"},
		{"compile pipe.onnx -o x", "it is a pipe"}, {"verify pipe.onnx", "it is a pipe"}, {"report pipe.onnx -o x.html", "it is a pipe"}, {"graph pipe.onnx -o x.svg", "it is a pipe"},
		{"run net.onnx pipe.npy", "it is a pipe"}, {"run net.onnx pipe.pb", "it is a pipe"}, {"run net.onnx folder.npy", "no file has the extension"},
		{"run net.onnx pipe.png --engine inproc", "it is a pipe"}, {"run net.onnx folder.png --engine inproc", "no file has the extension"},
		{"run net.onnx pipe.png --labels pipe.txt --engine inproc", "it is a pipe"}, {"run net.onnx pipe.png --labels /dev/zero --engine inproc", "it is a device"},
		{"inspect net.onnx --bind image=pipe.npy", "it is a pipe"}, {"inspect net.onnx --tune pipe.json", "it is a pipe"}, {"inspect net.onnx --tune /dev/zero", "it is a device"},
		{"report net.onnx --profile pipe.json -o x.html", "it is a pipe"}, {"compile -f pipe.json", "it is a pipe"}, {"compile -f /dev/zero", "it is a device"},
		{"zoo lenet5 -o pipe", "it is a pipe"}, {"report net.onnx -o pipe.html", "it is a pipe"}, {"graph net.onnx -o folder.svg", "it is a folder"}, {"tune net.onnx --runs 1 -o pipe", "it is a pipe"},
	} {
		args := strings.Fields(c.args)
		if code, out, errs := invoke(t, args...); code == 0 || !strings.Contains(errs, c.want) {
			t.Errorf("%s: exit %d, want %q\n%s%s", c.args, code, c.want, out, errs)
		}
	}
}

// No command writes to a file whose name others can guess.
func TestNoGuessedNames(t *testing.T) {
	userModule(t)
	put(t, "victim", "mine")
	if code, _, errs := invoke(t, "compile", "digits.onnx", "-o", "net", "--weights", "file", "--dim", "N=1"); code != 0 {
		t.Fatal(errs)
	}
	for _, c := range []struct{ args, output string }{
		{"zoo lenet5", "z.onnx"}, {"report digits.onnx --dim N=1", "r.html"}, {"graph digits.onnx", "g.svg"}, {"tune digits.onnx --runs 1", "t.json"},
		{"weights digits.onnx net", "w.bin"},
	} {
		for _, link := range []string{c.output + ".tmp", c.output} {
			if err := os.Symlink("victim", link); err != nil {
				t.Fatal(err)
			}
		}
		if code, _, errs := invoke(t, append(strings.Fields(c.args), "-o", c.output)...); code != 0 {
			t.Errorf("%s: exit %d\n%s", c.args, code, errs)
		}
		if b, err := os.ReadFile("victim"); err != nil || string(b) != "mine" {
			t.Errorf("%s: the victim has %.20q, %v", c.args, b, err)
		}
		if st, err := os.Lstat(c.output); err != nil || !st.Mode().IsRegular() {
			t.Errorf("%s: %v, %v", c.args, st, err)
		}
		if left, _ := filepath.Glob("." + c.output + "*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// A list writes to its module only. A package does not contain links to folders.
func TestOutputsInside(t *testing.T) {
	dir := userModule(t)
	outside := t.TempDir()
	for _, err := range []error{os.Symlink(outside, "out"), os.Symlink("nowhere", "lost"), os.MkdirAll("lists/deep", 0o755), os.Symlink("lists", "in")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ output, want string }{
		{"../deep/net", ""}, {"../../net", ""}, {"../../in/net2", ""},
		{"../../../net", "lies outside"}, {outside + "/net", "lies outside"}, {"../../out/net", "lies outside"}, {"../../lost/net", "cannot be followed"}, {"../../lost", "cannot be followed"},
	} {
		for _, key := range []string{"output", "runtime"} {
			entry := map[string]any{"model": "../../digits.onnx", "output": "../../ok", "dim": "N=1", key: c.output}
			b, err := json.Marshal([]any{entry})
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && key == "runtime" {
				continue
			}
			put(t, "lists/deep/modelc.json", string(b))
			code, _, errs := invoke(t, "compile", "-f", "lists/deep/modelc.json")
			if c.want == "" && code != 0 || c.want != "" && (code == 0 || !strings.Contains(errs, c.want)) {
				t.Errorf("%s %s: exit %d, want %q\n%s", key, c.output, code, c.want, errs)
			}
		}
	}
	if list, _ := os.ReadDir(outside); len(list) > 0 {
		t.Errorf("written outside: %v", list)
	}

	if err := os.RemoveAll("net/testdata"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "net", "testdata")); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := invoke(t, "compile", "digits.onnx", "--dim", "N=1", "-o", "net"); code == 0 || !strings.Contains(errs, "it is a link") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	if list, _ := os.ReadDir(outside); len(list) > 0 {
		t.Errorf("written outside: %v", list)
	}
}

// The key of a build depends on everything that shapes the program.
func TestCacheKey(t *testing.T) {
	key := func(change func(c *modelc.Compiled)) string {
		t.Helper()
		c, err := modelc.Compile(digits+"lenet5.onnx", modelc.Options{Source: source.Options{Batch: 1}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		change(c)
		k, err := cacheKey(c)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	tuned := func(algorithm string) func(c *modelc.Compiled) {
		return func(c *modelc.Compiled) {
			c.Options.Flags = []string{"--tune", "t.json"}
			c.Options.Tuning = &modelc.Tuning{Layers: []modelc.TunedConv{{Name: "conv", Algorithm: algorithm}}}
		}
	}
	keys := map[string]bool{}
	for _, change := range []func(c *modelc.Compiled){
		func(*modelc.Compiled) {}, tuned("direct"), tuned("winograd"),
		func(c *modelc.Compiled) { c.Options.Exact = true },
		func(c *modelc.Compiled) { c.Options.Weights = 1 },
		func(c *modelc.Compiled) { c.Options.Passes.Disable = []string{"fold_batchnorm"} },
		func(c *modelc.Compiled) { c.Model.SHA256 = "another" },
		func(*modelc.Compiled) { t.Setenv("GOFLAGS", "-tags=purego") },
	} {
		keys[key(change)] = true
	}
	if len(keys) != 8 {
		t.Errorf("%d keys of 8 builds", len(keys))
	}
}

// A program in the cache that changed after its build is built again, not executed.
func TestCacheDamaged(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	args := []string{"run", digits + "lenet5.onnx", digits + "3_0.png", "--top", "1"}
	if code, _, errs := invoke(t, args...); code != 0 {
		t.Fatal(errs)
	}
	dir, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	programs, _ := filepath.Glob(filepath.Join(dir, "*", "run.exe"))
	if len(programs) != 1 {
		t.Fatal(programs)
	}
	if err := os.WriteFile(programs[0], []byte("#!/bin/sh\necho bad > "+filepath.Join(dir, "bad")+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := invoke(t, args...); code != 0 || !strings.Contains(out, "class 3") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if _, err := os.Stat(filepath.Join(dir, "bad")); err == nil {
		t.Error("the program was executed")
	}
}
