package runtime

import (
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	goruntime "runtime"
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
		Outputs: []Port{{Name: "y", Type: "f32", Shape: []int{n / 4}, Bytes: n}},
		Steps:   []Step{{Name: "copy", Kernel: &plain.StridedCopy[uint32]{Src: ref(kernel.Weights), Dst: ref(kernel.IO), Shape: []int{n / 4}, SrcStride: []int{1}, DstStride: []int{1}}}}}
}

func TestWeightsFile(t *testing.T) {
	p := echo(128)
	payload := []byte(strings.Repeat("weights ", 16))
	sum := sha256.Sum256(payload)
	other := sha256.Sum256([]byte("of a retrained model"))
	file := func(change func(f []byte) []byte) string {
		head := headerOf(len(payload), sum, p.Graph)
		path := filepath.Join(t.TempDir(), "weights.bin")
		if err := os.WriteFile(path, change(append(head[:], payload...)), 0o644); err != nil {
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
			if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: error %v, want %q and the path", c.name, err, c.err)
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
	if _, err := EmbeddedModel(p, "no weights", sum); err == nil {
		t.Error("embedded nonsense was no error")
	}
}

// The weights of an unused model are unmapped.
func TestUnmap(t *testing.T) {
	p := echo(1 << 20)
	payload := make([]byte, p.WeightsBytes)
	head := headerOf(len(payload), sha256.Sum256(payload), p.Graph)
	path := filepath.Join(t.TempDir(), "weights.bin")
	if err := os.WriteFile(path, append(head[:], payload...), 0o644); err != nil {
		t.Fatal(err)
	}
	maps := func() int {
		b, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Skip("no /proc")
		}
		return strings.Count(string(b), path)
	}
	m, err := OpenModel(p, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if maps() != 1 {
		t.Skip("files are not mapped here")
	}
	goruntime.KeepAlive(m)
	m = nil
	for i := 0; maps() > 0; i++ {
		if i == 100 {
			t.Fatal("the file is still mapped")
		}
		goruntime.GC()
		time.Sleep(time.Millisecond)
	}
}
