package nvrtc

import (
	"slices"
	"strings"
	"testing"
)

const addSource = `extern "C" __global__ void add(float *a, const float *b) {
    __shared__ float tile[64];
    tile[threadIdx.x] = b[threadIdx.x];
    __syncthreads();
    a[threadIdx.x] += tile[63 - threadIdx.x];
}
`

func compiler(t *testing.T) *Compiler {
	c, err := Load()
	if err != nil {
		t.Skip(err)
	}
	return c
}

func TestCompile(t *testing.T) {
	c := compiler(t)
	t.Logf("NVRTC %s, %s, architectures %v", c.Version, c.Path, c.Archs())
	for _, arch := range c.Archs() {
		ptx, err := c.Compile("kernels.cu", addSource, arch)
		if err != nil {
			t.Fatal(err)
		}
		if got := Entries(ptx); !slices.Equal(got, []string{"add"}) {
			t.Errorf("compute_%d: entries %q", arch, got)
		}
	}
	_, err := c.Compile("kernels.cu", "extern \"C\" __global__ void bad(float *a) {\n  *a = nothing;\n}\n", c.Archs()[0])
	if err == nil || !strings.Contains(err.Error(), "kernels.cu(2)") || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("error %v, want the log with the line and the name", err)
	}
	if _, err := c.Compile("kernels.cu", addSource, 1); err == nil || !strings.Contains(err.Error(), "compute_1:") {
		t.Errorf("error %v, want one that names the architecture", err)
	}
}

func TestAssemble(t *testing.T) {
	c := compiler(t)
	a, err := FindAssembler()
	if err != nil {
		t.Skip(err)
	}
	arch := c.Archs()[len(c.Archs())/2]
	ptx, err := c.Compile("kernels.cu", addSource, arch)
	if err != nil {
		t.Fatal(err)
	}
	list, err := a.Assemble(ptx, arch)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].Kernel != "add" || list[0].Registers == 0 || list[0].Shared != 256 || list[0].Spills != 0 {
		t.Errorf("usage %+v", list)
	}
	if _, err := a.Assemble(".version 1.0\n", arch); err == nil {
		t.Error("ptxas assembled a text that is not PTX")
	}
}

func TestParseUsage(t *testing.T) {
	const report = `ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'conv' for 'sm_90'
ptxas info    : Function properties for conv
    24 bytes stack frame, 16 bytes spill stores, 20 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 24 bytes cumulative stack size, 8192 bytes smem
ptxas info    : Compiling entry function 'relu' for 'sm_90'
ptxas info    : Function properties for relu
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers, used 0 barriers
`
	got, err := parseUsage(report)
	want := []Usage{{"conv", 255, 8192, 36, 24}, {"relu", 8, 0, 0, 0}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := parseUsage("ptxas info    : Compiling entry function 'conv' for 'sm_90'\n"); err == nil {
		t.Error("a report without registers was accepted")
	}
}

// The expected values follow by hand from the limits of compute capability 9.0.
func TestOccupancy(t *testing.T) {
	for _, c := range []struct {
		registers, shared, threads, dynamic int
		want                                float64
	}{
		{32, 0, 256, 0, 1},
		{64, 0, 256, 0, 0.5},
		{128, 0, 256, 0, 0.25},
		{255, 0, 256, 0, 0.125},
		{32, 48 << 10, 256, 0, 0.5},
		{32, 0, 128, 100 << 10, 0.125},
		{32, 0, 32, 0, 0.5}, // 32 blocks of a warp
		{32, 0, 1024, 0, 1},
	} {
		if got := H100.Occupancy(Usage{Registers: c.registers, Shared: c.shared}, c.threads, c.dynamic); got != c.want {
			t.Errorf("%+v: %g", c, got)
		}
	}
	if s, memory := H100.Roofline(66.9e9, 1, 1); s < 0.999e-3 || s > 1.001e-3 || memory {
		t.Errorf("%g s, memory %v", s, memory)
	}
	if s, memory := H100.Roofline(4*66.9e9, 1, 4); s < 0.999e-3 || s > 1.001e-3 || memory {
		t.Errorf("%g s, %v", s, memory)
	}
	if s, memory := H100.Roofline(1, 3352e6, 1); s < 0.999e-3 || s > 1.001e-3 || !memory {
		t.Errorf("%g s, memory %v", s, memory)
	}
}
