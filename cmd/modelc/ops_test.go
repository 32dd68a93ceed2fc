package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// docs/ops.md has the text of opsDoc.
func TestOpsDoc(t *testing.T) {
	want, err := opsDoc()
	if err != nil {
		t.Fatal(err)
	}
	const path = "../../docs/ops.md"
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/ops.md is not current: run go test ./cmd/modelc -run TestOpsDoc -update\n%s", diff)
	}
}
