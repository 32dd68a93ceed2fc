package main

import (
	"bytes"
	"maps"
	"testing"
)

const output = `goos: linux
BenchmarkConv/3x3s1_64-64@224-2  	  12	 132 ns/op	 97.2 GFLOP/s	 94.25 %peak	 38073 best-µs
BenchmarkConv/3x3s1_64-64@224-2  	  12	 132 ns/op	 90.2 GFLOP/s	 91 %peak	 38073 best-µs
BenchmarkWinograd/3x3s1_64-64@56_F4/T=14,og=2-2 	 5	 1 ns/op	 200 %peak
BenchmarkWinograd/3x3s1_64-64@56_F4/T=28,og=2-2 	 5	 1 ns/op	 250 %peak
BenchmarkOther-2  	  12	 132 ns/op
PASS
`

func TestParse(t *testing.T) {
	want := map[string]float64{"Conv/3x3s1_64-64@224": 94.25, "Winograd/3x3s1_64-64@56_F4": 250}
	got := parse(output)
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	var file bytes.Buffer
	if err := write(&file, map[string]float64{"Conv/a": 94.2, "Dense/b": 3}); err != nil {
		t.Fatal(err)
	}
	if back, err := read(&file); err != nil || !maps.Equal(back, map[string]float64{"Conv/a": 94.2, "Dense/b": 3}) {
		t.Errorf("%v, %v", back, err)
	}
}
