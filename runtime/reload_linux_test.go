package runtime

import (
	"errors"
	"os"
	goruntime "runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"modelc/runtime/kernel"
)

// fill writes prepared weights, as layers with transformed weights do.
type fill struct{ src, dst kernel.Ref }

func (k *fill) Source() (kernel.Ref, kernel.Format) { return k.src, kernel.F32 }
func (k *fill) Prepares() kernel.Ref                { return k.dst }
func (k *fill) ScratchBytes() int                   { return 0 }
func (k *fill) Check(v *kernel.Verifier) {
	v.Read("src", k.src, 4, int64(k.src.Len))
	v.Write("dst", k.dst, 4, int64(k.dst.Len))
}
func (k *fill) Run(c *kernel.Context) {
	for i, dst := 0, c.F32(k.dst); i < len(dst); i++ {
		dst[i] = 1
	}
}

// resident returns the memory of the process in bytes.
func resident(t *testing.T) int {
	b, err := os.ReadFile("/proc/self/statm") // proc_pid_statm(5): the second number is in pages
	if err != nil {
		t.Skip(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// Reloads hold the memory of one model, without the garbage collector, if the program
// closes the old model and its sessions.
func TestReload(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector, which CI runs with -short, keeps memory of its own")
	}
	p := echo(mapped)
	p.PreparedBytes, p.ArenaBytes = 2*mapped, mapped
	p.Load = []Step{{Name: "fill", Kernel: &fill{kernel.Ref{Space: kernel.Weights, Len: mapped / 4}, kernel.Ref{Space: kernel.Prepared, Len: 2 * mapped / 4}}}}
	path, _ := weightsFile(t, p)
	goruntime.GC()
	debug.FreeOSMemory()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	before, out := resident(t), make([]byte, mapped)
	for range 10 {
		m, err := OpenModel(p, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := m.NewSession(Options{Threads: 1})
		if err := errors.Join(s.Bind(0, out), s.Run()); err != nil {
			t.Fatal(err)
		}
		m.Wait()
		for i, arena := 0, s.Memory(kernel.Ref{Len: mapped}, 1); i < len(arena); i++ {
			arena[i] = 1
		}
		m.Close()
		s.Close()
	}
	// The goroutine that prepared the last weights ends after Wait, and releases them then.
	grown := resident(t) - before
	for end := time.Now().Add(10 * time.Second); grown > 4*mapped && time.Now().Before(end); time.Sleep(time.Millisecond) {
		grown = resident(t) - before
	}
	if grown > 4*mapped {
		t.Errorf("after 10 reloads the process has %d MB more, want those of one output", grown>>20)
	}
}
