package onnx

import (
	"archive/zip"
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"modelc/frontend/source"
	"modelc/ir"
	"modelc/ir/eval"
)

// conformanceCase is a row of conformance/cases.tsv: a node test of an ONNX
// release with its data.
type conformanceCase struct {
	zip, name string
	class     string
	required  bool
	ops       []string
	kinds     []string // of each input: data, weight, argument or unused
	files     map[string]*zip.File
}

func (c *conformanceCase) String() string { return c.zip + "/" + c.name }

// conformanceCases reads the list, byte-identical cases once.
func conformanceCases(t *testing.T, dir string) []*conformanceCase {
	list, err := os.ReadFile(filepath.Join(dir, "conformance", "cases.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]map[string]*zip.File{} // by case, then by path inside it
	open := map[string]bool{}
	var cases []*conformanceCase
	lines := strings.Split(strings.TrimSpace(string(list)), "\n")
	column := map[string]int{}
	for i, name := range strings.Split(lines[0], "\t") {
		column[name] = i
	}
	for _, line := range lines[1:] {
		f := strings.Split(line, "\t")
		get := func(name string) string { return f[column[name]] }
		if get("same_as") != "-" {
			continue
		}
		z := get("zip")
		if !open[z] {
			open[z] = true
			r, err := zip.OpenReader(filepath.Join(dir, "onnx-node", z+".zip"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close() })
			for _, e := range r.File {
				name, rest, _ := strings.Cut(e.Name, "/")
				key := z + "/" + name
				if files[key] == nil {
					files[key] = map[string]*zip.File{}
				}
				files[key][rest] = e
			}
		}
		c := &conformanceCase{zip: z, name: get("case"), class: get("class"), required: get("required") == "yes",
			ops: strings.Split(get("ops"), ","), kinds: strings.Split(get("in_kinds"), ",")}
		c.files = files[c.String()]
		cases = append(cases, c)
	}
	return cases
}

func (c *conformanceCase) read(name string) ([]byte, error) {
	e := c.files[name]
	if e == nil {
		return nil, fmt.Errorf("%s: %w", name, os.ErrNotExist)
	}
	r, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// tensors reads stem_0.pb, stem_1.pb, … of the first data set.
func (c *conformanceCase) tensors(stem string) ([]*ir.Tensor, error) {
	var list []*ir.Tensor
	for {
		b, err := c.read(fmt.Sprintf("test_data_set_0/%s_%d.pb", stem, len(list)))
		if errors.Is(err, os.ErrNotExist) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		t, _, err := ParseTensor(b)
		if err != nil {
			return nil, fmt.Errorf("%s %d: %w", stem, len(list), err)
		}
		list = append(list, t)
	}
}

// errWrong marks a case that loads but does not give the right answer.
var errWrong = errors.New("wrong answer")

// run loads the model, binds the inputs that are weights or arguments in real
// networks, and compares the outputs: floats within rtol 1e-3 and atol 1e-5,
// others exactly.
func (c *conformanceCase) run() error {
	data, err := c.read("model.onnx")
	if err != nil {
		return err
	}
	in, err := c.tensors("input")
	if err != nil {
		return err
	}
	want, err := c.tensors("output")
	if err != nil {
		return err
	}
	p, err := decodeModel(data)
	if err != nil {
		return err
	}
	opts := source.Options{Bind: map[string]*ir.Tensor{}, Shapes: map[string]ir.Shape{}}
	var names []string
	for _, v := range p.graph.inputs {
		if !slices.ContainsFunc(p.graph.initializers, func(t *tensorProto) bool { return t.name == v.name }) {
			names = append(names, v.name)
		}
	}
	given := map[string]*ir.Tensor{}
	for i, t := range in {
		if i >= len(names) {
			break
		}
		given[names[i]] = t
		opts.Shapes[names[i]] = t.Shape
		// The list calls the shape that CenterCropPad crops to data.
		crop := strings.HasPrefix(c.name, "test_center_crop_pad") && i == 1
		if kind := c.kinds[min(i, len(c.kinds)-1)]; kind == "weight" || kind == "argument" || crop {
			opts.Bind[names[i]] = t
		}
	}
	m, err := Parse(c.String(), data, "", opts)
	if err != nil {
		return err
	}
	defer m.Release()
	var args []*ir.Tensor
	for _, v := range m.Graph.Inputs {
		args = append(args, given[v.Name])
	}
	got, err := eval.Run(m.Graph, args)
	if err != nil {
		return fmt.Errorf("%w: %w", errWrong, err)
	}
	got = eval.Cut(m.Graph, got, want)
	if len(got) != len(want) {
		return fmt.Errorf("%w: %d outputs, want %d", errWrong, len(got), len(want))
	}
	for i := range want {
		if err := agree(got[i], want[i]); err != nil {
			return fmt.Errorf("%w: output %d: %w", errWrong, i, err)
		}
	}
	return nil
}

func agree(got, want *ir.Tensor) error {
	if !got.Type.Equal(want.Type) {
		return fmt.Errorf("got %s, want %s", got.Type, want.Type)
	}
	if !want.DType.IsFloat() {
		if string(got.Bytes()) != string(want.Bytes()) {
			return fmt.Errorf("got %.8v, want %.8v", got.Int64s(), want.Int64s())
		}
		return nil
	}
	g, w := got.Float64s(), want.Float64s()
	for k := range w {
		if g[k] == w[k] || math.IsNaN(g[k]) && math.IsNaN(w[k]) {
			continue
		}
		if d := math.Abs(g[k] - w[k]); !(d <= 1e-5+1e-3*math.Abs(w[k])) {
			return fmt.Errorf("element %d is %g, want %g", k, g[k], w[k])
		}
	}
	return nil
}

// expected reads the list of required cases that do not pass yet: the case,
// then the reason.
func expected(t *testing.T) map[string]string {
	f, err := os.Open(filepath.Join("testdata", "conformance.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list := map[string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if name, why, _ := strings.Cut(s.Text(), " "); name != "" && name != "#" {
			list[name] = strings.TrimSpace(why)
		}
	}
	return list
}

// Every required case passes unless it is listed, and a listed one fails.
// The others may be refused but not answered wrongly.
func TestConformance(t *testing.T) {
	cases := conformanceCases(t, corpus(t))
	listed := expected(t)
	type score struct{ passed, all int }
	var mu sync.Mutex
	required, byOp := map[bool]score{}, map[string]score{}
	t.Run("cases", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				err := c.run()
				passed := err == nil
				mu.Lock()
				defer mu.Unlock()
				add := func(s score) score {
					s.all++
					if passed {
						s.passed++
					}
					return s
				}
				required[c.required] = add(required[c.required])
				if c.required {
					for _, op := range c.ops {
						byOp[op] = add(byOp[op])
					}
				}
				why, known := listed[c.String()]
				switch {
				case known && passed:
					t.Error("passes, but is listed as failing: " + why)
				case known, passed:
				case c.required || errors.Is(err, errWrong):
					t.Error(err)
				}
			})
		}
	})
	if t.Failed() || testing.Verbose() {
		for _, op := range slices.SortedFunc(maps.Keys(byOp), func(a, b string) int {
			return cmp.Or(cmp.Compare(byOp[b].all-byOp[b].passed, byOp[a].all-byOp[a].passed), cmp.Compare(a, b))
		}) {
			t.Logf("%-24s %4d of %4d", op, byOp[op].passed, byOp[op].all)
		}
	}
	t.Logf("required: %d of %d distinct cases; others: %d of %d", required[true].passed, required[true].all, required[false].passed, required[false].all)
}
