package cuda

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"modelc/frontend"
	"modelc/frontend/source"
	"modelc/internal/zoo"
	"modelc/passes"
)

var long = flag.Bool("cuda.long", false, "emulate all tiles, mutations and networks, not only some")

// Networks of the zoo at small width give the values of the reference interpreter.
func TestZoo(t *testing.T) {
	names := zoo.Names()
	if !*long {
		names = []string{"lenet5"}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := zoo.Write(&b, name, zoo.Options{Width: 0.25, Size: 64}); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), name+".onnx")
			if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
			m, err := frontend.Load(path, source.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Release()
			if _, err := passes.Run(m.Graph, &passes.Config{}); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			e := emulateUnchecked(t, m.Graph)
			compiled := time.Since(start)
			start = time.Now()
			if err := e.compare(0, m.Graph, 1); err != nil {
				t.Error(err)
			}
			t.Logf("%d kernels, compiled in %v, ran in %v", len(e.programs[0].Kernels), compiled, time.Since(start))
		})
	}
}
