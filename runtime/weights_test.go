package runtime

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"modelc/runtime/kernel"
	"modelc/runtime/kernel/plain"
)

// headerOf returns the header that the compiler writes.
func headerOf(size int, sum, graph [32]byte) (h [WeightsHeader]byte) {
	copy(h[:], WeightsMagic)
	h[len(WeightsMagic)] = WeightsVersion
	binary.LittleEndian.PutUint64(h[WeightsSize:], uint64(size))
	copy(h[WeightsSum:], sum[:])
	copy(h[WeightsGraph:], graph[:])
	return h
}

// echo copies the weights to the output.
func echo(n int) *Plan {
	ref := func(s kernel.Space) kernel.Ref { return kernel.Ref{Space: s, Len: n / 4} }
	return &Plan{Graph: [32]byte{1, 2, 3}, WeightsBytes: n,
		Outputs: []Port{{Name: "y", Type: "float32", Shape: []int{n / 4}, Bytes: n}},
		Steps:   []Step{{Name: "copy", Kernel: &plain.StridedCopy[uint32]{Src: ref(kernel.Weights), Dst: ref(kernel.IO), Shape: []int{n / 4}, SrcStride: []int{1}, DstStride: []int{1}}}}}
}

func TestWeightsFile(t *testing.T) {
	p := echo(128)
	payload := []byte(strings.Repeat("weights ", 16))
	sum := sha256.Sum256(payload)
	head := headerOf(len(payload), sum, p.Graph)
	other := sha256.Sum256([]byte("of a retrained model"))
	file := func(change func(f []byte) []byte) string {
		path := filepath.Join(t.TempDir(), "weights.bin")
		if err := os.WriteFile(path, change(slices.Concat(head[:], payload)), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	at := func(i int) func(f []byte) []byte {
		return func(f []byte) []byte { f[i] ^= 1; return f }
	}
	for _, c := range []struct {
		name   string
		change func(f []byte) []byte
		want   *[32]byte
		err    string
	}{
		{"intact", func(f []byte) []byte { return f }, &sum, ""},
		{"retrained", func(f []byte) []byte { return f }, nil, ""},
		{"not those of the package", func(f []byte) []byte { return f }, &other, "generated with"},
		{"empty", func(f []byte) []byte { return nil }, nil, "empty"},
		{"a header alone", func(f []byte) []byte { return f[:WeightsHeader] }, nil, "damaged: 0 bytes"},
		{"half a header", func(f []byte) []byte { return f[:60] }, nil, "not a weights file"},
		{"no weights file", at(0), nil, "not a weights file"},
		{"another version", at(7), nil, "not a weights file of this version"},
		{"another size", at(8), nil, "damaged"},
		{"another graph", at(48), nil, "another network"},
		{"a bit turned", at(WeightsHeader + 100), nil, "SHA-256"},
		{"a digest turned", at(16), nil, "SHA-256"},
	} {
		path := file(c.change)
		m, err := OpenModel(p, path, c.want)
		if c.err != "" {
			if !errors.Is(err, ErrWeights) || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: error %v, want %q and the path", c.name, err, c.err)
			}
			if c.want == nil {
				if _, err := BytesModel(p, c.change(slices.Concat(head[:], payload))); !errors.Is(err, ErrWeights) {
					t.Errorf("%s, as bytes: error %v", c.name, err)
				}
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		out := make([]byte, len(payload))
		s := m.NewSession(Options{Threads: 1})
		if err := s.Bind(0, out); err != nil {
			t.Fatal(err)
		}
		m = nil
		goruntime.GC() // the file stays mapped while a session may read it
		if err := s.Run(); err != nil || string(out) != string(payload) {
			t.Errorf("%s: %v, output %q", c.name, err, out)
		}
	}
	if _, err := EmbeddedModel(p, "no weights", sum); !errors.Is(err, ErrWeights) {
		t.Errorf("embedded nonsense: %v", err)
	}
	if _, err := OpenModel(p, "no such file", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// mapped is the size of weights that are mapped on unix.
const mapped = 16 << 20

// weightsFile writes the weights of p, and returns the path and a function that counts
// the mappings of the file.
func weightsFile(t *testing.T, p *Plan) (path string, maps func() int) {
	t.Helper()
	payload := make([]byte, p.WeightsBytes)
	head := headerOf(len(payload), sha256.Sum256(payload), p.Graph)
	path = filepath.Join(t.TempDir(), "weights.bin")
	if err := os.WriteFile(path, append(head[:], payload...), 0o644); err != nil {
		t.Fatal(err)
	}
	return path, func() int {
		b, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Skip("no /proc")
		}
		return strings.Count(string(b), path)
	}
}

// The weights of an unused model are unmapped.
func TestUnmap(t *testing.T) {
	p := echo(mapped)
	path, maps := weightsFile(t, p)
	m, err := OpenModel(p, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if maps() != 1 {
		t.Fatal("the file is not mapped")
	}
	s := m.NewSession(Options{Threads: 1})
	goruntime.KeepAlive(m)
	m = nil
	for range 3 {
		goruntime.GC()
		time.Sleep(time.Millisecond)
	}
	if maps() != 1 {
		t.Fatal("the file is not mapped while a session may read it")
	}
	goruntime.KeepAlive(s)
	s = nil
	for i := 0; maps() > 0; i++ {
		if i == 100 {
			t.Fatal("the file is still mapped")
		}
		goruntime.GC()
		time.Sleep(time.Millisecond)
	}
}

// Close unmaps the weights at once, but not before the last session is closed.
func TestCloseUnmaps(t *testing.T) {
	p := echo(mapped)
	path, maps := weightsFile(t, p)
	m, err := OpenModel(p, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	maps() // or skip
	s, out := m.NewSession(Options{Threads: 2}), make([]byte, mapped)
	m.Close()
	if err := m.NewSession(Options{}).Begin(); err != ErrClosed {
		t.Errorf("a session of a closed model: %v", err)
	}
	if err := errors.Join(s.Begin(), s.Bind(0, out), s.Run()); err != nil {
		t.Errorf("a session that is older than Close: %v", err)
	}
	s.Close() // during a run
	m.Close()
	if maps() != 1 {
		t.Error("the weights of a run are unmapped")
	}
	s.End()
	if maps() != 0 {
		t.Error("the file is still mapped")
	}
	for _, err := range []error{s.Begin(), s.Bind(0, out), s.Run()} {
		if err != ErrClosed {
			t.Errorf("a closed session: %v", err)
		}
	}
	if i := m.Info(); i.WeightsSource != path || i.WeightsBytes != mapped {
		t.Errorf("a closed model: %+v", i)
	}
}
