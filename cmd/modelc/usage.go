package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitFailed = 1 // the model, its data or the result is wrong
	exitUsage  = 2 // the command line is wrong
)

// usageError is an error of the command line.
type usageError struct{ error }

// errReported is a failure that the command has printed already.
var errReported = errors.New("reported")

// exitCodes ends the help of every command.
const exitCodes = `
Exit status:
  0  success
  1  the model, its data or the result is wrong
  2  the command line is wrong
`

// suggest returns text that asks whether the user meant one of names. It returns ""
// if there are none.
func suggest(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ", did you mean " + strings.Join(names, " or ") + "?"
}

// exactly accepts n positional arguments, described by what.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			got := ""
			if len(args) > 0 {
				got = fmt.Sprintf(", got %q", args)
			}
			return usageError{fmt.Errorf("want %s%s; see %s --help", what, got, c.CommandPath())}
		}
		return nil
	}
}
