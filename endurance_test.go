package modelc

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"modelc/backend/inproc"
	"modelc/internal/zoo"
	"modelc/ir/eval"
)

var endurance = flag.Bool("endurance", false, "run LeNet-5 a million times and ResNet-50 two thousand times")

// Many inferences take no memory, leave no goroutine, and give the same bits each time.
func TestEndurance(t *testing.T) {
	for _, c := range []struct {
		net         string
		size, brief int // the size of the picture and the number of inferences without -endurance
		runs        int
		threads     int
	}{
		{"lenet5", 28, 20_000, 1_000_000, 2},
		{"resnet50", 224, 0, 2_000, 1},
	} {
		t.Run(c.net, func(t *testing.T) {
			if !*endurance {
				if c.runs = c.brief; c.brief == 0 {
					t.Skip("-endurance is not set")
				}
			}
			path := filepath.Join(t.TempDir(), "m.onnx")
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := zoo.Write(f, c.net, zoo.Options{Size: c.size}); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			m, err := Compile(path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			before := runtime.NumGoroutine()
			e, err := inproc.New(m.Program, c.threads)
			if err != nil {
				t.Fatal(err)
			}
			in := eval.Inputs(m.Graph, 1)
			want, err := e.Run(in)
			if err != nil {
				t.Fatal(err)
			}
			var heap, resident int
			for i := range c.runs {
				if i == c.runs/10 {
					heap, resident = memory()
				}
				if i%1000 == 0 { // also copies the result
					got, err := e.Run(in)
					if err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(got[0].Bytes(), want[0].Bytes()) {
						t.Fatalf("run %d gives other bits", i)
					}
				} else if err := e.Step(); err != nil {
					t.Fatal(err)
				}
			}
			heapAfter, residentAfter := memory()
			t.Logf("%d inferences: the heap grew by %d bytes from %d, resident memory by %d kB from %d", c.runs, heapAfter-heap, heap, residentAfter-resident, resident)
			if heapAfter-heap > 256<<10 || residentAfter-resident > 16<<10 {
				t.Error("memory grows")
			}
			e.Close()
			for i := 0; runtime.NumGoroutine() > before; i++ { // ending workers are still counted
				if i == 1e6 {
					t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
				}
				runtime.Gosched()
			}
			runtime.KeepAlive(e) // so that Close ended them
		})
	}
}

// memory returns the size of the live heap in bytes, and the resident memory of the
// process in kB, 0 where the system does not tell.
func memory() (heap, resident int) {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	status, _ := os.ReadFile("/proc/self/status")
	if _, rest, ok := bytes.Cut(status, []byte("VmRSS:")); ok {
		resident, _ = strconv.Atoi(string(bytes.Fields(rest)[0]))
	}
	return int(s.HeapAlloc), resident
}
