package inproc

import (
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"modelc/backend/cpu"
	"modelc/internal/choices"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/ir/examples"
)

var numbers = regexp.MustCompile(`-?[0-9]+`)

// changed returns the text of a graph with some of its extents and attributes
// replaced by other numbers, mostly small ones.
func changed(r *rand.Rand, text string) string {
	return numbers.ReplaceAllStringFunc(text, func(n string) string {
		switch r.IntN(16) {
		case 0:
			return strconv.Itoa([]int{0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, -1, -2, 64}[r.IntN(18)])
		case 1:
			x, _ := strconv.Atoi(n)
			return strconv.Itoa(x + []int{-1, 1}[r.IntN(2)])
		}
		return n
	})
}

// small reports whether g is so small that a run takes milliseconds.
func small(g *ir.Graph) bool {
	for v := range g.Values() {
		if v.Type.Shape.Len() > 1<<16 {
			return false
		}
	}
	for _, n := range g.Nodes {
		if ir.FLOPs(n) > 1<<24 {
			return false
		}
	}
	return true
}

// FuzzProgram compiles and runs a graph around each op whose extents and attributes
// the bytes choose, and compares the results with those of the reference interpreter.
func FuzzProgram(f *testing.F) {
	list, err := examples.All()
	if err != nil {
		f.Fatal(err)
	}
	for i := range 256 {
		f.Add([]byte{byte(i), byte(i / 2), 200, byte(3 * i), byte(5 * i)})
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		begin := time.Now()
		defer func() {
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		}()
		r := choices.New(b)
		example := list[(r.IntN(256)<<8|r.IntN(256))%len(list)]
		text := changed(r, example.Text)
		g, err := ir.Parse(text)
		if err != nil || !small(g) {
			return
		}
		if err := ir.Verify(g); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		in := eval.Inputs(g, 1)
		want, err := eval.Run(g, in)
		if err != nil {
			return // an index outside its axis
		}
		p, err := cpu.Build(g, cpu.Config{Exact: r.IntN(2) == 0})
		if err != nil {
			if strings.Contains(err.Error(), "bug") { // the verifier of plans
				t.Fatalf("%v\n%s", err, text)
			}
			return // an op without a kernel for the type
		}
		e, err := New(p, 1+r.IntN(2))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		defer e.Close()
		var first []*ir.Tensor
		for range 2 { // the second run uses an arena that is not zero
			got, err := e.Run(in)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			for i := range got {
				if d, err := eval.Compare(got[i], want[i]); err != nil || finite(want[i]) && !d.Within(1e-4) && !chaotic(t, g, in, want[i], i) {
					t.Fatalf("output %d: %v %v\n%s", i, d, err, text)
				}
				if first != nil && !slices.Equal(first[i].Bytes(), got[i].Bytes()) {
					t.Fatalf("output %d: the second run gives other bits\n%s", i, text)
				}
			}
			first = got
		}
	})
}

// chaotic reports whether g has a recurrence that amplifies rounding: if the inputs differ in
// their last bits, output i of the reference interpreter differs by more than a tenth of the
// tolerance. Large weights and steep activations do this in 64 steps, which round as often.
func chaotic(t *testing.T, g *ir.Graph, in []*ir.Tensor, want *ir.Tensor, i int) bool {
	if !slices.ContainsFunc(g.Nodes, func(n *ir.Node) bool { _, ok := n.Op.(ir.Recurrent); return ok }) {
		return false
	}
	var near []*ir.Tensor
	for _, x := range in {
		if x.DType == ir.Float32 {
			y := ir.NewTensor(x.Type)
			for k, f := range x.Float32s() {
				y.Float32s()[k] = math.Nextafter32(f, 2*f)
			}
			x = y
		}
		near = append(near, x)
	}
	got, err := eval.Run(g, near)
	if err != nil {
		t.Fatal(err)
	}
	d, err := eval.Compare(got[i], want)
	return err == nil && !d.Within(1e-5)
}

// finite reports whether all elements are finite.
func finite(t *ir.Tensor) bool {
	return !slices.ContainsFunc(t.Float64s(), func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
}
