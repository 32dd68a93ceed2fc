package golang

import (
	"go/format"
	"go/token"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"modelc/ir"
	"modelc/runtime/kernel"
	"modelc/runtime/kernel/plain"
)

// hostile has names that try to break out of a string, a comment or an identifier.
var hostile = []string{
	"", "x", "\"; panic(1); \"", "*/ panic(1) /*", "`+panic(1)+`", "a\nb", "a\r\nimport \"os\"", "func", "日本語", "1st",
	"\x00\xff\xfe", "/etc/passwd", "a//b", strings.Repeat("long ", 1000), "\u2028func init() {}", "import _ \"os\"",
}

func TestHostileNames(t *testing.T) {
	for _, s := range hostile {
		id := identifier(s, "Input")
		if !token.IsIdentifier(id) || !token.IsExported(id) {
			t.Errorf("%q: identifier %q", s, id)
		}
		if p := PackageName(s); checkPackageName(p) != nil {
			t.Errorf("%q: package %q", s, p)
		}
		src := "package p\n\n// " + comment(s) + "\nvar " + id + " = " + quote(s, 1<<10) + "\n"
		if _, err := format.Source([]byte(src)); err != nil {
			t.Errorf("%q: %v\n%s", s, err, src)
		}
		if strings.Count(src, "\n") != 4 {
			t.Errorf("%q made lines of its own:\n%s", s, src)
		}
	}
	if identifier("input_ids:0", "X") != "InputIds0" {
		t.Error(identifier("input_ids:0", "X"))
	}
}

// Functions have the same numbers in both packages. The printer relies on this.
func TestFunctionsCoincide(t *testing.T) {
	for _, c := range []struct {
		a ir.Fn
		b kernel.Fn
	}{{ir.Identity, kernel.ActIdentity}, {ir.Relu, kernel.ActRelu}, {ir.Clip, kernel.ActClip}, {ir.Mish, kernel.ActMish}, {ir.Erf, kernel.ActErf}, {ir.IsInf, kernel.ActIsInf}} {
		if uint8(c.a) != uint8(c.b) {
			t.Errorf("%s is %d and %d", c.a, c.a, c.b)
		}
	}
	if uint8(ir.ShiftRight) != uint8(kernel.BinShiftRight) || uint8(ir.Min) != uint8(kernel.BinMin) || uint8(ir.ReduceLogSumExp) != uint8(plain.RedLogSumExp) {
		t.Error("functions of two variables or reductions differ")
	}
}

func TestLiteral(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{kernel.Ref{Space: kernel.IO + 2, Off: 64, Len: 3}, "kernel.Ref{Space: kernel.IO + 2, Off: 64, Len: 3}"},
		{kernel.Act{Fn: kernel.ActClip, Alpha: float32(math.Inf(-1)), Beta: 6}, "kernel.Act{Fn: kernel.ActClip, Alpha: -kernel.Inf32, Beta: 6}"},
		{plain.StridedCopy[uint32]{Shape: []int{2, 3}}, "plain.StridedCopy[uint32]{Shape: []int{2, 3}}"},
		{plain.Pad[float32]{Index: [][]int32{{-1, 0}, {0}}}, "plain.Pad[float32]{Index: [][]int32{{-1, 0}, {0}}}"},
	} {
		if got := newPrinter(nil).literal(reflect.ValueOf(c.v)); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// The generated benchmark runs once before it measures, because the first run waits for
// weights that are transformed in the background.
func TestBenchmarkWarmsUp(t *testing.T) {
	text, err := os.ReadFile("testdata/classifier/model_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(text), "\nfunc benchmark(")
	before, _, ok := strings.Cut(body, "b.Loop()")
	if !ok || !strings.Contains(before, "s.Run(in, out)") {
		t.Errorf("the benchmark measures the first run:\n%s", body)
	}
}
