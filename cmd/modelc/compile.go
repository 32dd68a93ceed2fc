package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"modelc"
)

// packageFlags are the flags that shape a package. modelc.json has keys of
// their names, and the headers of packages record them.
type packageFlags struct {
	model        modelFlags
	pictures     pictureFlags
	weights      weightsFlag
	output, name string
	runtime      string
	standalone   bool
}

func (f *packageFlags) add(c *cobra.Command) {
	f.model.several = true
	f.model.add(c)
	f.pictures.add(c, "")
	f.weights.add(c)
	fl := c.Flags()
	fl.StringVarP(&f.output, "output", "o", "", "folder of the package `DIR`")
	fl.StringVar(&f.name, "package", "", "`NAME` of the package; default: that of the package in the folder, or from the folder's name")
	fl.BoolVar(&f.standalone, "standalone", false, "copy what the package uses of the runtime beside it, so that it needs no other module")
	fl.StringVar(&f.runtime, "runtime", "", "copy the runtime to the folder `DIR`, which several packages may share")
}

// compile compiles a model as the flags say and returns what its package is to
// look like. The caller closes the model.
func (f *packageFlags) compile(c *cobra.Command, model string) (*modelc.Compiled, modelc.PackageOptions, error) {
	p := modelc.PackageOptions{Package: f.name, Standalone: f.standalone, SharedRuntime: f.runtime}
	if err := f.weights.parse(); err != nil {
		return nil, p, err
	}
	p.Sidecar = f.weights.sidecar
	if f.standalone && f.runtime != "" {
		return nil, p, usageError{errors.New("--standalone is for a runtime of the package's own, --runtime for a shared one: choose one of them")}
	}
	o, err := f.model.options(c)
	if err != nil {
		return nil, p, err
	}
	o.Weights = f.weights.format
	o.Flags = append(o.Flags, f.weights.recorded()...)
	if f.standalone {
		o.Flags = append(o.Flags, "--standalone")
	}
	if f.runtime != "" {
		o.Flags = append(o.Flags, "--runtime", withoutFolder("runtime", f.runtime))
	}
	recorded := f.pictures.recorded(c)
	if len(recorded) > 0 && f.pictures.mode == "" {
		return nil, p, usageError{fmt.Errorf("%s is for pictures: add --preprocess MODE", recorded[0])}
	}
	o.Flags = append(o.Flags, recorded...)
	m, err := modelc.Compile(model, o)
	if err != nil {
		return nil, p, err
	}
	if f.pictures.mode != "" {
		pre, err := f.pictures.preprocess(c, m)
		if err == nil {
			p.Preprocess = &pre
			p.Labels, err = f.pictures.names(m)
		}
		if err != nil {
			return nil, p, errors.Join(err, m.Close())
		}
	}
	return m, p, nil
}

func compileCommand() *cobra.Command {
	var f packageFlags
	var asJSON bool
	var file string
	c := &cobra.Command{
		Use:   "compile [MODEL -o DIR]",
		Short: "Write the Go package of a model",
		Long: `Write the Go package of a model. With --preprocess its sessions take
pictures too, Predict(image.Image) ([]Class, error), whose classes have the
names that --labels gives.

Without a model, all those that ` + listFile + ` in this folder names are compiled, or
those of the file behind -f. It is a list of models; its keys are the flags:

  [
    {"model": "digits.onnx", "output": "internal/digits", "preprocess": "unit"},
    {"model": "faces.onnx", "output": "internal/faces", "dim": ["N=4"]}
  ]

Paths in it count from its folder.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("want one model, got %d arguments; see --help", len(args))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			jobs, err := jobsOf(c, args, &f, file)
			if err != nil {
				return err
			}
			if f.output == "" && len(args) == 1 {
				return usageError{errors.New("-o DIR is missing: the folder of the package")}
			}
			var all []*modelc.Summary
			var failed []error
			for _, j := range jobs {
				s, err := j.write()
				if err != nil {
					failed = append(failed, j.named(err))
					continue
				}
				all = append(all, s)
				if !asJSON && !terminalOf(c).quiet {
					printSummary(c.OutOrStdout(), j.flags.output, s)
				}
			}
			if asJSON {
				var v any = all
				if len(args) == 1 && len(all) == 1 {
					v = all[0]
				}
				failed = append(failed, printJSON(c.OutOrStdout(), v))
			}
			return errors.Join(failed...)
		},
	}
	f.add(c)
	fl := c.Flags()
	fl.StringVarP(&file, "file", "f", "", "compile the models of the list in this `FILE`")
	jsonFlag(c, &asJSON)
	return c
}

// job is a package to be written, or to be compared.
type job struct {
	c     *cobra.Command // whose flags are set
	flags *packageFlags
	model string
	entry string // where a list has it, "" without one
}

// named says which entry of a list an error is about.
func (j job) named(err error) error {
	if j.entry == "" || err == nil {
		return err
	}
	return fmt.Errorf("%s: %w", j.entry, err)
}

func (j job) write() (*modelc.Summary, error) {
	m, o, err := j.flags.compile(j.c, j.model)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return m.WritePackage(j.flags.output, o)
}

// jobsOf returns what the command line asks for: the model of args, or those
// of a list.
func jobsOf(c *cobra.Command, args []string, f *packageFlags, file string) ([]job, error) {
	if len(args) > 0 {
		if file != "" {
			return nil, usageError{fmt.Errorf("-f %s and the model %s: choose one of them", file, args[0])}
		}
		return []job{{c: c, flags: f, model: args[0]}}, nil
	}
	if name := firstChanged(c); name != "" {
		return nil, usageError{fmt.Errorf("--%s without a model: the flags of listed models stand in the list", name)}
	}
	if file == "" {
		file = listFile
	}
	return readList(c, file)
}
