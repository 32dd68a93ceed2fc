package beam

import (
	"image"
	"os"
	"testing"

	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/memfs"
	"github.com/google/go-cmp/cmp"

	"modelc/runtime/vision"
)

type fake struct{ open *int }

func (f fake) Predict(image.Image) ([]vision.Class, error) { return nil, nil }
func (f fake) Close()                                      { *f.open-- }

// All users of a network share one that is opened once. The last one closes it.
func TestPool(t *testing.T) {
	opened, sessions := 0, 0
	Register("fake", Network{Open: func(string) (func() Session, error) {
		opened++
		return func() Session { sessions++; return fake{&sessions} }, nil
	}})
	k := poolKey{name: "fake"}
	for range 3 {
		if _, err := acquire(k); err != nil {
			t.Fatal(err)
		}
	}
	release(k)
	release(k)
	if opened != 1 || sessions == 0 {
		t.Errorf("opened %d times, %d sessions are open", opened, sessions)
	}
	release(k)
	if sessions != 0 || len(pools) != 0 {
		t.Errorf("%d sessions and %d pools are left", sessions, len(pools))
	}
	if _, err := acquire(poolKey{name: "unknown"}); err == nil {
		t.Error("an unknown network is no error")
	}
}

// Weights of another filesystem are copied once.
func TestWeights(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	const path = "memfs://models/weights.bin"
	memfs.Write(path, []byte("weights"))
	for range 2 {
		at, err := local(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(at); err != nil || string(b) != "weights" {
			t.Fatalf("%s: %q, %v", at, b, err)
		}
		fs, err := filesystem.New(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if r, ok := fs.(filesystem.Remover); ok { // the second time there is nothing to copy
			r.Remove(t.Context(), path)
		}
	}
	if at, err := local(t.Context(), "models/weights.bin"); err != nil || at != "models/weights.bin" {
		t.Errorf("a local path became %q, %v", at, err)
	}
	if at, err := local(t.Context(), "memfs://models/nothing.bin"); err == nil {
		t.Errorf("a missing file became %q", at)
	}
}

// A tally does not depend on the order of lines, and on nothing else.
func TestTally(t *testing.T) {
	var a, b, c Tally
	a = a.Add("x").Add("y").Add("y")
	b = b.Add("y").merge(Tally{}.Add("y").Add("x"))
	c = c.Add("x").Add("x").Add("y")
	if d := cmp.Diff(a, b); d != "" {
		t.Error(d)
	}
	if cmp.Equal(a, c) {
		t.Errorf("%v is the tally of other lines", c)
	}
}
