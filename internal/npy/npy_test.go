package npy

import (
	"path/filepath"
	"testing"

	"modelc/ir"
)

func TestRoundTrip(t *testing.T) {
	for _, typ := range []ir.Type{ir.T(ir.Float32, 2, 3), ir.T(ir.Int64, 4), ir.T(ir.Bool, 3, 1, 2), ir.T(ir.Float64), ir.T(ir.Uint8, 0)} {
		want := ir.Seeded(typ, 1)
		path := filepath.Join(t.TempDir(), "x.npy")
		if err := Write(path, want); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if !ir.SameBits(got, want) {
			t.Errorf("%s came back as %s", typ, got.Type)
		}
	}
}

func TestBadFiles(t *testing.T) {
	for _, s := range []string{"", "PK", "\x93NUMPY\x01\x00\xff\xff{}", "\x93NUMPY\x01\x00\x02\x00{}",
		"\x93NUMPY\x01\x00\x3a\x00{'descr': '<f4', 'fortran_order': False, 'shape': (9,), }   xx",
		"\x93NUMPY\x01\x00\x48\x00{'descr': '<f4', 'fortran_order': False, 'shape': (99999999,99999999), }  "} {
		if _, err := Parse([]byte(s)); err == nil {
			t.Errorf("%q was read", s)
		}
	}
}
