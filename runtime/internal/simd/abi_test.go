package simd

import (
	"reflect"
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
