package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"modelc/internal/spelling"
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

// flagError explains an error in the flags of c.
func flagError(c *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &invalid):
		err = fmt.Errorf("--%s %q: want %s", invalid.GetFlag().Name, invalid.GetValue(), wanted(invalid.GetFlag()))
	case errors.As(err, &unknown):
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		if near := spelling.Nearest("--"+unknown.GetSpecifiedName(), names); near != "" {
			return usageError{fmt.Errorf("%w%s See %s --help", err, suggest([]string{near}), c.CommandPath())}
		}
	}
	return usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
}

// wanted describes the values of a flag.
func wanted(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "int":
		return "a whole number"
	case "intSlice":
		return "whole numbers such as 1,8"
	case "float64":
		return "a number"
	case "bool":
		return "true or false"
	case "duration":
		return "a time such as 90s or 5m"
	}
	return "a value of type " + f.Value.Type()
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
