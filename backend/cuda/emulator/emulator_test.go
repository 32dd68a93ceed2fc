package emulator_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"modelc/backend/cuda"
	"modelc/backend/cuda/emulator"
	"modelc/backend/cuda/engine"
	"modelc/backend/cuda/launcher"
	"modelc/backend/cuda/shim"
	"modelc/ir"
)

const (
	n      = 512
	layers = 2
)

// program scales and sums: y[i] = w[i]·x[i] + w[i]·x[n-1-i].
func program() *cuda.Program {
	t := ir.Type{DType: ir.Float32, Shape: ir.Shape{n}}
	p := &cuda.Program{Name: "test", Arena: 3 * 4 * n, Source: `
extern "C" __global__ void __launch_bounds__(128) scale(const float* __restrict__ w, const float* __restrict__ x, float* __restrict__ y) {
    const int i = blockIdx.x * 128 + threadIdx.x;
    y[i] = w[i] * x[i];
}
extern "C" __global__ void __launch_bounds__(128) mirror(const float* __restrict__ w, const float* __restrict__ x, const float* __restrict__ s, float* __restrict__ y) {
    __shared__ float tile[128];
    const int i = blockIdx.x * 128 + threadIdx.x;
    tile[127 - threadIdx.x] = x[511 - (blockIdx.x * 128 + 127 - threadIdx.x)];
    __syncthreads();
    y[i] = s[i] + w[i] * tile[threadIdx.x];
}
`}
	w := make([]float32, n)
	for i := range w {
		w[i] = float32(i%7) - 2
	}
	p.Weights = asBytes(w)
	weights, x, s, y := cuda.Arg{Weights: true, Bytes: 4 * n}, cuda.Arg{Offset: 0, Bytes: 4 * n}, cuda.Arg{Offset: 4 * n, Bytes: 4 * n}, cuda.Arg{Offset: 8 * n, Bytes: 4 * n}
	grid, block := [3]int{n / 128, 1, 1}, [3]int{128, 1, 1}
	p.Kernels = []cuda.Kernel{
		{Name: "scale", Grid: grid, Block: block, Args: []cuda.Arg{weights, x, s}},
		{Name: "mirror", Grid: grid, Block: block, Args: []cuda.Arg{weights, x, s, y}},
	}
	p.Inputs = []cuda.Binding{{Name: "x", Type: t}}
	p.Outputs = []cuda.Binding{{Name: "y", Type: t, Offset: 8 * n}}
	return p
}

func asBytes(f []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&f[0])), 4*len(f))
}

// input returns an input that depends on seed.
func input(seed int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32((i*7+seed*13)%31) - 15
	}
	return x
}

// apply computes what the program does.
func apply(x []float32) []float32 {
	y := make([]float32, n)
	for i := range y {
		w := float32(i%7) - 2
		y[i] = w*x[i] + w*x[n-1-i]
	}
	return y
}

func same(got, want []float32) error {
	for i := range want {
		if got[i] != want[i] {
			return fmt.Errorf("element %d is %g, want %g", i, got[i], want[i])
		}
	}
	return nil
}

// fixture is the program on devices of the emulator.
type fixture struct {
	*testing.T
	launched *launcher.Program
	ptx      string
	driver   string
}

// start compiles the program. At the end of the test, nothing may exist on the devices.
func start(t *testing.T, devices int) *fixture {
	if err := shim.Available(); err != nil {
		t.Skip(err)
	}
	path, err := emulator.Driver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := program()
	kernels := library(t, p)
	set(t, "EMULATOR_DEVICES", devices)
	t.Cleanup(func() {
		set(t, "EMULATOR_FAIL_ALLOC", 0)
		set(t, "EMULATOR_FAIL_LAUNCH", 0)
		if n, err := emulator.Objects(context.Background()); n != 0 || err != nil {
			t.Errorf("%d objects exist at the end, %v", n, err)
		}
	})
	return &fixture{t, engine.Launched(p), emulator.PTX(p, kernels), path}
}

var compiled struct{ dir, path string }

// library compiles the kernels, once for all tests.
func library(t *testing.T, p *cuda.Program) string {
	if compiled.path == "" {
		var err error
		if compiled.dir, err = os.MkdirTemp("", "emulator"); err != nil {
			t.Fatal(err)
		}
		if compiled.path, err = shim.Compile(t.Context(), p.Source, compiled.dir, false); err != nil {
			t.Fatal(err)
		}
	}
	return compiled.path
}

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(compiled.dir)
	os.Exit(code)
}

func set(t *testing.T, name string, value int) {
	t.Helper()
	if err := emulator.Set(context.Background(), name, value); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) open(device int) (*launcher.Model, error) {
	return launcher.Open([]launcher.Code{{Program: f.launched, PTX: f.ptx}}, string(program().Weights), launcher.Options{Device: device, Driver: f.driver})
}

func (f *fixture) mustOpen(device int) *launcher.Model {
	f.Helper()
	m, err := f.open(device)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(m.Close)
	return m
}

func (f *fixture) session(m *launcher.Model) *launcher.Session {
	f.Helper()
	s, err := m.NewSession(f.launched)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.Close)
	return s
}

// run computes y from x in a session.
func run(s *launcher.Session, x, y []float32) error {
	if err := s.Begin(); err != nil {
		return err
	}
	defer s.End()
	if err := s.Send(0, asBytes(x)); err != nil {
		return err
	}
	if err := s.Start(); err != nil {
		return err
	}
	return s.Receive(0, asBytes(y))
}

// check runs a session on an input and compares the output.
func check(s *launcher.Session, seed int) error {
	x, y := input(seed), make([]float32, n)
	if err := run(s, x, y); err != nil {
		return err
	}
	return same(y, apply(x))
}

// Sessions of two devices run at once, on goroutines that change their threads.
func TestSessions(t *testing.T) {
	f := start(t, 2)
	models := []*launcher.Model{f.mustOpen(0), f.mustOpen(1)}
	if d := models[1].Device(); d.Name != "emulated device 1" || d.Compute != 90 || d.Multiprocessors != 4 {
		t.Errorf("device %+v", d)
	}
	var wg sync.WaitGroup
	for i := range 6 {
		s := f.session(models[i%2])
		wg.Go(func() {
			for seed := range 10 {
				if err := check(s, i+seed); err != nil {
					t.Errorf("session %d, run %d: %v", i, seed, err)
					return
				}
				runtime.Gosched()
			}
		})
	}
	wg.Wait()
}

func TestNoAllocations(t *testing.T) {
	f := start(t, 1)
	s := f.session(f.mustOpen(0))
	x, y := input(1), make([]float32, n)
	if got := testing.AllocsPerRun(50, func() {
		if err := run(s, x, y); err != nil {
			t.Fatal(err)
		}
	}); got != 0 && !raceEnabled { // sync.Pool drops elements under the race detector
		t.Errorf("%g allocations a run", got)
	}
}

// Results stay on the device for the next session: on the same device, on another one, and
// for the same session.
func TestHandover(t *testing.T) {
	f := start(t, 2)
	x := input(3)
	m := []*launcher.Model{f.mustOpen(0), f.mustOpen(1)}
	first := f.session(m[0])
	for name, second := range map[string]*launcher.Session{"same device": f.session(m[0]), "other device": f.session(m[1]), "same session": first} {
		y := make([]float32, n)
		do := func(s *launcher.Session, steps ...func() error) {
			t.Helper()
			if err := s.Begin(); err != nil {
				t.Fatal(name, err)
			}
			defer s.End()
			for _, step := range steps {
				if err := step(); err != nil {
					t.Fatal(name, err)
				}
			}
		}
		do(first, func() error { return first.Send(0, asBytes(x)) }, first.Compute)
		do(second, func() error { return second.SendTensor(0, first.Output(0)) }, second.Compute, func() error { return second.Receive(0, asBytes(y)) })
		if err := same(y, apply(apply(x))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A tensor cannot be taken while its session computes, or after it was closed.
	second := f.session(m[1])
	if err := first.Begin(); err != nil {
		t.Fatal(err)
	}
	take := func() error {
		if err := second.Begin(); err != nil {
			return err
		}
		defer second.End()
		return second.SendTensor(0, first.Output(0))
	}
	if err := take(); !errors.Is(err, launcher.ErrInUse) {
		t.Errorf("tensor of a session in use: %v", err)
	}
	first.End()
	first.Close()
	if err := take(); !errors.Is(err, launcher.ErrClosed) {
		t.Errorf("tensor of a closed session: %v", err)
	}
	if err := second.SendTensor(0, nil); err == nil {
		t.Error("no tensor was accepted")
	}
}

// Close during a run returns at once; the session ends after the run.
func TestClose(t *testing.T) {
	f := start(t, 1)
	m := f.mustOpen(0)
	s := f.session(m)
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	if err := s.Begin(); !errors.Is(err, launcher.ErrInUse) {
		t.Errorf("second Begin: %v", err)
	}
	s.Close()
	m.Close()
	if _, err := m.NewSession(f.launched); err == nil {
		t.Error("a closed model made a session")
	}
	x, y := input(5), make([]float32, n)
	if err := errors.Join(s.Send(0, asBytes(x)), s.Start(), s.Receive(0, asBytes(y)), same(y, apply(x))); err != nil {
		t.Error(err)
	}
	s.End()
	if err := s.Begin(); !errors.Is(err, launcher.ErrClosed) {
		t.Errorf("Begin of a closed session: %v", err)
	}
	s.Close()
	m.Close()
}

// Goroutines close a session that others use.
func TestCloseRaces(t *testing.T) {
	f := start(t, 1)
	m := f.mustOpen(0)
	for range 20 {
		s := f.session(m)
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				if err := check(s, i); err != nil && !errors.Is(err, launcher.ErrInUse) && !errors.Is(err, launcher.ErrClosed) {
					t.Error(err)
				}
			})
		}
		wg.Go(s.Close)
		wg.Wait()
	}
}

// Every allocation that fails gives an error, and leaves nothing behind.
func TestOutOfMemory(t *testing.T) {
	f := start(t, 1)
	for _, c := range []struct {
		allocation int
		part       string
	}{{1, "weights"}, {2, "new session"}} {
		set(t, "EMULATOR_FAIL_ALLOC", c.allocation)
		m, err := f.open(0)
		if err == nil {
			_, err = m.NewSession(f.launched)
			m.Close()
		}
		if !errors.Is(err, launcher.ErrOutOfMemory) || !strings.Contains(err.Error(), c.part) || !strings.Contains(err.Error(), "bytes on device 0") {
			t.Errorf("allocation %d: %v", c.allocation, err)
		}
		if n, err := emulator.Objects(t.Context()); n != 0 || err != nil {
			t.Errorf("allocation %d: %d objects exist, %v", c.allocation, n, err)
		}
	}
}

// A device that is lost fails all its sessions, and no other device. After everything on it
// was closed, it can be opened again.
func TestDeviceLost(t *testing.T) {
	f := start(t, 2)
	m, other := f.mustOpen(0), f.mustOpen(1)
	s, beside, elsewhere := f.session(m), f.session(m), f.session(other)
	for launch := 1; launch <= layers; launch++ {
		if launch == 2 {
			for _, close := range []func(){s.Close, beside.Close, m.Close} {
				close()
			}
			m = f.mustOpen(0)
			s, beside = f.session(m), f.session(m)
		}
		set(t, "EMULATOR_FAIL_LAUNCH", launch)
		for _, s := range []*launcher.Session{s, s, beside} {
			if err := check(s, 1); !errors.Is(err, launcher.ErrDeviceLost) {
				t.Errorf("launch %d: %v", launch, err)
			}
		}
		if _, err := m.NewSession(f.launched); !errors.Is(err, launcher.ErrDeviceLost) {
			t.Errorf("new session on a lost device: %v", err)
		}
		if err := check(elsewhere, 1); err != nil {
			t.Errorf("other device: %v", err)
		}
	}
}

func TestRefusals(t *testing.T) {
	f := start(t, 1)
	text := func(err error) string {
		if err == nil {
			return "no error"
		}
		return err.Error()
	}
	if _, err := f.open(1); !errors.Is(err, launcher.ErrNoDriver) || !strings.Contains(err.Error(), "no device 1") {
		t.Error(text(err))
	}
	if _, err := launcher.Open(nil, "", launcher.Options{Driver: "libmissing.so"}); !errors.Is(err, launcher.ErrNoDriver) || !strings.Contains(err.Error(), "libmissing.so") {
		t.Error(text(err))
	}
	for _, c := range []struct{ old, new, want string }{
		{".entry mirror", ".entry other", "kernel mirror"},
		{".target sm_70", ".target sm_100", "compute capability 9.0"},
		{".version", ".nothing", "no .version"},
		{f.ptx, "// nothing", "kernels.ptx has the command"},
	} {
		bad := *f
		bad.ptx = strings.Replace(f.ptx, c.old, c.new, 1)
		if _, err := bad.open(0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("PTX with %s: %s", c.new, text(err))
		}
	}
	m := f.mustOpen(0)
	wrong := *f.launched
	if _, err := m.NewSession(&wrong); err == nil || !strings.Contains(err.Error(), "not one of the model's") {
		t.Error(text(err))
	}
	wrong.Kernels = append([]launcher.Kernel{}, wrong.Kernels...)
	wrong.Kernels[0].Block = [3]int{2048, 1, 1}
	bad := *f
	bad.launched = &wrong
	if _, err := bad.mustOpen(0).NewSession(&wrong); err == nil || !strings.Contains(err.Error(), "kernel scale") {
		t.Error(text(err))
	}
	s := f.session(m)
	if err := run(s, make([]float32, 3), make([]float32, n)); err == nil || !strings.Contains(err.Error(), "3 elements, want 512: f32[512]") {
		t.Error(text(err))
	}
	if err := run(s, make([]float32, n), make([]float32, 3)); err == nil || !strings.Contains(err.Error(), "3 elements, want 512: f32[512]") {
		t.Error(text(err))
	}
	if err := check(s, 2); err != nil { // the session is intact
		t.Error(err)
	}
}

// The garbage collector closes what nobody uses.
func TestCollected(t *testing.T) {
	f := start(t, 1)
	func() {
		m, err := f.open(0)
		if err != nil {
			t.Fatal(err)
		}
		s, err := m.NewSession(f.launched)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(s, 1); err != nil {
			t.Error(err)
		}
	}()
	for range 100 {
		runtime.GC()
		if n, _ := emulator.Objects(t.Context()); n == 0 {
			return
		}
		runtime.Gosched()
	}
	t.Error("the session and the model still exist")
}

func TestEngine(t *testing.T) {
	if err := shim.Available(); err != nil {
		t.Skip(err)
	}
	for _, checks := range []bool{false, true} {
		e, err := emulator.New(t.Context(), program(), checks)
		if err != nil {
			t.Fatal(err)
		}
		in, err := ir.FromBytes(program().Inputs[0].Type, asBytes(input(4)))
		if err != nil {
			t.Fatal(err)
		}
		out, err := e.Run([]*ir.Tensor{in})
		if err != nil {
			t.Fatal(err)
		}
		if err := same(out[0].Float32s(), apply(input(4))); err != nil {
			t.Error(err)
		}
		if all, kernels, err := e.Profile([]*ir.Tensor{in}, 3); err != nil || len(all) != 3 || len(kernels) != layers || kernels[0] <= 0 {
			t.Errorf("times %v, %v, error %v", all, kernels, err)
		}
		e.Close()
	}
	if os.Getenv(launcher.DriverVariable) == "" {
		if _, _, err := launcher.Devices(""); err != nil && !errors.Is(err, launcher.ErrNoDriver) {
			t.Error(err)
		}
	}
}
