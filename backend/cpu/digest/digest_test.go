package digest

import (
	"reflect"
	"testing"
)

type ref struct{ Space, Off, Len int }

// before returns a kernel. after returns the same kernel of a type with more
// fields.
func before(k int) any {
	type Conv struct {
		Ref    ref
		KH, KW int
		Act    struct{ Alpha float32 }
		Table  []int32
		Sub    any
	}
	return &Conv{Ref: ref{Len: 7}, KH: k, KW: 3, Table: []int32{1, 2}, Sub: &struct{ Deep bool }{true}}
}

func after(k, added int) any {
	type Conv struct {
		Added  int
		Groups []int
		Ref    ref
		KW, KH int
		Act    struct {
			Alpha float32
			Beta  float64
		}
		Table []int32
		Sub   any
	}
	return &Conv{Ref: ref{Len: 7}, Added: added, KH: k, KW: 3, Table: []int32{1, 2}, Sub: &struct {
		Deep bool
		More *int
	}{Deep: true}}
}

// A field that is zero does not change the digest, wherever it stands. Other
// values of fields do.
func TestZeroField(t *testing.T) {
	want := Of(before(3), "x", 1.5)
	if got := Of(after(3, 0), "x", 1.5); got != want {
		t.Error("a new field that is zero changes the digest")
	}
	for _, other := range [][]any{
		{after(3, 1), "x", 1.5}, {before(5), "x", 1.5}, {before(3), "y", 1.5}, {before(3), "x", 1.25}, {before(3), "x"}, {"x", before(3), 1.5},
	} {
		if Of(other...) == want {
			t.Errorf("%v has the digest of another value", other)
		}
	}
}

type generic[T, U any] struct{ Len int }

// Type names have no packages, and neither have their type arguments.
func TestTypeName(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{generic[float32, uint8]{}, "generic[float32,uint8]"},
		{generic[ref, generic[ref, int8]]{}, "generic[ref,generic[ref,int8]]"},
		{ref{}, "ref"},
	} {
		if got := typeName(reflect.TypeOf(c.v)); got != c.want {
			t.Errorf("%T: %s, want %s", c.v, got, c.want)
		}
	}
	if Of(generic[float32, uint8]{1}) == Of(generic[float64, uint8]{1}) {
		t.Error("another element type has the same digest")
	}
}
