package source

import "testing"

func TestUnknownDim(t *testing.T) {
	for _, c := range []struct {
		name  string
		known []string
		want  string
	}{
		{"heigth", []string{"batch", "height", "width"}, `the model has no open dimension "heigth", did you mean "height"? It has "batch", "height", "width"`},
		{"n", []string{"N"}, `the model has no open dimension "n", did you mean "N"? It has "N"`},
		{"hight", []string{"height"}, `the model has no open dimension "hight", did you mean "height"? It has "height"`},
		{"steps", []string{"batch"}, `the model has no open dimension "steps"; it has "batch"`},
		{"h", nil, `the model has no open dimension "h": all its extents are fixed`},
	} {
		if got := UnknownDim(c.name, c.known).Error(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}
