package gorun

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"modelc"
	"modelc/frontend/source"
	"modelc/ir"
	"modelc/ir/eval"
)

func compiled(t *testing.T, text string) *modelc.Compiled {
	t.Helper()
	g, err := ir.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	c, err := modelc.CompileModel(&source.Model{Graph: g, Release: func() error { return nil }}, modelc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The packages of a program give the outputs of the reference interpreter, equal
// packages are shared, and a program that was built before opens again.
func TestProgram(t *testing.T) {
	const relu = "input %x : f32[4]\n%y : f32[4] = Unary(%x) fn=Relu\noutput \"y\" %y\n"
	// The indices in the self-test's inputs must be at most 1.
	const gather = "input %x : f32[2,3]\ninput %i : i64[4]\n%y : f32[4,3] = Gather(%x, %i) axis=0\noutput \"y\" %y\n"
	dir := t.TempDir()
	b, err := NewBuilder(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	var list []*modelc.Compiled
	for i, text := range []string{"graph \"one\"\n" + relu, "graph \"two\"\n" + relu, "graph \"three\"\n" + gather} {
		c := compiled(t, text)
		n, err := b.Add(c)
		if err != nil {
			t.Fatal(err)
		}
		if n != i {
			t.Errorf("model %d has number %d", i, n)
		}
		list = append(list, c)
	}
	if b.Packages() != 2 {
		t.Errorf("%d packages, want 2", b.Packages())
	}
	p, err := b.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	in := ir.FromFloat64s(ir.T(ir.Float32, 4), []float64{-1, 0, 1, 2})
	index := [][]*ir.Tensor{{in}, {in}, {ir.FromFloat64s(ir.T(ir.Float32, 2, 3), []float64{1, 2, 3, 4, 5, 6}), ir.FromInt64s(ir.T(ir.Int64, 4), []int64{1, 0, 1, 1})}}
	for i, c := range list {
		want, err := eval.Run(c.Before, index[i])
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Run(t.Context(), i, index[i])
		if err != nil {
			t.Fatal(err)
		}
		if d, err := eval.Compare(got[0], want[0]); err != nil || d.MaxAbs != 0 {
			t.Errorf("model %d: %v %v", i, d, err)
		}
	}
	if _, err := p.Run(t.Context(), 0, index[2]); err == nil {
		t.Error("inputs of another model are accepted")
	}
	ctx, kill := context.WithCancel(t.Context())
	r, err := p.Start(ctx, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(3) {
		in := []*ir.Tensor{index[2][0], ir.FromInt64s(ir.T(ir.Int64, 4), []int64{i % 2, 0, i / 2, 1})}
		got, err := r.Run(in)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := eval.Run(list[2].Before, in); err != nil || !slices.Equal(got[0].Float32s(), want[0].Float32s()) {
			t.Errorf("run %d: %v, want %v, %v", i, got[0], want, err)
		}
	}
	kill()
	for err == nil { // until the process has ended
		_, err = r.Run(index[2])
	}
	if _, again := r.Run(index[2]); again != err || !strings.Contains(err.Error(), "the generated program failed") {
		t.Errorf("a process that was killed: %v, then %v", err, again)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Open(dir, list[0].Graph); err == nil {
		t.Error("a program of two packages is opened as one of one")
	}
	if err := os.RemoveAll(filepath.Join(dir, p.models[2].folder)); err != nil {
		t.Fatal(err)
	}
	p, err = Open(dir, list[0].Graph)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Run(t.Context(), 0, index[0]); err != nil {
		t.Error(err)
	}
}
