package inproc

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"slices"
	"strings"
	"testing"

	"modelc/ir"
	"modelc/runtime/kernel"
)

// constants returns the names of the constants of a type in package kernel, in
// the order of their declaration, without a prefix.
func constants(t *testing.T, file, typ, prefix string) (names []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../runtime/kernel/"+file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		if first, ok := g.Specs[0].(*ast.ValueSpec).Type.(*ast.Ident); !ok || first.Name != typ {
			continue
		}
		for _, s := range g.Specs {
			name, ok := strings.CutPrefix(s.(*ast.ValueSpec).Names[0].Name, prefix)
			if !ok {
				t.Errorf("%s does not start with %s", name, prefix)
			}
			names = append(names, name)
		}
	}
	return names
}

// functions returns the names of the functions of the IR, in their order.
func functions(name func(i int) string) (names []string) {
	for i := range 256 {
		if n := name(i); n != "" && !strings.ContainsAny(n, "(0123456789") {
			names = append(names, n)
		}
	}
	return names
}

// The functions of the IR and of the kernels have the same names and numbers.
// Package cpu converts one to the other, and package golang prints the names.
func TestFunctionNames(t *testing.T) {
	ones, twos := functions(func(i int) string { return ir.Fn(i).String() }), functions(func(i int) string { return ir.BinaryFn(i).String() })
	if got := constants(t, "act.go", "Fn", "Act"); !slices.Equal(got, ones) {
		t.Errorf("functions of one variable: the kernels have %v, the IR %v", got, ones)
	}
	if got := constants(t, "binary.go", "BinaryFn", "Bin"); !slices.Equal(got, twos) {
		t.Errorf("functions of two variables: the kernels have %v, the IR %v", got, twos)
	}
}

// The functions of the IR and of the kernels give the same values in float64, for
// numbers of all magnitudes, NaN and infinities, with all kinds of parameters.
func TestFunctionValues(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	x := []float64{nan, inf, -inf, 0, math.Copysign(0, -1), 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 3, -3, 0.1, -0.1, 6, 7, -7, 88, -88, 1e-30, -1e-30, 1e30, -1e30}
	parameters := []float64{0, 1, -1, 0.2, 0.5, 1.0507, 6, -inf, inf}
	for i := range functions(func(i int) string { return ir.Fn(i).String() }) {
		for _, a := range parameters {
			for _, b := range parameters {
				for _, v := range x {
					want, got := ir.Act{Fn: ir.Fn(i), Alpha: a, Beta: b}.Eval(v), kernel.Eval(kernel.Fn(i), v, a, b)
					if math.Float64bits(got) != math.Float64bits(want) && (got == got || want == want) {
						t.Fatalf("%v(%g) with %g and %g: the kernels compute %g, the IR %g", ir.Fn(i), v, a, b, got, want)
					}
				}
			}
		}
	}
}
