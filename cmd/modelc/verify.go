package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/plan"
	"modelc/internal/columns"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/runtime/kernel"
)

func verifyCommand() *cobra.Command {
	var f modelFlags
	var data, engineName string
	var tol float64
	var layers, asJSON bool
	c := &cobra.Command{
		Use:   "verify MODEL [--data DIR]",
		Short: "Compare a compiled model with stored or reference outputs",
		Long: `Run a compiled model on the stored inputs in DIR and compare its outputs with the
stored ones. The files are input_0, output_0 and so on, as .npy or .pb, in DIR or
in folders below it. Without --data, compare the model with the reference
interpreter on seeded inputs. The exit status is 1 if the error of an output
exceeds the tolerance.

An output that the model quantises may differ by one step of its scale. Of the
boxes of a NonMaxSuppression, only the selected ones are compared.

If an output differs from the stored one by more than the tolerance, both are
compared with the reference interpreter, which computes sums in float64. The
output passes if the error of the stored output is within the tolerance and its
own error is at most twice as large.`,
		Args: exactly(1, "one model"),
		RunE: func(c *cobra.Command, args []string) error {
			o, err := f.options(c)
			if err != nil {
				return err
			}
			chosen := c.Flags().Changed("tol")
			switch {
			case tol < 0:
				return usageError{fmt.Errorf("--tol %g: want E ≥ 0", tol)}
			case chosen:
			case f.exact:
				tol = 2e-6
			case o.Compute == kernel.BF16:
				tol = bfloatTolerance
			}
			sets := []string{""}
			if data != "" {
				if sets, err = dataSets(data); err != nil {
					return err
				}
			}
			t := terminalOf(c)
			v := verifier{engine: engineName, tol: tol, halfTol: halfTolerance, layers: layers, out: c.OutOrStdout(),
				paint: func(col colour, text string) string { return t.paint(t.out, col, text) }}
			if asJSON {
				v.out = io.Discard
			}
			if chosen {
				v.halfTol = tol
			}
			for _, set := range sets {
				if err := v.verify(c.Context(), args[0], set, o); err != nil {
					return err
				}
			}
			if asJSON {
				if err := printJSON(c.OutOrStdout(), v.verdicts); err != nil {
					return err
				}
			}
			if v.failed {
				return errReported
			}
			return nil
		},
	}
	f.add(c)
	fl := c.Flags()
	fl.StringVar(&data, "data", "", "folder `DIR` of inputs and expected outputs")
	engineFlag(c, &engineName)
	fl.Float64Var(&tol, "tol", 1e-4, "largest error `E`, relative to the largest output; the default with --exact is 2e-6, with --compute bf16 5e-2, and 5e-3 for stored outputs of models in half precision")
	fl.BoolVar(&layers, "layers", false, "compare every intermediate value and name the first that differs")
	jsonFlag(c, &asJSON)
	return c
}

// dataSets returns dir if it holds an input_0 or output_0. Otherwise it returns the
// folders below dir that do, in order.
func dataSets(dir string) ([]string, error) {
	if _, ok := dataFile(dir, "input", 0); ok {
		return []string{dir}, nil
	}
	if _, ok := dataFile(dir, "output", 0); ok {
		return []string{dir}, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var sets []string
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if deeper, err := dataSets(filepath.Join(dir, e.Name())); err == nil {
			sets = append(sets, deeper...)
		}
	}
	if len(sets) == 0 {
		return nil, fmt.Errorf("neither %s nor a folder in it holds input_0.npy or input_0.pb", dir)
	}
	return sets, nil
}

// dataFile returns the path of tensor i of a kind, input or output.
func dataFile(dir, kind string, i int) (string, bool) {
	for _, ext := range []string{"npy", "pb"} {
		p := filepath.Join(dir, fmt.Sprintf("%s_%d.%s", kind, i, ext))
		if _, err := os.Stat(p); err == nil {
			return p, true
		}
	}
	return "", false
}

// readAll reads all tensors of a kind.
func readAll(dir, kind string) ([]*ir.Tensor, error) {
	var list []*ir.Tensor
	for i := 0; ; i++ {
		p, ok := dataFile(dir, kind, i)
		if !ok {
			return list, nil
		}
		t, err := readTensor(p)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
}

// bfloatTolerance is the default tolerance of models whose convolutions compute on
// bfloat16. Each layer rounds to 8 bits, and the errors of many layers add up.
const bfloatTolerance = 5e-2

// halfTolerance is the default tolerance for stored outputs of models in half
// precision. modelc computes in float32. The engine that stored the outputs rounded
// the result of each layer to 11 bits, which changes the outputs of a deep network
// by about this much.
const halfTolerance = 5e-3

type verifier struct {
	engine  string
	tol     float64 // allowed difference, relative to the largest output
	halfTol float64 // the same for stored outputs of models in half precision
	layers  bool
	out     io.Writer
	paint   func(c colour, text string) string // nil for plain text

	verdicts []*verdict
	failed   bool    // whether any comparison failed
	worst    float64 // largest relative difference of an output
}

// verdict is the result of one comparison.
type verdict struct {
	Model   string         `json:"model"`
	Against string         `json:"against"`
	Engine  string         `json:"engine"`
	OK      bool           `json:"ok"`
	Layers  *layersVerdict `json:"layers,omitempty"`
	Outputs []difference   `json:"outputs"`
}

// difference is the error of an output.
type difference struct {
	Name      string        `json:"name"`
	Type      string        `json:"type"`
	MaxAbs    finite        `json:"max_abs"` // null in JSON if it is infinite
	Relative  finite        `json:"relative"`
	Tolerance finite        `json:"tolerance"`
	OK        bool          `json:"ok"`
	Arbiter   *offReference `json:"reference,omitempty"` // set if the difference to a stored output exceeds the tolerance
}

// offReference has the relative errors of a stored output and of the computed one,
// compared with the reference interpreter's.
type offReference struct {
	Expected finite `json:"expected"`
	Got      finite `json:"got"`
}

// decides reports whether rounding explains that the outputs differ by more than
// tol. In a network that amplifies rounding, the stored output has an error too. The
// computed output may have twice that error. PyTorch's tests of its compiler use the
// same rule.
func (e *offReference) decides(tol float64) bool {
	return float64(e.Expected) <= tol && e.Got <= 2*e.Expected
}

func (e *offReference) String() string {
	return fmt.Sprintf("compared with the reference interpreter, the expected output has error %.1e, this one %.1e", float64(e.Expected), float64(e.Got))
}

// layersVerdict is the error of the intermediate values.
type layersVerdict struct {
	Compared int    `json:"compared"`
	Worst    finite `json:"worst"`           // relative difference
	First    string `json:"first,omitempty"` // first layer that differs by more than the tolerance
}

// comparison is a compiled model with inputs and expected outputs.
type comparison struct {
	*modelc.Compiled
	path, set string
	in, want  []*ir.Tensor
	reference []*ir.Tensor // outputs of the reference interpreter; nil until they are needed
}

// verify compares one model on one set of data, or on seeded inputs if set is
// empty.
func (v *verifier) verify(ctx context.Context, path, set string, o modelc.Options) error {
	c, err := load(path, set, o)
	if err != nil {
		return err
	}
	defer c.Close()
	var layers *layersVerdict
	var line string
	if v.layers {
		if layers, line, err = v.compareLayers(c.Compiled, c.in); err != nil {
			return err
		}
	}
	e, err := newEngine(ctx, v.engine, c.Compiled)
	if err != nil {
		return err
	}
	defer e.close()
	got, err := e.run(ctx, c.in)
	if err != nil {
		return err
	}
	if err := v.report(c, got); err != nil {
		return err
	}
	if layers != nil {
		v.printf("  %s\n", line)
		last := v.verdicts[len(v.verdicts)-1]
		last.Layers = layers
		last.OK = last.OK && layers.First == ""
	}
	return nil
}

// load compiles the model at path for the inputs of a set of data.
func load(path, set string, o modelc.Options) (_ *comparison, err error) {
	c := &comparison{path: path, set: set}
	if set != "" {
		if c.in, err = readAll(set, "input"); err != nil {
			return nil, err
		}
		if c.want, err = readAll(set, "output"); err != nil {
			return nil, err
		}
		for _, t := range c.in {
			o.Source.InputShapes = append(o.Source.InputShapes, t.Shape)
		}
	}
	if c.Compiled, err = modelc.Compile(path, o); err != nil {
		return nil, err
	}
	if err := c.prepare(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// prepare converts the stored inputs to the types of the model. Without stored
// data, it makes inputs and computes the expected outputs.
func (c *comparison) prepare() (err error) {
	g := c.Before
	if c.set == "" {
		c.in = eval.Inputs(g, 1)
		c.want, err = c.Reference(c.in)
		return err
	}
	if len(c.in) != len(g.Inputs) {
		return fmt.Errorf("%s: %d inputs for a model with %d", c.set, len(c.in), len(g.Inputs))
	}
	for i := range c.in {
		if c.in[i], err = fit(c.in[i], g.Inputs[i].Type); err != nil {
			return fmt.Errorf("%s: input %q: %w", c.set, g.Inputs[i].Name, err)
		}
	}
	return nil
}

// report compares the outputs of an engine with the expected ones.
func (v *verifier) report(c *comparison, got []*ir.Tensor) error {
	against := "the reference interpreter"
	if c.set != "" {
		against = c.set
	}
	v.printf("%s against %s, engine %s\n", c.path, against, v.engine)
	r := &verdict{Model: c.path, Against: against, Engine: v.engine, OK: true}
	v.verdicts = append(v.verdicts, r)
	if got = eval.Cut(c.Before, got, c.want); len(got) != len(c.want) {
		return fmt.Errorf("%s: %d outputs for a model with %d", c.set, len(c.want), len(got))
	}
	for i, o := range c.Before.Outputs[:len(got)] {
		w, err := fit(c.want[i], got[i].Type)
		if err != nil {
			return fmt.Errorf("%s: output %q: %w", c.set, o.Name, err)
		}
		d, err := eval.Compare(got[i], w)
		if err != nil {
			return err
		}
		tol := v.tol
		switch d := c.want[i].DType; {
		case c.set != "" && (c.Model.Half || d == ir.Float16 || d == ir.BFloat16):
			tol = v.halfTol
		case !d.IsFloat():
			tol = 0
		}
		v.worst = max(v.worst, d.Rel)
		ok, word := d.Agrees(tol, eval.Step(o.Value)), v.colour(good, "ok")
		var arbiter *offReference
		if !ok && c.set != "" && w.DType.IsFloat() {
			if arbiter, err = c.arbiter(i, w, got[i]); err != nil {
				return err
			}
			if ok = arbiter.decides(tol); ok {
				word += ": " + arbiter.String()
			}
		}
		if !ok {
			reason := fmt.Sprintf("FAILED: exceeds %g", tol)
			if arbiter != nil {
				reason += "; " + arbiter.String()
			}
			word = v.colour(bad, reason)
			r.OK, v.failed = false, true
		}
		r.Outputs = append(r.Outputs, difference{o.Name, w.Type.String(), finite(d.MaxAbs), finite(d.Rel), finite(tol), ok, arbiter})
		v.printf("  %s %s: %s: %s\n", o.Name, w.Type, d, word)
	}
	return nil
}

// arbiter compares the expected output i and the computed one with the reference
// interpreter's.
func (c *comparison) arbiter(i int, want, got *ir.Tensor) (*offReference, error) {
	if c.reference == nil {
		ref, err := c.Reference(c.in)
		if err != nil {
			return nil, err
		}
		c.reference = eval.Cut(c.Before, ref, c.want)
	}
	ref := c.reference[i]
	expected, err := eval.Compare(want, ref)
	if err != nil {
		return nil, err
	}
	computed, err := eval.Compare(got, ref)
	return &offReference{finite(expected.Rel), finite(computed.Rel)}, err
}

func (v *verifier) colour(c colour, text string) string {
	if v.paint == nil {
		return text
	}
	return v.paint(c, text)
}

// compareLayers compares every layer with the reference interpreter on the
// optimised graph, and finds the first that differs. line describes the result.
func (v *verifier) compareLayers(c *modelc.Compiled, in []*ir.Tensor) (_ *layersVerdict, line string, _ error) {
	n, worst := 0, eval.Diff{}
	first := ""
	if err := c.CompareLayers(in, func(l plan.Layer, d eval.Diff, err error) {
		n++
		if err != nil || !d.Within(v.tol) && first == "" {
			first = fmt.Sprintf("%s (%s): %v", l.Name, l.Doc, d)
		}
		if d.Rel > worst.Rel {
			worst = d
		}
	}); err != nil {
		return nil, "", err
	}
	line = fmt.Sprintf("%d layers agree, the worst: %s", n, worst)
	if first != "" {
		v.failed = true
		line = "first layer that differs: " + v.colour(bad, first)
	}
	return &layersVerdict{n, finite(worst.Rel), first}, line, nil
}

// printf prints lines that fit a terminal.
func (v *verifier) printf(format string, args ...any) {
	fmt.Fprint(v.out, columns.Text(v.out, fmt.Sprintf(format, args...)))
}
