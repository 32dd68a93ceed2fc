package ir

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var updateDocs = flag.Bool("update", false, "rewrite the table of docs/limits.md")

// docs/limits.md has the table of limits.
func TestBoundsDoc(t *testing.T) {
	const path = "../docs/limits.md"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(b), "| name |")
	_, after, _ := strings.Cut(rest, "\n\n")
	want := before + BoundsTable() + "\n" + after
	if *updateDocs {
		if err := os.WriteFile(path, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
	} else if string(b) != want {
		t.Error("docs/limits.md does not have the current table of limits: run go test ./ir -run TestBoundsDoc -update")
	}
}

func TestBoundsSet(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64 // of BoundFLOPs; 0 is an error
	}{
		{"flops=3e12", 3e12}, {"flops=5", 5}, {"nodes=7", 4e12},
		{"flops=0", 0}, {"flops=-1", 0}, {"flops=NaN", 0}, {"flops=1e30", 0}, {"flops", 0}, {"flop=3", 0}, {"", 0},
	} {
		var b Bounds
		err := b.Set(c.text)
		if (err == nil) != (c.want > 0) || err == nil && b.Max(BoundFLOPs) != c.want {
			t.Errorf("%q: %v, %d", c.text, err, b.Max(BoundFLOPs))
		}
	}
	var b Bounds
	if err := b.Check(BoundNodes, b.Max(BoundNodes)); err != nil {
		t.Error(err)
	}
	if err := b.Check(BoundNodes, b.Max(BoundNodes)+1); err == nil || !strings.Contains(err.Error(), "--limit nodes=N") {
		t.Error(err)
	}
}
