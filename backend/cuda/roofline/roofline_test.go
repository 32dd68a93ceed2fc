package roofline

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"modelc/backend/cuda"
	"modelc/backend/cuda/nvrtc"
	"modelc/ir"
)

// network has a convolution that arithmetic bounds, one on integers and a dense layer that
// memory bounds.
const network = `input %x : f32[1,64,56,56]
input %u : u8[1,64,56,56]
const %w : f32[64,64,3,3] = seed=1
const %i : i8[64,64,3,3] = seed=2
const %d : f32[200704,16] = seed=3
%c = Conv(%x, %w) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
%r = Reshape(%c) shape=[1,200704]
%y = Dense(%r, %d) transW=false
%z = Conv(%u, %i) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1 integer=i32(0,0,0,0)
output "y" %y
output "z" %z
`

// gpu does 1 TFLOP/s and moves 100 GB/s.
var gpu = nvrtc.GPU{Name: "G", Arch: 80, Multiprocessors: 10, TFLOPS: 1, GBs: 100, Threads: 2048, Blocks: 32, Registers: 64 << 10, Shared: 164 << 10}

func program(t *testing.T, cfg cuda.Config) *cuda.Program {
	t.Helper()
	g, err := ir.Parse(network)
	if err != nil {
		t.Fatal(err)
	}
	p, err := cuda.Build(g, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// rowOf returns the row that has the operations of a layer.
func rowOf(t *testing.T, r *Report, kernel string) Row {
	t.Helper()
	for _, row := range r.Rows {
		if strings.HasSuffix(row.Kernel, "_"+kernel) && row.FLOPs > 0 {
			return row
		}
	}
	t.Fatalf("no kernel of %s: %+v", kernel, r.Rows)
	return Row{}
}

// A kernel's roofline is the time of its operations at the rate of its instructions, or that
// of its bytes, whichever is longer. The report has their sums.
func TestAnalyse(t *testing.T) {
	const flops = 2 * 64 * 64 * 9 * 56 * 56
	for precision, rate := range map[cuda.Precision]float64{cuda.Float32: 1, cuda.TF32: 8, cuda.F16: 16} {
		p := program(t, cuda.Config{Precision: precision})
		r := Analyse(p, gpu)
		for _, c := range []struct {
			kernel string
			flops  int64
			us     float64 // at the peak of arithmetic; 0 for a kernel that memory bounds
		}{
			{"c", flops, flops / 1e6 / rate}, {"z", flops, flops / 1e6 / 4}, {"y", 2 * 200704 * 16, 0},
		} {
			row := rowOf(t, r, c.kernel)
			want := max(c.us, float64(row.Bytes)/100e3)
			if row.FLOPs != c.flops || math.Abs(row.Roofline-want) > 1e-9*want || row.Memory != (want > c.us) || row.Intensity != float64(row.FLOPs)/float64(row.Bytes) {
				t.Errorf("%v: %+v, want %d FLOP and %g µs", precision, row, c.flops, want)
			}
		}
		// Operands and results count once; weights may be packed as halves.
		if b := rowOf(t, r, "y").Bytes; b < 200704*(4+16*2) || b > 200704*(4+16*4)+100 {
			t.Errorf("%v: the dense layer moves %d bytes", precision, b)
		}
		var all Report
		for _, row := range r.Rows {
			all.FLOPs, all.Bytes, all.Roofline = all.FLOPs+row.FLOPs, all.Bytes+row.Bytes, all.Roofline+row.Roofline
		}
		if r.FLOPs != all.FLOPs || r.Bytes != all.Bytes || math.Abs(r.Roofline-all.Roofline) > 1e-9 || r.Weights != len(p.Weights) || r.Arena != p.Arena || len(r.Rows) != len(p.Kernels) {
			t.Errorf("%v: %+v, want sums %+v", precision, r, all)
		}
	}
}

// The usage is that of ptxas. Without NVRTC or ptxas the report says what is missing.
func TestUsage(t *testing.T) {
	p := program(t, cuda.Config{})
	r := Analyse(p, gpu)
	_, err := Usages(p, gpu.Arch)
	if (err != nil) != (r.Missing != "") || err != nil && r.Missing != err.Error() {
		t.Errorf("missing %q, error %v", r.Missing, err)
	}
	for i, row := range r.Rows {
		if (row.Usage == nil) != (err != nil) {
			t.Fatalf("%+v", row)
		}
		if row.Usage == nil {
			continue
		}
		k := p.Kernels[i]
		warps := (k.Block[0]*k.Block[1]*k.Block[2] + 31) / 32 * k.Grid[0] * k.Grid[1] * k.Grid[2]
		if row.Usage.Registers == 0 || row.Occupancy <= 0 || row.Occupancy > 1 || math.Abs(row.Waves*row.Occupancy*640-float64(warps)) > 1e-6*float64(warps) {
			t.Errorf("%+v, %d warps", row, warps)
		}
	}
}

// Print shows each kernel, or the slowest ones, and measured times beside rooflines.
func TestPrint(t *testing.T) {
	r := Report{GPU: "G", FLOPs: 3e6, Roofline: 4, Weights: 5e6, Arena: 6e6, Rows: []Row{
		{Kernel: "k1", Layer: "one", Grid: [3]int{2, 3, 4}, Block: [3]int{64, 1, 1}, FLOPs: 1e6, Bytes: 2e6, Intensity: 0.5, Roofline: 1, Memory: true},
		{Kernel: "k2", Layer: "two", Grid: [3]int{1, 1, 1}, Block: [3]int{32, 1, 1}, FLOPs: 2e6, Bytes: 1e5, Intensity: 20, Roofline: 3,
			Usage: &nvrtc.Usage{Registers: 77, Shared: 4096, Spills: 8}, Occupancy: 0.5, Waves: 1.25},
	}}
	text := func(top int) string {
		var b strings.Builder
		if err := r.Print(&b, top); err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(b.String()), " ")
	}
	has := func(text string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("no %q in\n%s", w, text)
			}
		}
	}
	has(text(0), "1.00 2.000 0.5 1.00 memory 24 64 k1 one", "2.00 0.100 20.0 3.00 arithmetic 1 32 77 4096 8 50 % 1.25 k2 two", "G: 2 kernels, 3.0 MFLOP, roofline 4.0 µs; weights 5.0 MB, memory of a session 6.0 MB")
	if s := text(1); strings.Contains(s, "k1") || !strings.Contains(s, "k2") || strings.Contains(s, "measured") {
		t.Errorf("the slowest by roofline:\n%s", s)
	}
	r.Missing = errors.New("no ptxas").Error()
	r.Time([]time.Duration{9 * time.Microsecond, 7 * time.Microsecond, 8 * time.Microsecond}, []time.Duration{5 * time.Microsecond, 4 * time.Microsecond})
	has(text(1), "5.00 20 % k1 one", "measured: median 8.0 µs, best 7.0 µs, 90 % below 9.0 µs", "occupancy: no ptxas")
	has(text(0), "4.00 75 % k2 two")
}

// A failing writer makes Print fail.
func TestPrintFails(t *testing.T) {
	if err := (&Report{}).Print(broken{}, 0); !errors.Is(err, errBroken) {
		t.Error(err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }
