package shim

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unsafe"
)

// sum adds the 64 elements of each row of x.
const sum = `
extern "C" __global__ void __launch_bounds__(64) sum(const float* __restrict__ x, float* __restrict__ y) {
    __shared__ float part[64];
    const int t = threadIdx.x;
    part[t] = x[blockIdx.x * 64 + t];
    __syncthreads();
    for (int d = 32; d > 0; d /= 2) {
        if (t < d) part[t] += part[t + d];
        __syncthreads(); // in the loop
    }
    if (t == 0) y[blockIdx.x] = part[0];
}
extern "C" __global__ void __launch_bounds__(64) shuffled(const float* __restrict__ x, float* __restrict__ y) {
    __shared__ float part[2];
    float s = x[blockIdx.x * 64 + threadIdx.x];
    for (int d = 16; d > 0; d /= 2) s += __shfl_xor_sync(0xffffffff, s, d);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = s;
    __syncthreads();
    if (threadIdx.x == 0) y[blockIdx.x] = part[0] + part[1];
}
`

// run sums the rows of a matrix with a kernel, in several orders of threads.
func run(t *testing.T, l *Library, kernel string, checks bool) error {
	t.Helper()
	x, y := make([]float32, 64*3), make([]float32, 3)
	for i := range x {
		x[i] = float32(i)
	}
	bytes := func(f []float32) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(&f[0])), len(f)*4) }
	for seed := range uint64(5) {
		if err := l.Launch(kernel, [3]int{3, 1, 1}, [3]int{64, 1, 1}, [][]byte{bytes(x), bytes(y)}, checks, seed); err != nil {
			return err
		}
		for i, s := range y {
			if want := float32(64*64*i + 2016); s != want {
				t.Fatalf("row %d: %g, want %g", i, s, want)
			}
		}
	}
	return nil
}

func open(t *testing.T, source string, checks bool) *Library {
	t.Helper()
	if err := Available(); err != nil {
		t.Skip(err)
	}
	path, err := Compile(context.Background(), source, t.TempDir(), checks)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestUnchecked(t *testing.T) {
	l := open(t, sum, false)
	for _, kernel := range []string{"sum", "shuffled"} {
		if err := run(t, l, kernel, false); err != nil {
			t.Error(err)
		}
	}
}

// Each kind of mistake is reported.
func TestChecks(t *testing.T) {
	mistakes := []struct{ old, new, kernel, want string }{
		{"", "", "sum", ""},
		{"", "", "shuffled", ""},
		{"__syncthreads(); // in the loop", "", "sum", "before the next barrier"},
		{"if (t < d) part[t] += part[t + d];", "if (t <= d) part[t] += part[t + d];", "sum", "shared memory"},
		{"part[t] = x[blockIdx.x * 64 + t];", "if (t > 0) part[t] = x[blockIdx.x * 64 + t];", "sum", "no thread has written"},
		{"x[blockIdx.x * 64 + t]", "x[blockIdx.x * 64 + t + 1]", "sum", "outside its operands"},
		{"if (t == 0) y[blockIdx.x]", "if (t < 2) y[blockIdx.x]", "sum", "global memory that another thread"},
		{"__syncthreads(); // in the loop", "if (d > 1 || t > 0) __syncthreads();", "sum", "wait at a barrier"},
		{"    __syncthreads();\n    if (threadIdx.x == 0) y", "    if (threadIdx.x == 0) y", "shuffled", "shared memory"},
	}
	var source strings.Builder
	for i, m := range mistakes {
		text := strings.Replace(sum, m.old, m.new, 1)
		if text == sum && m.want != "" {
			t.Fatalf("%q is not in the source", m.old)
		}
		source.WriteString(strings.NewReplacer("void __launch_bounds__(64) sum", fmt.Sprint("void __launch_bounds__(64) sum", i), " shuffled", fmt.Sprint(" shuffled", i)).Replace(text))
	}
	l := open(t, source.String(), true)
	for i, m := range mistakes {
		err := run(t, l, fmt.Sprint(m.kernel, i), true)
		if m.want == "" && err != nil || m.want != "" && (err == nil || !strings.Contains(err.Error(), m.want)) {
			t.Errorf("%q instead of %q: %v, want %q", m.new, m.old, err, m.want)
		}
	}
}
