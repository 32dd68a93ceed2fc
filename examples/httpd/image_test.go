//go:build linux

package main

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The command in Dockerfile builds a program that needs nothing else: in a folder
// without other files that is the root of its file system, it serves, loads weights
// again on SIGHUP, and ends on SIGTERM. With -long the program for arm64 does so too, in
// emulation and without the folder.
func TestImage(t *testing.T) {
	list := []string{runtime.GOARCH}
	if *long && runtime.GOARCH != "arm64" {
		list = append(list, "arm64")
	}
	for _, arch := range list {
		t.Run(arch, func(t *testing.T) {
			root := t.TempDir()
			buildImage(t, arch, filepath.Join(root, "httpd"))
			static(t, filepath.Join(root, "httpd"))
			own, err := os.ReadFile("network/weights.bin")
			if err != nil {
				t.Fatal(err)
			}
			weights := filepath.Join(root, "weights.bin")
			replaceFile(t, weights, own)

			args := entrypoint(t)
			args[slices.Index(args, ":8080")] = "127.0.0.1:0"
			c := exec.Command(args[0], append(args[1:], "-weights", "network=/weights.bin")...)
			c.Dir, c.Env = "/", []string{"GOMEMLIMIT=64MiB"}
			c.SysProcAttr = emptyRoot(root)
			if arch != runtime.GOARCH {
				qemu, err := exec.LookPath("qemu-aarch64-static")
				if err != nil {
					t.Skip("built, not run: ", err)
				}
				c = exec.Command(qemu, append([]string{filepath.Join(root, "httpd")}, append(args[1:], "-weights", "network="+weights)...)...)
			}
			testProcess(t, c, weights)
		})
	}
}

// testProcess tests a service that c starts, with the weights in a file.
func testProcess(t *testing.T, c *exec.Cmd, weights string) {
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Skip("no rights to change the root: ", err)
	}
	defer c.Process.Kill()
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			lines <- s.Text()
		}
	}()
	// wait returns the first line of the log with the given message.
	wait := func(message string) (line struct{ Msg, Address, Error string }) {
		t.Helper()
		timeout := time.After(time.Minute)
		for {
			select {
			case text, ok := <-lines:
				if !ok {
					t.Fatalf("the service ended without the message %q", message)
				}
				t.Log(text)
				if err := json.Unmarshal([]byte(text), &line); err == nil && line.Msg == message {
					return line
				}
			case <-timeout:
				t.Fatalf("no message %q", message)
			}
		}
	}
	url := "http://" + wait("listening").Address
	var file bytes.Buffer
	if err := png.Encode(&file, drawn(1, image.Pt(64, 48))); err != nil {
		t.Fatal(err)
	}
	classify := func() answer {
		t.Helper()
		status, a, err := ask(http.DefaultClient, url, file.Bytes())
		if err != nil || status != http.StatusOK {
			t.Fatalf("status %d, %+v, %v", status, a, err)
		}
		return a
	}
	before := classify()
	retrained(t, weights)
	if err := c.Process.Signal(sighup); err != nil {
		t.Fatal(err)
	}
	if line := wait("reload"); line.Error != "" {
		t.Error(line.Error)
	}
	if after := classify(); slices.Equal(before.Classes, after.Classes) {
		t.Error("SIGHUP did not change the answer")
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wait("stopped")
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}

// buildImage runs the command that builds the program in Dockerfile.
func buildImage(t *testing.T, arch, output string) {
	t.Helper()
	text := strings.ReplaceAll(dockerfile(t), "\\\n", " ")
	m := regexp.MustCompile(`(?m)^RUN (?:--mount=\S+\s+)*(.* go build .*) -o /httpd \.$`).FindStringSubmatch(text)
	if m == nil {
		t.Fatal("Dockerfile does not build /httpd")
	}
	c := exec.Command("sh", "-c", m[1]+` -o "$OUTPUT" .`)
	c.Env = append(os.Environ(), "TARGETOS=linux", "TARGETARCH="+arch, "OUTPUT="+output)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", m[1], err, out)
	}
}

// entrypoint returns the command line in Dockerfile.
func entrypoint(t *testing.T) (args []string) {
	t.Helper()
	_, list, _ := strings.Cut(dockerfile(t), "\nENTRYPOINT ")
	if err := json.NewDecoder(strings.NewReader(list)).Decode(&args); err != nil || len(args) == 0 {
		t.Fatal("Dockerfile has no ENTRYPOINT: ", err)
	}
	return args
}

func dockerfile(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// static checks that a program needs no shared library and no loader.
func static(t *testing.T, path string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	if err != nil || len(libraries) > 0 {
		t.Errorf("the program needs %v, %v", libraries, err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			b, _ := io.ReadAll(p.Open())
			t.Errorf("the program needs the loader %q", b)
		}
	}
}

// emptyRoot makes dir the root of a process. Users other than root get a namespace, in
// which they have the right to do so.
func emptyRoot(dir string) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Chroot: dir}
	if uid := os.Getuid(); uid == 0 {
		a.Credential = &syscall.Credential{Uid: 65532, Gid: 65532}
	} else {
		a.Cloneflags = syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 65532, HostID: uid, Size: 1}}
	}
	return a
}
