package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

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

// examples are command lines that the help shows.
var examples = map[string][]string{
	"modelc":     {"modelc run squeezenet.onnx cat.jpg --preprocess torch --labels imagenet", "modelc compile squeezenet.onnx -o internal/squeezenet"},
	"bench":      {"modelc bench resnet50.onnx --threads 2", "modelc bench resnet50.onnx --top 10"},
	"completion": {"source <(modelc completion bash)"},
	"compile":    {"modelc compile digits.keras -o internal/digits --preprocess unit", "modelc compile yolo.onnx -o yolo --shape images=1,3,640,640", "modelc compile resnet50.onnx -o resnet50 --standalone --weights file", "modelc compile vgg16.h5 -o vgg16 --quantize --calibrate photos"},
	"diff":       {"modelc diff digits.keras internal/digits", "modelc diff"},
	"doctor":     {"modelc doctor"},
	"eval":       {"modelc eval digits.keras --data photos --preprocess unit", "modelc eval digits.int8.onnx --data photos --against digits.keras"},
	"graph":      {"modelc graph resnet50.onnx -o resnet50.svg", "modelc graph resnet50.onnx -o resnet50.dot --optimised"},
	"inspect":    {"modelc inspect digits.keras", "modelc inspect resnet50.onnx --optimised"},
	"ops":        {"modelc ops"},
	"passes":     {"modelc passes"},
	"quantize":   {"modelc quantize digits.keras -o digits.int8.onnx --calibrate photos", "modelc quantize net.onnx -o q.onnx --calibrate photos --max-drop 0.5"},
	"report":     {"modelc report resnet50.onnx -o resnet50.html --bench"},
	"run": {"modelc run squeezenet.onnx cat.jpg dog.png --preprocess torch", "modelc run squeezenet.onnx photos --preprocess torch --results out.jsonl",
		"modelc run denoise.onnx noisy.npy --output out", "modelc run two.onnx --input left=a.npy --input right=b.npy"},
	"tune":    {"modelc tune resnet50.onnx -o resnet50.json"},
	"verify":  {"modelc verify resnet50.onnx", "modelc verify resnet50.onnx --data test_data_set_0"},
	"version": {"modelc version"},
	"weights": {"modelc weights retrained.onnx internal/digits -o digits.bin"},
	"zoo":     {"modelc zoo", "modelc zoo vgg16 -o vgg16.onnx"},
}

// The groups of flags, in the order of the help. Other flags come before them.
const (
	ofPictures = "Flags for images"
	ofIntegers = "Flags for quantisation"
	ofModel    = "Flags of the model"
	ofCompiler = "Flags for work on the compiler"

	groupKey = "modelc_group" // of a flag's annotations
)

// group puts flags of c into a group.
func group(c *cobra.Command, name string, flags ...string) {
	for _, f := range flags {
		if err := c.Flags().SetAnnotation(f, groupKey, []string{name}); err != nil {
			panic(err) // c has no such flag
		}
	}
}

// printHelp prints what c does and how to call it.
func printHelp(c *cobra.Command, _ []string) {
	text := c.Long
	if text == "" {
		text = c.Short
	}
	fmt.Fprintf(c.OutOrStdout(), "%s\n\n%s", wrap(text, helpWidth), c.UsageString())
}

// wrap breaks the lines of text anew so that they have at most width columns. It keeps
// indented lines, which are examples, as they are.
func wrap(text string, width int) string {
	var out strings.Builder
	column := 0
	newline := func() {
		if column > 0 {
			out.WriteByte('\n')
		}
		column = 0
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == ' ' {
			newline()
			out.WriteString(line + "\n")
			continue
		}
		for _, word := range strings.Fields(line) {
			n := utf8.RuneCountInString(word)
			if column > 0 && column+1+n > width {
				newline()
			}
			if column > 0 {
				out.WriteByte(' ')
				column++
			}
			out.WriteString(word)
			column += n
		}
	}
	return strings.TrimRight(out.String(), "\n")
}

// helpWidth is the number of columns of the help.
const helpWidth = 80

// printUsage prints how to call c, for a terminal of helpWidth columns.
func printUsage(c *cobra.Command) error {
	var b strings.Builder
	b.WriteString("Usage:\n")
	if c.Runnable() && c.HasParent() {
		fmt.Fprintf(&b, "  %s\n", c.UseLine())
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "  %s COMMAND\n\nCommands:\n", c.CommandPath())
		for _, s := range c.Commands() {
			if s.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-*s  %s\n", c.NamePadding(), s.Name(), s.Short)
			}
		}
	}
	if list := examples[c.Name()]; list != nil {
		fmt.Fprintf(&b, "\nExamples:\n  %s\n", strings.Join(list, "\n  "))
	}
	groups := map[string]*pflag.FlagSet{}
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		name := "Flags"
		if a := f.Annotations[groupKey]; a != nil {
			name = a[0]
		}
		if groups[name] == nil {
			groups[name] = pflag.NewFlagSet(name, pflag.ContinueOnError)
		}
		groups[name].AddFlag(f)
	})
	groups["Flags of all commands"] = c.InheritedFlags()
	for _, name := range []string{"Flags", ofIntegers, ofPictures, ofModel, ofCompiler, "Flags of all commands"} {
		if g := groups[name]; g != nil && g.HasAvailableFlags() {
			fmt.Fprintf(&b, "\n%s:\n%s\n", name, strings.TrimRight(g.FlagUsagesWrapped(helpWidth), "\n "))
		}
	}
	b.WriteString(exitCodes)
	_, err := io.WriteString(c.OutOrStderr(), b.String())
	return err
}

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

// checkNumbers refuses numbers that are infinite or not a number.
func checkNumbers(c *cobra.Command) (err error) {
	c.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() != "float64" {
			return
		}
		if x, _ := c.Flags().GetFloat64(f.Name); math.IsNaN(x) || math.IsInf(x, 0) {
			err = usageError{fmt.Errorf("--%s %q: want a number; see %s --help", f.Name, f.Value, c.CommandPath())}
		}
	})
	return err
}

// wanted describes the values of a flag.
func wanted(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "int", "uint64":
		return "a whole number"
	case "intSlice":
		if !strings.Contains(f.Usage, "several") {
			return "a whole number"
		}
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
