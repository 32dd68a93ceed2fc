package units

import (
	"fmt"
	"strings"
	"testing"
)

func TestTicks(t *testing.T) {
	for _, test := range []struct {
		most float64
		want string
	}{
		{13.8, "0 5 10"},
		{5, "0 1 2 3 4 5"},
		{0.0123, "0.000 0.005 0.010"},
		{1, "0.0 0.2 0.4 0.6 0.8 1.0"},
		{9.9, "0 2 4 6 8"},
		{1023, "0 200 400 600 800 1000"},
	} {
		ticks, decimals := Ticks(test.most)
		var labels []string
		for _, x := range ticks {
			labels = append(labels, fmt.Sprintf("%.*f", decimals, x))
		}
		if got := strings.Join(labels, " "); got != test.want {
			t.Errorf("%g: %s, want %s", test.most, got, test.want)
		}
	}
}
