package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"modelc"
)

// measureFlags are the flags of commands that time a model.
type measureFlags struct{ threads, runs int }

func (f *measureFlags) add(c *cobra.Command, runs int, of string) {
	c.Flags().IntVar(&f.threads, "threads", 1, "number of goroutines per run"+of)
	c.Flags().IntVar(&f.runs, "runs", runs, "number of runs"+of)
}

func (f *measureFlags) check() error {
	if f.runs < 1 || f.threads < 1 {
		return usageError{errors.New("--runs and --threads must be at least 1")}
	}
	return nil
}

// measurement describes a command that compiles a model, measures it and prints
// the result.
type measurement[T any] struct {
	runs    int // default of --runs
	measure func(m *modelc.Compiled, threads, runs int) (T, error)
	print   func(w io.Writer, result T) error
	save    func(result T) error // called at the end, unless nil
}

// command makes c a command that measures one model.
func (m measurement[T]) command(c *cobra.Command) *cobra.Command {
	var model modelFlags
	var flags measureFlags
	var asJSON bool
	model.add(c)
	flags.add(c, m.runs, "")
	jsonFlag(c, &asJSON)
	c.Args = exactly(1, "one model")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := flags.check(); err != nil {
			return err
		}
		o, err := model.options(c)
		if err != nil {
			return err
		}
		compiled, err := modelc.Compile(args[0], o)
		if err != nil {
			return err
		}
		defer compiled.Close()
		result, err := m.measure(compiled, flags.threads, flags.runs)
		if err != nil {
			return err
		}
		if asJSON {
			err = printJSON(c.OutOrStdout(), result)
		} else {
			err = m.print(c.OutOrStdout(), result)
		}
		if err != nil || m.save == nil {
			return err
		}
		return m.save(result)
	}
	return c
}
