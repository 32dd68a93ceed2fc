package runtime

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
)

// FuzzWeights opens weights files, as they are and with the right digest. A model that
// opens has the payload of the file, and a run reads no other memory.
func FuzzWeights(f *testing.F) {
	p := echo(64)
	payload := bytes.Repeat([]byte("weights "), 8)
	sum := sha256.Sum256(payload)
	head := headerOf(len(payload), sum, p.Graph)
	whole := append(head[:], payload...)
	f.Add(whole)
	f.Add(whole[:WeightsHeader])
	f.Add(append(whole, 0))
	f.Add([]byte{})
	path := filepath.Join(f.TempDir(), "weights.bin")
	f.Fuzz(func(t *testing.T, b []byte) {
		check := func(m *Model, err error) {
			if err != nil {
				return
			}
			out := make([]byte, len(payload))
			s := m.NewSession(Options{Threads: 1})
			defer s.Close()
			if err := s.Bind(0, out); err != nil {
				t.Fatal(err)
			}
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(out, b[WeightsHeader:]) {
				t.Errorf("the model has other weights than the file: %q", out)
			}
		}
		for range 2 {
			check(EmbeddedModel(p, string(b), sum))
			if err := os.WriteFile(path, b, 0o666); err != nil {
				t.Fatal(err)
			}
			check(OpenModel(p, path, nil))
			check(OpenModel(p, path, &sum))
			if len(b) >= WeightsHeader {
				b = bytes.Clone(b)
				right := sha256.Sum256(b[WeightsHeader:])
				copy(b[WeightsSum:], right[:])
			}
		}
	})
}
