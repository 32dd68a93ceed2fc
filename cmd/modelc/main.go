// Command modelc compiles convolutional networks into Go packages.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
)

func main() {
	// A first interrupt ends the work in order, a second one at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], newTerminal(os.Stdout, os.Stderr)))
}

// The exit codes: a model, its data or its result is wrong; the command line
// is wrong.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is an error of the command line.
type usageError struct{ error }

// errReported is a failure that the command has printed already.
var errReported = errors.New("reported")

// exitCodes ends the help of every command.
const exitCodes = `
Exit status:
  0  done
  1  the model, its data or the result is wrong
  2  the command line is wrong
`

func run(ctx context.Context, args []string, t *terminal) int {
	root := &cobra.Command{
		Use:   "modelc",
		Short: "Compile trained convolutional networks into Go packages",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q%s; see modelc --help", args[0], suggest(c.SuggestionsFor(args[0])))}
			}
			return nil
		},
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		SilenceUsage:  true,
		SilenceErrors: true,

		SuggestionsMinimumDistance: 2,
	}
	root.SetArgs(args)
	root.SetOut(t.behind(t.out))
	root.SetErr(t.behind(t.err))
	root.SetUsageTemplate(root.UsageTemplate() + exitCodes)
	root.PersistentFlags().BoolVarP(&t.quiet, "quiet", "q", false, "print results and errors alone: no progress, no summary of a package")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
	})
	root.AddCommand(compileCommand(), diffCommand(), weightsCommand(), runCommand(), verifyCommand(), benchCommand(), tuneCommand(), inspectCommand(), graphCommand(), reportCommand(), zooCommand(), passesCommand(), opsCommand(), doctorCommand(), versionCommand())
	addCompletions(root)
	err := root.ExecuteContext(withTerminal(ctx, t))
	t.progress.clear()
	if err != nil && ctx.Err() != nil {
		err = errInterrupted // whatever it stopped says
	}
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errReported):
		return exitFailed
	case errors.As(err, &usage):
		t.fail(err)
		return exitUsage
	}
	t.fail(err)
	return exitFailed
}

// suggest names what somebody may have meant.
func suggest(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ", did you mean " + strings.Join(names, " or ") + "?"
}

// exactly demands n positional arguments, described by what.
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
