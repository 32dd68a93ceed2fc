package npy

import (
	"os"
	"path/filepath"
	"testing"

	"modelc/ir"
)

// FuzzParse reads files. The elements of a tensor that Parse accepts can be used.
func FuzzParse(f *testing.F) {
	path := filepath.Join(f.TempDir(), "x.npy")
	for _, typ := range []ir.Type{ir.T(ir.Float32, 2, 3), ir.T(ir.Bool, 3), ir.T(ir.Float64), ir.T(ir.Uint8, 0)} {
		if err := Write(path, ir.Seeded(typ, 1)); err != nil {
			f.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := Parse(b)
		if err != nil {
			return
		}
		if n := len(x.Float64s()); n != x.Shape.Len() {
			t.Errorf("%s has %d elements", x.Type, n)
		}
		if x.DType == ir.Bool {
			for _, c := range x.Bytes() {
				if c > 1 {
					t.Errorf("%d is no truth value", c)
				}
			}
		}
	})
}
