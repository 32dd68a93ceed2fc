package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

var kills = flag.Int("kills", 3, "number of times that TestKill kills the command")

// commandArgs is the variable with the arguments of the command that TestCommand runs, one
// per line.
const commandArgs = "MODELC_TEST_ARGS"

// TestCommand runs the command in a process of its own, for tests that kill it or limit what
// it may do.
func TestCommand(t *testing.T) {
	if args := os.Getenv(commandArgs); args != "" {
		os.Exit(run(t.Context(), strings.Split(args, "\n"), newTerminal(os.Stdout, os.Stderr)))
	}
}

func process(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestCommand$")
	cmd.Env = append(os.Environ(), commandArgs+"="+strings.Join(args, "\n"))
	return cmd
}

// twoVersions writes a package to dir, twice, and returns the arguments that write each
// version, and the trees of the versions. The second is in the folder at the end.
func twoVersions(t *testing.T, dir string) (args [2][]string, trees [2]string) {
	t.Helper()
	for i, more := range [2][]string{nil, {"--exact", "--weights", "file,f16"}} {
		args[i] = append([]string{"compile", "digits.onnx", "--dim", "N=1", "--standalone", "-o", dir}, more...)
		if code, _, errs := invoke(t, args[i]...); code != 0 {
			t.Fatal(errs)
		}
		trees[i] = treeOf(t, dir)
	}
	if trees[0] == trees[1] {
		t.Fatal("the versions are equal")
	}
	return args, trees
}

// A command that is killed leaves the previous package or the new one.
func TestKill(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the system cannot exchange two folders")
	}
	userModule(t)
	args, trees := twoVersions(t, "net")
	start := time.Now()
	if out, err := process(args[0]...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	whole := time.Since(start)
	found := [2]int{}
	for i := range *kills {
		cmd := process(args[i%2]...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The folders are exchanged at the end of the work.
		time.Sleep(whole * time.Duration(40+(i*37)%70) / 100)
		cmd.Process.Kill()
		cmd.Wait()
		switch treeOf(t, "net") {
		case trees[0]:
			found[0]++
		case trees[1]:
			found[1]++
		default:
			t.Fatalf("kill %d: the package is neither the old one nor the new one", i)
		}
	}
	t.Logf("%d kills: the package was %d and %d times one of two versions", *kills, found[0], found[1])
	if code, _, errs := invoke(t, args[0]...); code != 0 || treeOf(t, "net") != trees[0] {
		t.Errorf("the next command: exit %d\n%s", code, errs)
	}
	if left, _ := filepath.Glob(".net*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A full disk, a limit of the size of files, or a folder that cannot be written leaves the
// previous package, and the error names the folder.
func TestNoRoom(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs tmpfs, and limits of the shell")
	}
	mount := func(t *testing.T, dir, options string) {
		t.Helper()
		if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
			t.Skipf("mount: %v %s", err, out)
		}
	}
	for _, c := range []struct {
		name  string
		limit func(t *testing.T, parent string) (prefix string, undo func())
	}{
		{"limit of files", func(t *testing.T, _ string) (string, func()) { return "ulimit -f 100; ", func() {} }},
		{"full disk", func(t *testing.T, parent string) (string, func()) {
			mount(t, parent, "size=2m")
			return "", func() { exec.Command("umount", parent).Run() }
		}},
		{"read-only folder", func(t *testing.T, parent string) (string, func()) {
			if os.Geteuid() != 0 {
				return "chmod 555 " + parent + "; ", func() { os.Chmod(parent, 0o755) }
			}
			mount(t, parent, "size=64m")
			return "mount -o remount,ro " + parent + "; ", func() { exec.Command("umount", parent).Run() }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			userModule(t)
			if err := os.Mkdir("deep", 0o755); err != nil {
				t.Fatal(err)
			}
			prefix, undo := c.limit(t, "deep")
			defer undo()
			dir := filepath.Join("deep", "net")
			if code, _, errs := invoke(t, "compile", "digits.onnx", "--dim", "N=1", "--standalone", "-o", dir); code != 0 {
				t.Fatal(errs)
			}
			if c.name == "full disk" { // leave less than a package needs
				if err := os.WriteFile("deep/filler", make([]byte, 1<<20), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			before := treeOf(t, dir)
			self := process("compile", "digits.onnx", "--dim", "N=1", "--standalone", "--exact", "-o", dir)
			cmd := exec.Command("sh", "-c", prefix+`exec "$0" "$@"`)
			cmd.Args = append(cmd.Args, self.Args...)
			cmd.Env = self.Env
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Errorf("no error\n%s", out)
			}
			if treeOf(t, dir) != before {
				t.Error("the package changed")
			}
			if c.name != "limit of files" && !strings.Contains(string(out), "deep") {
				t.Errorf("the error does not name the folder:\n%s", out)
			}
			t.Logf("%.300s", out)
		})
	}
}
