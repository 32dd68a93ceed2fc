package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"modelc"
	"modelc/backend/golang"
)

func diffCommand() *cobra.Command {
	var f packageFlags
	var file string
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff [MODEL DIR]",
		Short: "Tell whether a package is what its model gives",
		Long: `Tell whether the package in DIR is, byte for byte, what this version of modelc
makes of MODEL, and how it differs. Nothing is written. The flags are those in
the header of DIR/model.go; what the command line says counts instead, and must
say where files are, since headers hold no paths: --labels, --bind, --tune,
--runtime.

Without a model, the packages of all models that ` + listFile + ` in this folder names
are compared, or those of the list behind -f.

Exit status 0: all packages are current. 1: one is not, or could not be made.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 2 {
				return usageError{fmt.Errorf("want a model and a folder, got %d arguments; see --help", len(args))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 2 && f.output != "" {
				return usageError{fmt.Errorf("the folder %s and -o %s: choose one of them", args[1], f.output)}
			}
			if len(args) == 2 {
				f.output = args[1]
			}
			if f.output == "" && len(args) == 1 {
				return usageError{errors.New("the folder of the package is missing: modelc diff MODEL DIR")}
			}
			jobs, err := jobsOf(c, args, &f, file)
			if err != nil {
				return err
			}
			var failed []error
			var states []state
			w := c.OutOrStdout()
			if asJSON {
				w = io.Discard
			}
			current := true
			for _, j := range jobs {
				s, err := j.diff(w, len(args) > 0)
				current = current && s.Current
				states = append(states, s)
				failed = append(failed, j.named(err))
			}
			if asJSON {
				failed = append(failed, printJSON(c.OutOrStdout(), states))
			}
			if err := errors.Join(failed...); err != nil || current {
				return err
			}
			return errReported
		},
	}
	f.add(c)
	c.Flags().StringVarP(&file, "file", "f", "", "compare the packages of the list in this `FILE`")
	jsonFlag(c, &asJSON)
	return c
}

// state says whether a package is what its model gives.
type state struct {
	Dir     string   `json:"dir"`
	Current bool     `json:"current"`
	Files   []string `json:"files"` // that differ, are missing or are no longer made
}

// diff prints how a package differs from what it would be. The flags may be
// taken from the package's header.
func (j job) diff(w io.Writer, fromHeader bool) (s state, err error) {
	dir := j.flags.output
	s = state{Dir: dir, Files: []string{}}
	h, err := golang.ReadHeader(dir)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case missing && fromHeader:
		return s, fmt.Errorf("%s holds no package of modelc", dir)
	case missing:
		fmt.Fprintf(w, "%s: there is no package yet: modelc compile makes it\n", dir)
		return s, nil
	case err != nil:
		return s, err
	}
	if h.Version != modelc.Version {
		fmt.Fprintf(w, "%s: made by modelc %s, this is %s: compile it again, look at what changes, run its test\n", dir, h.Version, modelc.Version)
	}
	if fromHeader {
		if err := takeFlags(j.c, dir, h); err != nil {
			return s, err
		}
	}
	m, o, err := j.flags.compile(j.c, j.model)
	if err != nil {
		return s, err
	}
	defer m.Close()
	list, err := m.DiffPackage(dir, o)
	if err != nil {
		return s, err
	}
	if len(list) == 0 {
		fmt.Fprintf(w, "%s: current\n", dir)
		s.Current = true
		return s, nil
	}
	if h.SHA256 != m.Model.SHA256 {
		fmt.Fprintf(w, "%s: made from another model, SHA-256 %.12s…, this one has %.12s…\n", dir, h.SHA256, m.Model.SHA256)
	}
	for _, d := range list {
		s.Files = append(s.Files, d.File)
		printDifference(w, d)
	}
	return s, nil
}

// takeFlags sets those flags of a header that the command has and its line
// leaves out.
func takeFlags(c *cobra.Command, dir string, h golang.Header) error {
	var given []string
	c.Flags().Visit(func(f *pflag.Flag) { given = append(given, f.Name) })
	read := &cobra.Command{}
	new(packageFlags).add(read)
	var unknown []string
	err := read.Flags().ParseAll(h.Flags, func(f *pflag.Flag, value string) error {
		if slices.Contains(given, f.Name) || c.Flags().Lookup(f.Name) == nil {
			return nil
		}
		if _, path := pathIn(f.Name, value); path != "" {
			unknown = append(unknown, "--"+f.Name+" "+value)
			return nil
		}
		return c.Flags().Set(f.Name, value)
	})
	if err != nil {
		return fmt.Errorf("%s was compiled with flags that modelc %s does not know: %w", dir, modelc.Version, err)
	}
	if len(unknown) > 0 {
		return usageError{fmt.Errorf("%s was compiled with %s: give that again, with its path, which headers do not hold", dir, strings.Join(unknown, " "))}
	}
	return nil
}

// mostLines of a text's differences are printed.
const mostLines = 200

func printDifference(w io.Writer, d golang.Difference) {
	switch {
	case d.Note != "":
		fmt.Fprintf(w, "%s %s\n", d.File, d.Note)
	case d.Old == nil:
		fmt.Fprintf(w, "%s is missing\n", d.File)
	case d.New == nil:
		fmt.Fprintf(w, "%s is no longer made\n", d.File)
	default:
		lines := strings.SplitAfter(udiff.Unified(d.File, d.File+" (as it would be)", string(d.Old), string(d.New)), "\n")
		n := min(len(lines), mostLines)
		io.WriteString(w, strings.Join(lines[:n], ""))
		if n < len(lines) {
			fmt.Fprintf(w, "… and %d lines more\n", len(lines)-n)
		}
	}
}
