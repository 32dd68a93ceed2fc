package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/golang"
)

func diffCommand() *cobra.Command {
	var f packageFlags
	var file string
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff [MODEL DIR]",
		Short: "Compare a package with what its model compiles to",
		Long: `Compare the package in DIR, byte by byte, with the package that this version of
modelc writes for MODEL, and print the differences. No file is written. The flags
are read from the header of DIR/model.go. Flags of the command line replace them.
Repeat the flags --labels, --bind, --tune and --runtime, because headers do not
record paths.

Without a model, compare the packages of all models in the list ` + listFile + ` of the
current folder, or in the list that -f names.

Exit status 0 means that all packages are current, 1 that a package differs or
cannot be compiled.`,
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
	c.Flags().StringVarP(&file, "file", "f", "", "compare the packages of the list in `FILE`")
	jsonFlag(c, &asJSON)
	return c
}

// state is the result for one package.
type state struct {
	Dir     string   `json:"dir"`
	Current bool     `json:"current"`
	Files   []string `json:"files"` // files that differ, are missing or are no longer written
}

// diff compiles the model and prints the differences to its package. If
// fromHeader is set, it takes flags from the package's header.
func (j job) diff(w io.Writer, fromHeader bool) (s state, err error) {
	dir := j.flags.output
	s = state{Dir: dir, Files: []string{}}
	h, err := golang.ReadHeader(dir)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case missing && fromHeader:
		return s, fmt.Errorf("%s holds no package that modelc wrote", dir)
	case missing:
		fmt.Fprintf(w, "%s: there is no package yet: run modelc compile\n", dir)
		return s, nil
	case err != nil:
		return s, err
	}
	if h.Version != modelc.Version {
		fmt.Fprintf(w, "%s: written by modelc %s, this is %s: compile it again, review the changes, run its test\n", dir, h.Version, modelc.Version)
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
		fmt.Fprintf(w, "%s: compiled from another model, SHA-256 %.12s…; this one has %.12s…\n", dir, h.SHA256, m.Model.SHA256)
	}
	for _, d := range list {
		s.Files = append(s.Files, d.File)
		printDifference(w, d)
	}
	return s, nil
}

// mostLines is the maximum number of printed lines of a file's differences.
const mostLines = 200

// printDifference prints the difference of one file.
func printDifference(w io.Writer, d golang.Difference) {
	switch {
	case d.Note != "":
		fmt.Fprintf(w, "%s %s\n", d.File, d.Note)
	case d.Old == nil:
		fmt.Fprintf(w, "%s is missing\n", d.File)
	case d.New == nil:
		fmt.Fprintf(w, "%s is no longer written\n", d.File)
	default:
		lines := strings.SplitAfter(udiff.Unified(d.File, d.File+" (as it would be)", string(d.Old), string(d.New)), "\n")
		n := min(len(lines), mostLines)
		io.WriteString(w, strings.Join(lines[:n], ""))
		if n < len(lines) {
			fmt.Fprintf(w, "… and %d more lines\n", len(lines)-n)
		}
	}
}
