package main

import (
	"path/filepath"
	"testing"
)

// The pictures are named after the digit on them.
func TestDigits(t *testing.T) {
	files, err := filepath.Glob("../../testdata/digits/*.png")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d pictures: %v", len(files), err)
	}
	for _, f := range files {
		digit, p, err := read(f)
		if err != nil {
			t.Fatal(err)
		}
		if want := int(filepath.Base(f)[0] - '0'); digit != want {
			t.Errorf("%s: read %d with %.2f", f, digit, p)
		}
	}
}
