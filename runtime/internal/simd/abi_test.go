package simd

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// Every tier but the generic one sets all fields. Only the pixels of narrow and of
// neighbour kernels, and the properties of kernels on integers and pairs may be zero.
func TestTierTable(t *testing.T) {
	for _, tier := range All {
		v := reflect.ValueOf(*tier)
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "IntWords" && name != "IntOffset" && name != "IntSums" && name != "Pairs" && name != "NarrowPixels" && name != "NeighbourPixels" && tier != &generic {
				t.Errorf("%s.%s is not set", tier.Name, name)
			}
		}
		if tier.TilePixels > MaxTilePixels || tier.NarrowPixels > MaxTilePixels {
			t.Errorf("%s: more than %d pixels", tier.Name, MaxTilePixels)
		}
	}
}

// No two files of an architecture define the same constant: in a copy of the runtime they
// become one file.
func TestConstants(t *testing.T) {
	files, err := filepath.Glob("*.s")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	defined := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		arch := f[strings.LastIndexByte(f, '_'):]
		for _, m := range regexp.MustCompile(`(?m)^GLOBL (\w+)<>`).FindAllStringSubmatch(string(text), -1) {
			if other := defined[m[1]+arch]; other != "" {
				t.Errorf("%s and %s define %s", other, f, m[1])
			}
			defined[m[1]+arch] = f
		}
	}
	if len(defined) == 0 {
		t.Error("no constants")
	}
}
