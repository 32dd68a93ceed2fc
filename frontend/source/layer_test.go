package source

import (
	"testing"

	"modelc/ir"
)

// A call whose results are constants computes nothing. The layer stays if another call
// computes something, whatever the order of the calls.
func TestConstantCalls(t *testing.T) {
	value := &ir.Value{Type: ir.Type{Shape: ir.Shape{2, 3}}}
	constant := &ir.Value{Type: ir.Type{Shape: ir.Shape{4}}, Const: &ir.Tensor{}}
	for _, test := range []struct {
		name  string
		calls [][]*ir.Value
		want  int
	}{
		{"never called with values", [][]*ir.Value{{constant}, {constant}}, 0},
		{"called with values last", [][]*ir.Value{{constant}, {constant}, {value}}, 1},
		{"called with values first", [][]*ir.Value{{value}, {constant}}, 1},
		{"one result is a constant", [][]*ir.Value{{constant, value}}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			var s Layers
			for _, out := range test.calls {
				s.Begin("key", Layer{Name: "layer"})
				s.End(nil, out, nil, nil)
			}
			if got := s.All(); len(got) != test.want {
				t.Errorf("%d layers, want %d", len(got), test.want)
			}
		})
	}
}
