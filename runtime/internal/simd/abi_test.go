package simd

import (
	"reflect"
	"testing"
)

// Every tier but the generic one sets all fields. Only the pixels of narrow and of
// neighbour kernels may be 0.
func TestTierTable(t *testing.T) {
	for _, tier := range All {
		v := reflect.ValueOf(*tier)
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "NarrowPixels" && name != "NeighbourPixels" && tier != &generic {
				t.Errorf("%s.%s is not set", tier.Name, name)
			}
		}
		if tier.TilePixels > MaxTilePixels || tier.NarrowPixels > MaxTilePixels {
			t.Errorf("%s: more than %d pixels", tier.Name, MaxTilePixels)
		}
	}
}
