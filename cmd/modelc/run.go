package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/internal/bulk"
	"modelc/internal/files"
	"modelc/ir"
	"modelc/runtime/vision"
)

// runFlags select the files, the engine and the output.
type runFlags struct {
	pictures        pictureFlags
	inputs          []string // NAME=FILE
	engine, output  string
	top, jobs       int
	asJSON, resume  bool
	format, results string
}

func runCommand() *cobra.Command {
	var f modelFlags
	var r runFlags
	c := &cobra.Command{
		Use:   "run MODEL FILE|FOLDER|PATTERN|- …",
		Short: "Run a model on images or tensors",
		Long: `Run a model on images (PNG, JPEG) or stored tensors (.npy, .pb). modelc compiles the
model to a Go package, builds it with the Go toolchain and caches the build. If an
output has one score per class, the best classes are printed.

A folder stands for all images and tensors in it and in its folders, a quoted pattern
such as 'photos/*.jpg' for the files that match, and - for the names in the lines of
standard input. A file that cannot be read or run does not end the run: its error is
printed, or is in its record, and the exit status is 1 at the end.

--results FILE.jsonl or FILE.csv writes a record for each file as soon as it is done.
--resume continues such a file: it keeps the records without an error, and runs the
other files. --format writes records to standard output.

A model with several inputs takes one file for each: --input NAME=FILE.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 && (len(args) < 1 || len(r.inputs) == 0) {
				return usageError{fmt.Errorf("want a model and at least one image or tensor")}
			}
			if len(args) > 1 && len(r.inputs) > 0 {
				return usageError{fmt.Errorf("--input names the files of the inputs; there is no place for %q", args[1:])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := r.check(); err != nil {
				return err
			}
			o, err := f.options(c)
			if err != nil {
				return err
			}
			named, err := r.named(&o)
			if err != nil {
				return err
			}
			list, err := bulk.Files(c.InOrStdin(), args[1:]...)
			if err != nil {
				return err
			}
			if t := firstTensor(list); t != nil {
				o.Source.InputShapes = append(o.Source.InputShapes, t.Shape)
			}
			m, err := modelc.Compile(args[0], o)
			if err != nil {
				return err
			}
			defer m.Close()
			b := &batchRun{runFlags: &r, m: m, c: c}
			if named == nil {
				if n := len(m.Before.Inputs); n != 1 {
					return fmt.Errorf("%s has %d inputs: name a file for each with --input NAME=FILE: %s", args[0], n, inputNames(m.Before))
				}
				return b.run(list)
			}
			return b.runNamed(named)
		},
	}
	f.add(c)
	r.pictures.add(c, true)
	fl := c.Flags()
	engineFlag(c, &r.engine)
	fl.StringArrayVar(&r.inputs, "input", nil, "the file of an input: `NAME=FILE` (repeatable)")
	fl.IntVar(&r.top, "top", 5, "number `N` of classes to print")
	fl.StringVar(&r.output, "output", "", "write the outputs as .npy files to the folder `DIR` instead of printing them")
	fl.StringVar(&r.format, "format", "text", "`FORMAT` of standard output: text, json, jsonl or csv")
	fl.StringVar(&r.results, "results", "", "write a record for each file to `FILE`, .jsonl or .csv")
	fl.BoolVar(&r.resume, "resume", false, "continue the records of --results")
	fl.IntVar(&r.jobs, "jobs", 1, "run `N` files at a time; they share the processors")
	fl.BoolVar(&r.asJSON, "json", false, "print JSON; the same as --format json")
	return c
}

// check returns an error if the flags contradict each other.
func (r *runFlags) check() error {
	if r.asJSON {
		r.format = "json"
	}
	switch {
	case r.top < 1:
		return usageError{fmt.Errorf("--top must be at least 1")}
	case r.jobs < 1:
		return usageError{fmt.Errorf("--jobs must be at least 1")}
	case !slices.Contains([]string{"text", "json", "jsonl", "csv"}, r.format):
		return usageError{fmt.Errorf("--format %q: want text, json, jsonl or csv", r.format)}
	case r.resume && r.results == "":
		return usageError{fmt.Errorf("--resume needs --results FILE: the records to continue")}
	}
	if r.results != "" {
		if _, err := bulk.FormatOf(r.results); err != nil {
			return usageError{fmt.Errorf("--results %w", err)}
		}
	}
	return nil
}

// firstTensor returns the first tensor if all files are tensors, or nil. Its shape binds the
// model's open dimensions. Pictures leave them open, because each is a batch of one.
func firstTensor(list []bulk.File) (first *ir.Tensor) {
	for _, f := range list {
		if !isTensor(f.Path) {
			return nil
		}
		if first == nil {
			first, _ = readTensor(f.Path) // its record has the error
		}
	}
	return first
}

func isTensor(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	return ext == ".npy" || ext == ".pb"
}

// named returns the files of --input by the name of the input, or nil. Tensors give the
// inputs their shapes.
func (r *runFlags) named(o *modelc.Options) (map[string]string, error) {
	var list map[string]string
	for _, s := range r.inputs {
		name, path, ok := cut(s)
		if !ok {
			return nil, usageError{fmt.Errorf("--input %q: want NAME=FILE", s)}
		}
		if list == nil {
			list = map[string]string{}
		}
		list[name] = path
		if isTensor(path) {
			t, err := readTensor(path)
			if err != nil {
				return nil, err
			}
			o.Source.Shapes[name] = t.Shape
		}
	}
	return list, nil
}

func inputNames(g *ir.Graph) string {
	var names []string
	for _, v := range g.Inputs {
		names = append(names, v.Name)
	}
	return strings.Join(names, ", ")
}

// runNamed runs the model on the files of its inputs.
func (b *batchRun) runNamed(files map[string]string) error {
	g := b.m.Before
	var in []*ir.Tensor
	var missing []string
	for _, v := range g.Inputs {
		path, ok := files[v.Name]
		if !ok {
			missing = append(missing, v.Name)
			continue
		}
		delete(files, v.Name)
		t, err := b.input(path, v)
		if err != nil {
			return err
		}
		in = append(in, t)
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s: no file for the inputs %s: name them with --input NAME=FILE", b.m.Model.Path, strings.Join(missing, ", "))
	}
	for name := range files {
		return fmt.Errorf("%s has no input %q; it has %s", b.m.Model.Path, name, inputNames(g))
	}
	if err := b.prepare(nil); err != nil {
		return err
	}
	s, err := b.printer()
	if err != nil {
		return err
	}
	if b.results != "" {
		return usageError{errors.New("--results is for many files; --input names one for each input")}
	}
	e, err := newEngine(b.c.Context(), b.engine, b.m)
	if err != nil {
		return err
	}
	defer e.close()
	a := b.compute(b.c.Context(), e, strings.Join(b.inputs, " "), "model", in)
	if a.err != nil {
		return a.err
	}
	b.remark()
	return errors.Join(s.write(a), s.close())
}

// input reads a file as an input.
func (b *batchRun) input(file string, v *ir.Value) (*ir.Tensor, error) {
	if isTensor(file) {
		t, err := readTensor(file)
		if err != nil {
			return nil, err
		}
		if t, err = fit(t, v.Type); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return t, nil
	}
	p := b.preprocess
	if p == nil { // an input of several, or none for pictures
		q, err := b.pictures.preprocess(b.c, b.m)
		if err != nil {
			return nil, err
		}
		p = &q
	}
	if err := files.Check(file); err != nil {
		return nil, err
	}
	img, err := vision.Open(file)
	if err != nil {
		return nil, err
	}
	t := ir.NewTensor(v.Type)
	return t, p.Apply(t.Float32s(), img)
}
