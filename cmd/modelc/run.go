package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/internal/classes"
	"modelc/internal/files"
	"modelc/internal/npy"
	"modelc/internal/plaintext"
	"modelc/ir"
	"modelc/runtime/vision"
)

// runFlags select the engine and the output.
type runFlags struct {
	pictures       pictureFlags
	engine, output string
	top            int
	asJSON         bool
}

// answer holds the outputs for one file.
type answer struct {
	File    string   `json:"file"`
	Outputs []output `json:"outputs"`
}

// output is one output of the model. It has the file to which the output was
// written, or the best classes if the output has one score per class.
type output struct {
	Name    string  `json:"name"`
	Type    string  `json:"type"`
	Classes []class `json:"classes,omitempty"`
	File    string  `json:"file,omitempty"`
}

type class struct {
	Index int    `json:"index"`
	Name  string `json:"name,omitempty"`
	Score finite `json:"score"`
}

func runCommand() *cobra.Command {
	var f modelFlags
	var r runFlags
	c := &cobra.Command{
		Use:   "run MODEL IMAGE|FILE.npy|FILE.pb …",
		Short: "Run a model on images or tensors",
		Long: `Run a model on images (PNG, JPEG) or stored tensors. modelc compiles the model to a
Go package, builds it with the Go toolchain and caches the build. If an output has
one score per class, the best classes are printed.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usageError{fmt.Errorf("want a model and at least one image or tensor")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if r.top < 1 {
				return usageError{fmt.Errorf("--top must be at least 1")}
			}
			o, err := f.options(c)
			if err != nil {
				return err
			}
			files := args[1:]
			if t, err := firstTensor(files); err != nil {
				return err
			} else if t != nil {
				o.Source.InputShapes = append(o.Source.InputShapes, t.Shape)
			}
			m, err := modelc.Compile(args[0], o)
			if err != nil {
				return err
			}
			defer m.Close()
			if n := len(m.Before.Inputs); n != 1 {
				return fmt.Errorf("%s has %d inputs; `modelc verify --data` runs models with several", args[0], n)
			}
			names, err := r.pictures.names(m)
			if err != nil {
				return err
			}
			e, err := newEngine(c.Context(), r.engine, m)
			if err != nil {
				return err
			}
			var answers []answer
			for _, file := range files {
				in, err := r.input(c, file, m)
				if err != nil {
					return err
				}
				out, err := e.run(c.Context(), []*ir.Tensor{in})
				if err != nil {
					return err
				}
				a, err := r.answer(file, m.Before, out, names)
				if err != nil {
					return err
				}
				if r.asJSON {
					answers = append(answers, a)
				} else {
					a.print(c.OutOrStdout())
				}
			}
			if r.asJSON {
				return printJSON(c.OutOrStdout(), answers)
			}
			return nil
		},
	}
	f.add(c)
	r.pictures.add(c, "unit")
	fl := c.Flags()
	engineFlag(c, &r.engine)
	fl.IntVar(&r.top, "top", 5, "number `N` of classes to print")
	fl.StringVar(&r.output, "output", "", "write the outputs as .npy files to the folder `DIR` instead of printing them")
	jsonFlag(c, &r.asJSON)
	return c
}

// firstTensor returns the first file if it is a tensor, or nil. Its shape binds
// the model's open dimensions.
func firstTensor(files []string) (*ir.Tensor, error) {
	switch strings.ToLower(filepath.Ext(files[0])) {
	case ".npy", ".pb":
		return readTensor(files[0])
	}
	return nil, nil
}

// input reads a file as the model's input.
func (r *runFlags) input(c *cobra.Command, file string, m *modelc.Compiled) (*ir.Tensor, error) {
	v := m.Before.Inputs[0]
	switch strings.ToLower(filepath.Ext(file)) {
	case ".npy", ".pb":
		t, err := readTensor(file)
		if err != nil {
			return nil, err
		}
		if t, err = fit(t, v.Type); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return t, nil
	}
	p, err := r.pictures.preprocess(c, m)
	if err != nil {
		return nil, err
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

// answer finds the best classes in the outputs of a file, or writes the outputs.
func (r *runFlags) answer(file string, g *ir.Graph, out []*ir.Tensor, names []string) (answer, error) {
	a := answer{File: file}
	if r.output != "" {
		if err := os.MkdirAll(r.output, 0o755); err != nil {
			return a, err
		}
	}
	base := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	for i, t := range out {
		o := output{Name: g.Outputs[i].Name, Type: t.Type.String()}
		switch {
		case r.output != "":
			o.File = filepath.Join(r.output, fmt.Sprintf("%s.output_%d.npy", base, i))
			if err := npy.Write(o.File, t); err != nil {
				return a, err
			}
		case classes.AreScores(t.Type):
			for _, c := range vision.Top(t.Float32s(), r.top, names) {
				o.Classes = append(o.Classes, class{c.Index, c.Name, finite(c.Score)})
			}
		}
		a.Outputs = append(a.Outputs, o)
	}
	return a, nil
}

func (a answer) print(w io.Writer) {
	heading := false
	for _, o := range a.Outputs {
		if o.File != "" {
			fmt.Fprintf(w, "%s: %s %s\n", o.File, o.Name, o.Type)
			continue
		}
		if !heading {
			fmt.Fprintln(w, a.File)
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
