package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/golang"
	"modelc/internal/bulk"
	"modelc/internal/classes"
	"modelc/internal/npy"
	"modelc/internal/plaintext"
	"modelc/ir"
	"modelc/runtime/vision"
)

// answer holds the outputs for one file, or the reason why there are none.
type answer struct {
	File    string   `json:"file"`
	Error   string   `json:"error,omitempty"`
	Outputs []output `json:"outputs,omitempty"`

	err error
}

// output is one output of the model. It has the file to which the output was
// written, or the best classes if the output has one score per class.
type output struct {
	Name    string  `json:"name"`
	Type    string  `json:"type"`
	Scores  string  `json:"scores,omitempty"` // the kind of the scores
	Classes []class `json:"classes,omitempty"`
	File    string  `json:"file,omitempty"`
}

type class struct {
	Index int    `json:"index"`
	Name  string `json:"name,omitempty"`
	Score finite `json:"score"`
}

// batchRun runs a model on files.
type batchRun struct {
	*runFlags
	m     *modelc.Compiled
	c     *cobra.Command
	kind  string   // of scores; empty if the outputs have none
	names []string // of classes; may be nil
	stems map[string]string

	preprocess *vision.Preprocess // of pictures; nil if there are none, or the model takes none
	remarked   bool
	failed     int
}

// prepare reads what all files share.
func (b *batchRun) prepare(list []bulk.File) (err error) {
	if b.names, err = b.pictures.names(b.m); err != nil {
		return err
	}
	b.kind, _ = b.m.Scores()
	if b.kind == "" && (b.format == "csv" || b.results != "" && filepath.Ext(b.results) == ".csv") {
		return usageError{fmt.Errorf("CSV has columns for classes, and %s is no classifier with one output: want .jsonl", b.m.Model.Path)}
	}
	b.stems = stems(list)
	pictures := 0
	for _, f := range list {
		if !isTensor(f.Path) {
			pictures++
		}
	}
	if pictures == 0 {
		return nil
	}
	p, err := b.pictures.preprocess(b.c, b.m)
	var usage usageError
	switch {
	case err == nil:
		b.preprocess = &p
	case errors.As(err, &usage) || pictures == len(list):
		return err
	}
	return nil
}

// stems returns the names of the files, without extensions where that leaves them different.
func stems(list []bulk.File) map[string]string {
	count := map[string]int{}
	stem := func(f bulk.File) string { return strings.TrimSuffix(f.Name, filepath.Ext(f.Name)) }
	for _, f := range list {
		count[stem(f)]++
	}
	names := map[string]string{}
	for _, f := range list {
		names[f.Path] = stem(f)
		if count[stem(f)] > 1 {
			names[f.Path] = f.Name
		}
	}
	return names
}

// remark prints, before the first answer in text, how pictures became inputs and what the scores
// are.
func (b *batchRun) remark() {
	t := terminalOf(b.c)
	if b.remarked || t.quiet || b.format != "text" {
		return
	}
	b.remarked = true
	if p := b.preprocess; p != nil {
		fit, levels := golang.Describe(*p)
		guess := ""
		if !b.c.Flags().Changed("preprocess") {
			guess = "; this is a guess, see --preprocess"
			if b.m.ScalesLevels() {
				guess = ", which the model scales" + guess
			}
		}
		t.remark(fmt.Sprintf("modelc: pictures are %s; %s%s", fit, levels, guess))
	}
	if b.kind == modelc.Logit && b.output == "" {
		t.remark("modelc: the scores are logits; --softmax makes probabilities of them")
	}
}

// run runs the model on each file and writes the answers in the order of the files.
func (b *batchRun) run(list []bulk.File) error {
	if err := b.prepare(list); err != nil {
		return err
	}
	all, open := len(list), b.printer
	var done map[string]bool
	if b.results != "" {
		open = func() (s *sink, err error) {
			s, done, err = b.recorder()
			return s, err
		}
	}
	s, err := open()
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(f bulk.File) bool { return done[f.Path] })
	engines, err := newEngines(b.c.Context(), b.engine, b.m, max(1, min(b.jobs, len(list))))
	if err == nil {
		err = b.spread(engines, list, s.write)
	}
	if err := errors.Join(err, s.close()); err != nil {
		return err
	}
	t := terminalOf(b.c)
	if b.results != "" && !t.quiet {
		fmt.Fprintf(b.c.OutOrStdout(), "%s: %d files, %d of them now, %d with errors\n", b.results, all, len(list), b.failed)
	}
	if b.failed > 0 {
		if all > 1 {
			t.fail(fmt.Errorf("%d of %d files failed", b.failed, all))
		}
		return errReported
	}
	return nil
}

// spread lets each engine run files, and prints the answers in the order of the files.
func (b *batchRun) spread(engines []engine, list []bulk.File, print func(answer) error) (err error) {
	type numbered struct {
		i int
		answer
	}
	if len(list) > 1 { // the stages of one file would come in between
		terminalOf(b.c).progress.only = "files"
	}
	ctx, stop := context.WithCancel(b.c.Context())
	answers := make(chan numbered)
	var next atomic.Int64
	var workers sync.WaitGroup
	for _, e := range engines {
		workers.Go(func() {
			defer e.close()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(list) {
					return
				}
				select {
				case answers <- numbered{i, b.one(ctx, e, list[i])}:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	defer func() {
		stop()
		workers.Wait()
	}()
	report := progressOf(b.c)
	early := map[int]answer{} // answers whose predecessors are not done
	for i := range list {
		if len(list) > 1 {
			if err := report("files", i, len(list)); err != nil {
				return err
			}
		}
		for {
			if _, ok := early[i]; ok {
				break
			}
			select {
			case n := <-answers:
				early[n.i] = n.answer
			case <-ctx.Done():
				return errInterrupted
			}
		}
		a := early[i]
		delete(early, i)
		if a.err != nil {
			if ctx.Err() != nil {
				return errInterrupted // killed the work on the file
			}
			b.failed++
		} else {
			b.remark()
		}
		if err := print(a); err != nil {
			return err
		}
	}
	return nil
}

// one runs the model on a file.
func (b *batchRun) one(ctx context.Context, e engine, f bulk.File) answer {
	in, err := b.input(f.Path, b.m.Before.Inputs[0])
	if err != nil {
		return failure(f.Path, err)
	}
	return b.compute(ctx, e, f.Path, b.stems[f.Path], []*ir.Tensor{in})
}

// failure is the answer for a file that cannot be read or run.
func failure(file string, err error) answer {
	return answer{File: file, Error: err.Error(), err: err}
}

// compute runs the model and finds the best classes in its outputs, or writes them to files
// whose names start with stem.
func (b *batchRun) compute(ctx context.Context, e engine, file, stem string, in []*ir.Tensor) answer {
	out, err := e.run(ctx, in)
	if err != nil {
		return failure(file, err)
	}
	a := answer{File: file}
	for i, t := range out {
		o := output{Name: b.m.Before.Outputs[i].Name, Type: t.Type.String()}
		switch {
		case b.output != "":
			o.File = filepath.Join(b.output, fmt.Sprintf("%s.output_%d.npy", filepath.FromSlash(stem), i))
			if err := os.MkdirAll(filepath.Dir(o.File), 0o755); err != nil {
				return failure(file, err)
			}
			if err := npy.Write(o.File, t); err != nil {
				return failure(file, err)
			}
		case classes.AreScores(t.Type):
			o.Scores = b.kind
			for _, c := range vision.Top(t.Float32s(), b.top, b.names) {
				o.Classes = append(o.Classes, class{c.Index, c.Name, finite(c.Score)})
			}
		}
		a.Outputs = append(a.Outputs, o)
	}
	return a
}

// sink takes the answers. After the last one it is closed.
type sink struct {
	write func(answer) error
	close func() error
}

// printer returns the sink that writes to standard output.
func (b *batchRun) printer() (*sink, error) {
	w := b.c.OutOrStdout()
	none := func() error { return nil }
	switch b.format {
	case "text":
		t := terminalOf(b.c)
		return &sink{func(a answer) error {
			if a.err != nil {
				t.fail(a.err)
				return nil
			}
			a.print(w)
			return nil
		}, none}, nil
	case "json":
		list := []answer{} // [] in JSON, not null
		return &sink{func(a answer) error {
			list = append(list, a)
			return nil
		}, func() error { return printJSON(w, list) }}, nil
	}
	records, err := bulk.NewWriter(w, b.records(b.format))
	if err != nil {
		return nil, err
	}
	return &sink{func(a answer) error { return records.Write(b.record(a)) }, none}, nil
}

// recorder returns the sink that writes to the file of --results, and the files that have a
// record there.
func (b *batchRun) recorder() (*sink, map[string]bool, error) {
	format, err := bulk.FormatOf(b.results)
	if err != nil {
		return nil, nil, err
	}
	w, done, err := bulk.Create(b.results, b.records(format), b.resume)
	if err != nil {
		return nil, nil, err
	}
	return &sink{func(a answer) error { return w.Write(b.record(a)) }, w.Close}, done, nil
}

// records returns a format of records.
func (b *batchRun) records(name string) *bulk.Format {
	f := &bulk.Format{Name: name, Header: []string{"file", "error"}}
	for i := range b.top {
		for _, column := range []string{"class", "name", b.kind} {
			f.Header = append(f.Header, fmt.Sprintf("%s_%d", column, i+1))
		}
	}
	return f
}

// record returns the record of an answer.
func (b *batchRun) record(a answer) bulk.Record {
	row := []string{a.File, a.Error}
	for i := range b.top {
		cells := []string{"", "", ""}
		if len(a.Outputs) == 1 && i < len(a.Outputs[0].Classes) {
			c := a.Outputs[0].Classes[i]
			cells = []string{strconv.Itoa(c.Index), c.Name, strconv.FormatFloat(float64(c.Score), 'g', -1, 32)}
		}
		row = append(row, cells...)
	}
	return bulk.Record{JSON: a, Columns: row}
}

// print prints the answer as text.
func (a answer) print(w io.Writer) {
	heading := false
	for _, o := range a.Outputs {
		if o.File != "" {
			fmt.Fprintf(w, "%s: %s %s\n", o.File, o.Name, o.Type)
			continue
		}
		if !heading {
			of := ""
			if o.Scores != "" && o.Scores != modelc.Probability {
				of = ": score (" + o.Scores + ")"
			}
			fmt.Fprintln(w, a.File+of)
			heading = true
		}
		if o.Classes == nil {
			fmt.Fprintf(w, "  %s: %s (write it with --output DIR)\n", o.Name, o.Type)
		}
		for _, c := range o.Classes {
			fmt.Fprintf(w, "  %s\n", vision.Class{Index: c.Index, Name: plaintext.Name(c.Name), Score: float32(c.Score)})
		}
	}
}
