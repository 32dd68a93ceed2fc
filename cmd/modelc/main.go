// Command modelc compiles convolutional networks into Go packages.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"

	"github.com/spf13/cobra"

	"modelc"
)

func main() {
	if os.Getenv("GOGC") == "" {
		// Weights are large and have no pointers: collections are cheap, garbage is not.
		debug.SetGCPercent(25)
	}
	// The first interrupt cancels the work, the second one kills the process.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], newTerminal(os.Stdout, os.Stderr)))
}

// run executes the command line args and returns the exit code.
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
		Version:       modelc.Version,
		SilenceUsage:  true,
		SilenceErrors: true,

		PersistentPreRunE: func(c *cobra.Command, _ []string) error { return checkNumbers(c) },

		SuggestionsMinimumDistance: 2,
	}
	root.SetArgs(args)
	root.SetOut(t.behind(t.out))
	root.SetErr(t.behind(t.err))
	root.SetVersionTemplate("modelc {{.Version}}\n") // as modelc version prints it
	root.SetUsageFunc(printUsage)
	root.SetHelpFunc(printHelp)
	root.PersistentFlags().BoolVarP(&t.quiet, "quiet", "q", false, "print only results and errors: no progress, no summary of a package")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(compileCommand(), diffCommand(), weightsCommand(), runCommand(), verifyCommand(), quantizeCommand(), evalCommand(), benchCommand(), tuneCommand(), inspectCommand(), graphCommand(), reportCommand(), zooCommand(), passesCommand(), opsCommand(), doctorCommand(), versionCommand())
	addCompletions(root)
	err := root.ExecuteContext(withTerminal(ctx, t))
	t.progress.clear()
	if err != nil && ctx.Err() != nil {
		err = errInterrupted // replaces the error of the interrupted work
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
