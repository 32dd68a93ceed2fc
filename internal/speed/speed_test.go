package speed

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var fast = []*Row{
	{
		Model: "lenet5", Threads: 1, Machine: "EPYC, 2 CPUs", Tier: "avx512vnni", Commit: "abc", Command: "go run . -report DIR",
		Ms:       map[string]float64{"modelc": 0.02, "onnxruntime": 0.05, "ncnn": 0.04},
		Versions: map[string]string{"onnxruntime": "1.32", "ncnn": "1.0"},
		GFLOPS:   30, OfPeak: 0.25,
		Process: &Process{Load: 0.5, Start: 5, OrtStart: 50, Resident: 3 << 20, OrtResident: 30 << 20, Shipped: 4 << 20, OrtShipped: 40 << 20},
	},
	{
		Model: "vgg16", Threads: 1, Machine: "EPYC, 2 CPUs", Tier: "avx512vnni", Commit: "abc", Command: "go run . -report DIR",
		Ms: map[string]float64{"modelc": 100, "onnxruntime": 250}, Failed: map[string]string{"mnn": "crashed"}, GFLOPS: 310, OfPeak: 2.5,
	},
}

var slow = []*Row{{
	Model: "lenet5", Threads: 1, Machine: "old EPYC, 2 CPUs", Tier: "avx2", Commit: "def", Command: "go run . -report DIR",
	Ms: map[string]float64{"modelc": 0.04, "onnxruntime": 0.06},
}}

func TestTables(t *testing.T) {
	for _, c := range []struct{ name, got, want string }{
		{"times", Times(fast), `
- AVX-512: EPYC, 2 CPUs, commit abc, ` + "`go run . -report DIR` in `bench/`" + `

| model | threads | modelc | ONNX Runtime 1.32 | ncnn 1.0 | MNN | × ONNX Runtime | × the fastest other | GFLOP/s | of the peak |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| lenet5 | 1 | 0.0200 | 0.0500 | 0.0400 | – | **2.50** | **2.00** | 30 | 25 % |
| vgg16 | 1 | 100 | 250 | – | crashed | **2.50** | **2.50** | 310 | 250 % |
`},
		{"costs", Costs(fast), `
| model | New ms | cold start ms | ONNX Runtime | × | resident MB | ONNX Runtime | × | shipped MB | ONNX Runtime |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| lenet5 | 0.5 | 5.0 | 50.0 | **0.10** | 3 | 30 | **0.10** | 4.0 | 40.0 |
`},
		{"no costs", Costs(slow), "\n"},
		{"side by side", Beside(1, fast, slow), `
| model | AVX-512: ms | × | × the fastest other | AVX2: ms | × | × the fastest other | cold start | memory |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
| lenet5 | 0.0200 | **2.50** | **2.00** | 0.0400 | **1.50** | **1.50** | **0.10** | **0.10** |
| vgg16 | 100 | **2.50** | **2.50** | – | – | – | – | – |
`},
	} {
		if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), c.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestPicture(t *testing.T) {
	svg := Picture(fast, slow)
	for _, want := range []string{">lenet5, AVX-512<", ">lenet5, AVX2<", ">ONNX Runtime<", ">0.0200 ms<"} {
		if !strings.Contains(svg, want) {
			t.Errorf("the picture has no %s", want)
		}
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bench.json")
	if err := Write(path, fast); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if diff := cmp.Diff(fast, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}
