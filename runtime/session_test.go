package runtime

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"

	"modelc/runtime/kernel"
)

// double writes twice its input, which it first copies to the arena.
type double struct{ src, tmp, dst kernel.Ref }

func (*double) ScratchBytes() int { return 0 }

func (k *double) Check(v *kernel.Verifier) {
	n := int64(k.tmp.Len)
	v.Read("src", k.src, 4, n)
	v.Write("tmp", k.tmp, 4, n)
	v.Write("dst", k.dst, 4, n)
}

func (k *double) Run(c *kernel.Context) {
	tmp, dst := c.F32(k.tmp), c.F32(k.dst)
	copy(tmp, c.F32(k.src))
	goruntime.Gosched() // so that another run on the session would overwrite tmp
	for i, x := range tmp {
		dst[i] = 2 * x
	}
}

func doubling(t *testing.T) *Session {
	t.Helper()
	const n = 64
	m, err := NewModel(&Plan{
		ArenaBytes: 4 * n,
		Inputs:     []Port{{Name: "x", Type: "float32", Shape: []int{n}, Bytes: 4 * n}},
		Outputs:    []Port{{Name: "y", Type: "float32", Shape: []int{n}, Bytes: 4 * n}},
		Steps:      []Step{{"double", &double{kernel.Ref{Space: kernel.IO, Len: n}, kernel.Ref{Len: n}, kernel.Ref{Space: kernel.IO + 1, Len: n}}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m.NewSession(Options{Threads: 2})
}

// run computes the outputs for an input of equal elements, as generated code does.
func (s *Session) run(t *testing.T, x float32, in, out []float32) error {
	if err := s.Begin(); err != nil {
		return err
	}
	defer s.End()
	for i := range in {
		in[i] = x
	}
	if err := errors.Join(s.Bind(0, BytesOf(in)), s.Bind(1, BytesOf(out)), s.Run()); err != nil {
		return err
	}
	for _, y := range out {
		if y != 2*x {
			t.Errorf("2·%g is %g", x, y)
			break
		}
	}
	return nil
}

// Calls of many goroutines on one session give the right answer or an error.
func TestSessionInUse(t *testing.T) {
	s := doubling(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done, refused := 0, 0
	for g := range 8 {
		wg.Go(func() {
			in, out := make([]float32, 64), make([]float32, 64)
			for i := range 1250 {
				err := s.run(t, float32(g*1250+i), in, out)
				if err != nil && !errors.Is(err, ErrInUse) {
					t.Error(err)
				}
				mu.Lock()
				if err == nil {
					done++
				} else {
					refused++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if done == 0 || refused == 0 {
		t.Errorf("%d calls were right, %d were refused, want some of each", done, refused)
	}
	t.Logf("%d calls were right, %d were refused", done, refused)
}

func TestSessionClose(t *testing.T) {
	s := doubling(t)
	buf := make([]float32, 64)
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	if err := s.Begin(); err != ErrInUse {
		t.Errorf("a second Begin: %v", err)
	}
	s.Close() // during a run: End closes
	if err := s.Begin(); err != ErrInUse {
		t.Errorf("Begin before End: %v", err)
	}
	s.End()
	if err := s.run(t, 1, buf, buf); err != ErrClosed {
		t.Errorf("a run after Close: %v", err)
	}
	s.Close() // again
	if err := (*Session)(nil).Begin(); err != ErrClosed {
		t.Errorf("Begin of no session: %v", err)
	}
}

// A tensor that is nil, short or long is an error, and so is an input that is missing.
func TestBind(t *testing.T) {
	s := doubling(t)
	defer s.Close()
	if err := s.Run(); err == nil || !strings.Contains(err.Error(), `input "x" is not bound`) {
		t.Errorf("a run without an input: %v", err)
	}
	for _, n := range []int{0, 63, 65} {
		for port := range 2 {
			want := fmt.Sprintf("wrong tensor: %d elements, want 64: float32[64]", n)
			if err := s.Bind(port, BytesOf(make([]float32, n))); !errors.Is(err, ErrTensor) || err.Error() != want {
				t.Errorf("port %d: %v, want %s", port, err, want)
			}
		}
	}
	if err := (*Model)(nil).NewSession(Options{}).Begin(); err != ErrClosed {
		t.Errorf("a session of no model: %v", err)
	}
}
