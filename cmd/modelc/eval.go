package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/inproc"
	"modelc/internal/classes"
	"modelc/internal/columns"
	"modelc/internal/dataset"
	"modelc/ir"
)

// evaluation is the accuracy of a model on a set of examples.
type evaluation struct {
	Model    string  `json:"model"`
	Examples int     `json:"examples"`
	Labelled int     `json:"labelled"` // number of examples with labels, of which the percentages are
	Top1     float64 `json:"top1"`
	Top5     float64 `json:"top5"`
	// Rate is the number of examples per second that the model computes. Reading examples
	// is not included.
	Rate      float64    `json:"examples_per_second"`
	Classes   []string   `json:"classes,omitempty"`
	Confusion [][]int    `json:"confusion,omitempty"` // number of examples by label and answer
	Against   *agreement `json:"against,omitempty"`
}

// agreement compares the answers of two models.
type agreement struct {
	Model string  `json:"model"`
	Same  float64 `json:"same_class"` // percentage of all examples
	Top1  float64 `json:"top1"`       // of the other model
}

func evalCommand() *cobra.Command {
	var model modelFlags
	var pictures pictureFlags
	var against string
	var data []string
	var samples, threads int
	var asJSON bool
	c := &cobra.Command{
		Use:   "eval MODEL --data PATH",
		Short: "Measure the accuracy of a classifier on labelled examples",
		Long: `Run a classifier on examples and print the percentage of right answers, the
classes that it confuses, and the number of examples per second.

The examples are a folder with a folder per class, a .csv list of files and labels,
a .npy array of inputs, with labels in NAME_labels.npy beside it, or MNIST's idx
files. Folders are the classes of the model in sorted order, unless their names are
numbers or --labels names the classes.

--against MODEL also runs another model, such as the float model of a quantised one,
and prints the percentage of examples for which both choose the same class.`,
		Args: exactly(1, "one model"),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(data) == 0:
				return usageError{errors.New("--data PATH is missing: a folder of examples, or a file")}
			case samples < 0 || threads < 0:
				return usageError{errors.New("--samples and --threads must be at least 0")}
			}
			o, err := model.options(c)
			if err != nil {
				return err
			}
			var list []*subject
			for _, path := range []string{args[0], against} {
				if path == "" {
					continue
				}
				s, err := newSubject(c, path, o, &pictures, data, samples, threads)
				if err != nil {
					return err
				}
				defer s.close()
				list = append(list, s)
			}
			e, err := evaluate(c, list)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), e)
			}
			return prose(c, e.print)
		},
	}
	model.add(c)
	pictures.add(c, true)
	fl := c.Flags()
	fl.StringArrayVar(&data, "data", nil, "examples: a folder, FILE.npy, FILE.csv or an idx file (`PATH`, repeatable)")
	fl.IntVar(&samples, "samples", 0, "use at most `N` of the examples, evenly spaced; 0 means all")
	fl.IntVar(&threads, "threads", 0, "number `N` of goroutines per run; 0 means one per processor")
	fl.StringVar(&against, "against", "", "compare the answers with those of another `MODEL`")
	jsonFlag(c, &asJSON)
	return c
}

// subject is a classifier with its inputs.
type subject struct {
	path   string
	m      *modelc.Compiled
	engine *inproc.Engine
	set    *dataset.Set
	n      int // number of classes
}

// newSubject compiles a model and opens the examples as its inputs.
func newSubject(c *cobra.Command, path string, o modelc.Options, p *pictureFlags, data []string, samples, threads int) (*subject, error) {
	m, err := modelc.Compile(path, o)
	if err != nil {
		return nil, err
	}
	s := &subject{path: path, m: m}
	if err := s.open(c, p, data, samples, threads); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *subject) open(c *cobra.Command, p *pictureFlags, data []string, samples, threads int) error {
	out := s.m.Before.Outputs[0]
	if !classes.AreScores(out.Value.Type) {
		return fmt.Errorf("%s: output %q is %s; a classifier has one score per class, f32[1,N]", s.path, out.Name, out.Value.Type)
	}
	s.n = out.Value.Type.Shape.Len()
	set, err := p.examples(c, s.m, data...)
	if err != nil {
		return err
	}
	s.set = set.Sample(samples)
	if err := s.set.CheckLabels(s.n); err != nil {
		return err
	}
	s.engine, err = inproc.New(s.m.Program, threads)
	return err
}

func (s *subject) close() {
	if s.engine != nil {
		s.engine.Close()
	}
	s.m.Close()
}

// scores runs the classifier on example i.
func (s *subject) scores(i int) ([]float32, time.Duration, error) {
	in, err := s.set.Input(i)
	if err != nil {
		return nil, 0, err
	}
	start := time.Now()
	out, err := s.engine.Run([]*ir.Tensor{in})
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", s.set.Name(i), err)
	}
	return out[0].Float32s(), time.Since(start), nil
}

// evaluate runs the first classifier, and compares it with the second, if there is one.
func evaluate(c *cobra.Command, list []*subject) (*evaluation, error) {
	report := progressOf(c)
	first := list[0]
	e := &evaluation{Model: first.path, Examples: first.set.Len(), Classes: first.set.Classes}
	tallies := []*classes.Tally{}
	for _, s := range list {
		if s.n != first.n {
			return nil, fmt.Errorf("%s scores %d classes, %s scores %d", first.path, first.n, s.path, s.n)
		}
		tallies = append(tallies, classes.NewTally(s.n))
	}
	same := 0
	var busy time.Duration
	for i := range e.Examples {
		if err := report("accuracy", i, e.Examples); err != nil {
			return nil, err
		}
		best := make([]int, len(list))
		for k, s := range list {
			y, d, err := s.scores(i)
			if err != nil {
				return nil, err
			}
			if k == 0 {
				busy += d
			}
			best[k] = classes.Best(y)
			if label := s.set.Label(i); label >= 0 {
				tallies[k].Add(y, label)
			}
		}
		if best[0] == best[len(best)-1] {
			same++
		}
	}
	t := tallies[0]
	if e.Labelled = t.Examples; e.Labelled > 0 {
		e.Top1, e.Top5, e.Confusion = t.Percent(t.Top1), t.Percent(t.Top5), t.Confusion
	}
	e.Rate = float64(e.Examples) / max(busy.Seconds(), 1e-9)
	if len(list) > 1 {
		other := tallies[1]
		e.Against = &agreement{list[1].path, 100 * float64(same) / float64(e.Examples), other.Percent(other.Top1)}
	}
	return e, nil
}

func (e *evaluation) print(w io.Writer) error {
	fmt.Fprintf(w, "%s: %d examples, %.0f examples/s\n", e.Model, e.Examples, e.Rate)
	if e.Labelled > 0 {
		of := ""
		if e.Labelled < e.Examples {
			of = fmt.Sprintf(" of the %d examples with labels", e.Labelled)
		}
		fmt.Fprintf(w, "  top-1 %.2f %%, top-5 %.2f %%%s\n", e.Top1, e.Top5, of)
	}
	if a := e.Against; a != nil {
		fmt.Fprintf(w, "  same class as %s for %.2f %%", a.Model, a.Same)
		if e.Labelled > 0 {
			fmt.Fprintf(w, ", which has top-1 %.2f %%", a.Top1)
		}
		fmt.Fprintln(w)
	}
	if e.Labelled == 0 {
		return nil
	}
	return e.printConfusion(w)
}

// name returns the name of a class.
func (e *evaluation) name(i int) string {
	if i < len(e.Classes) {
		return e.Classes[i]
	}
	return strconv.Itoa(i)
}

// printConfusion prints the matrix of labels and answers if it is small, otherwise the most
// frequent confusions.
func (e *evaluation) printConfusion(out io.Writer) error {
	const mostColumns, mostPairs = 20, 10
	if len(e.Confusion) <= mostColumns {
		fmt.Fprintln(out, "number of examples by label (rows) and answer (columns):")
	}
	if len(e.Confusion) <= mostColumns {
		heading := []string{"label"}
		for i := range e.Confusion {
			heading = append(heading, e.name(i))
		}
		t := columns.New("l"+strings.Repeat("r", len(e.Confusion)), heading...)
		for i, row := range e.Confusion {
			cells := []string{e.name(i)}
			for _, n := range row {
				cell := "·"
				if n > 0 {
					cell = strconv.Itoa(n)
				}
				cells = append(cells, cell)
			}
			t.Row(cells...)
		}
		return t.Print(out, "  ")
	}
	type pair struct{ label, answer, n int }
	var pairs []pair
	for i, row := range e.Confusion {
		for k, n := range row {
			if i != k && n > 0 {
				pairs = append(pairs, pair{i, k, n})
			}
		}
	}
	if len(pairs) == 0 {
		return nil
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(b.n, a.n) })
	t := columns.New("rll", "examples", "label", "answer")
	for _, p := range pairs[:min(len(pairs), mostPairs)] {
		t.Row(strconv.Itoa(p.n), e.name(p.label), e.name(p.answer))
	}
	return t.Print(out, "  ")
}
