package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// doctor finds the Go toolchain of the machine that runs this test, and measures
// rates above 0.
func TestDoctor(t *testing.T) {
	code, out, errs := invoke(t, "doctor", "--json")
	var d diagnosis
	if err := json.Unmarshal([]byte(out), &d); err != nil || code != 0 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	if d.System != runtime.GOOS+"/"+runtime.GOARCH || d.CPU.Tier == "" || d.CPU.CPUs < 1 || d.CPU.GOMAXPROCS < 1 || d.Measured.Bandwidth <= 0 || d.Measured.BandwidthAll <= 0 ||
		d.CPU.Tier != "generic" && (d.Measured.Peak <= 0 || d.Measured.PeakAll <= 0) || !strings.HasPrefix(d.Go.Version, "go1.") || d.Go.Build <= 0 || !d.Cache.Writable {
		t.Errorf("%s", out)
	}
}

// doctor fails without a toolchain or a cache, and prints the reason.
func TestDoctorFails(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	t.Setenv("XDG_CACHE_HOME", file)
	code, out, errs := invoke(t, "doctor")
	if code != exitFailed || errs != "" || !strings.Contains(out, "wrong: no Go toolchain") || !strings.Contains(out, "wrong: the cache cannot be written") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	// A toolchain that builds nothing.
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte("#!/bin/sh\necho no space left; exit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := invoke(t, "doctor"); code != exitFailed || !strings.Contains(out, "does not build a program: exit status 3: no space left") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// run without a cache says why there is none, and what helps.
func TestRunWithoutCache(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	put(t, file, "")
	t.Setenv("XDG_CACHE_HOME", file)
	if code, _, errs := invoke(t, "run", digits+"lenet5.onnx", digits+"3_0.png"); code != exitFailed || !strings.Contains(errs, "not a directory: set XDG_CACHE_HOME to a folder in which you can write") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// run without the go command says what is missing, and what helps.
func TestRunWithoutGo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if code, _, errs := invoke(t, "run", digits+"lenet5.onnx", digits+"3_0.png"); code != exitFailed || !strings.Contains(errs, "the go command is missing: install Go 1.24 or later, or give --engine inproc") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

func TestAdvice(t *testing.T) {
	well := func() *diagnosis {
		return &diagnosis{
			CPU:      cpuState{Tier: "avx2", Tiers: []string{"generic", "avx2"}, CPUs: 4, GOMAXPROCS: 4},
			Measured: measured{Peak: 100, PeakAll: 390}, Go: goState{Path: "/bin/go"}, Cache: cache{Writable: true},
		}
	}
	if list := well().advise(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	for _, c := range []struct {
		make func(d *diagnosis)
		want string
	}{
		{func(d *diagnosis) { d.CPU.Tier, d.CPU.Forced = "generic", "generic" }, "MODELC_CPU=generic disables the faster avx2 kernels"},
		{func(d *diagnosis) { d.CPU.Forced = "avx512" }, "MODELC_CPU=avx512 is ignored: this machine has generic, avx2"},
		{func(d *diagnosis) { d.CPU.Tier, d.CPU.Tiers = "generic", []string{"generic"} }, "correct but slow"},
		{func(d *diagnosis) { d.CPU.Quota = 1.5 }, "may use 1.5 CPUs, so the system stops it for a part of every period: set GOMAXPROCS=2"},
		{func(d *diagnosis) { d.CPU.GOMAXPROCS = 2 }, "GOMAXPROCS is 2, but there are 4 CPUs"},
		{func(d *diagnosis) { d.Measured.PeakAll = 200 }, "4 goroutines do only 2.0 times the arithmetic of one"},
	} {
		d := well()
		c.make(d)
		if list := d.advise(); len(list) != 1 || list[0].Problem || !strings.Contains(list[0].Text, c.want) {
			t.Errorf("%+v, want %q", list, c.want)
		}
	}
	d := well()
	d.CPU.Quota, d.CPU.GOMAXPROCS = 1.5, 2 // as Go sets it
	if list := d.advise(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}
