package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"modelc/internal/zoo"
	"modelc/passes"
	"modelc/runtime/vision"
)

// completion returns the words that complete the word typed, and a directive for
// the shell.
type completion = func(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective)

// Extensions of files of models, and of inputs.
var (
	modelExts = []string{"onnx", "keras", "h5", "hdf5", "json"}
	dataExts  = []string{"png", "jpg", "jpeg", "npy", "pb"}
)

func filesOf(exts ...string) completion {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return exts, cobra.ShellCompDirectiveFilterFileExt
	}
}

// oneModel completes the argument of commands that take one model.
func oneModel(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return filesOf(modelExts...)(c, args, typed)
}

// modelAndData completes the arguments of run.
func modelAndData(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return oneModel(c, args, typed)
	}
	return filesOf(dataExts...)(c, args, typed)
}

// modelAndFolder completes the arguments of diff.
func modelAndFolder(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 1 {
		return directories(c, args, typed)
	}
	return oneModel(c, args, typed)
}

func directories(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// anyOf completes one of words. A word may have a description after a tab.
func anyOf(words ...cobra.Completion) completion {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

// listOf completes the last word of a comma-separated list with words that the
// list does not contain.
func listOf(words ...cobra.Completion) completion {
	return func(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		before := typed[:strings.LastIndex(typed, ",")+1]
		given := strings.Split(before, ",")
		var list []cobra.Completion
		for _, w := range words {
			if name, _, _ := strings.Cut(w, "\t"); !slices.Contains(given, name) {
				list = append(list, before+w)
			}
		}
		return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// orFile completes one of words or the name of a file.
func orFile(words ...cobra.Completion) completion {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveDefault)
}

// zooNames completes the argument of zoo.
func zooNames(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var words []cobra.Completion
	for _, name := range zoo.Names() {
		title := ""
		if i, err := zoo.Lookup(name); err == nil {
			title = i.Title
		}
		words = append(words, cobra.CompletionWithDesc(name, title))
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// passNames returns the names of passes, after the words in more.
func passNames(more ...cobra.Completion) []cobra.Completion {
	for _, p := range passes.Pipeline {
		more = append(more, cobra.CompletionWithDesc(p.Name, p.Doc))
	}
	return more
}

// completions returns the completion of each flag's values. The values of other
// flags are numbers, or names in a model.
func completions() map[string]completion {
	return map[string]completion{
		"engine":        anyOf("go\tbuilds and runs the generated package", "inproc\truns its kernels in this process", "eval\tthe reference interpreter", "cuda\tan NVIDIA GPU", "cuda-emulated\tthe kernels for a GPU, without one"),
		"target":        anyOf("cpu\tthe CPU alone", "cuda\talso an NVIDIA GPU"),
		"precision":     anyOf("f32", "tf32\ttensor cores", "f16\ttensor cores"),
		"preprocess":    anyOf("unit\t0 to 1", "none\t0 to 255", "caffe", "tf", "torch"),
		"interpolation": anyOf(strings.Split(vision.FilterNames(), ", ")...),
		"labels":        orFile("imagenet"),
		"weights":       anyOf("embed", "file"),
		"runtime":       directories,
		"file":          filesOf("json"),
		"profile":       filesOf("json"),
		"passes":        listOf(passNames()...),
		"disable-pass":  listOf(passNames()...),
		"print-after":   listOf(passNames("all")...),
		"after":         anyOf(passNames()...),
		"tune":          filesOf("json"),
		"calibrate":     orFile(),
		"calibration":   anyOf("minmax\tall elements", "percentile\tmost elements", "entropy\tthe least divergence"),
		"activations":   anyOf("u8", "i8"),
		"against":       filesOf(modelExts...),
		"bind":          orFile(),
	}
}

// addCompletions registers the completions of all commands below root.
func addCompletions(root *cobra.Command) {
	flags := completions()
	arguments := map[string]completion{"run": modelAndData, "diff": modelAndFolder, "zoo": zooNames}
	for _, c := range root.Commands() {
		for name, complete := range flags {
			if c.Flags().Lookup(name) != nil {
				c.RegisterFlagCompletionFunc(name, complete)
			}
		}
		for _, name := range []string{"output", "data"} { // of some commands, not of others
			if fl := c.Flags().Lookup(name); fl != nil && strings.Contains(fl.Usage, "`DIR`") {
				c.RegisterFlagCompletionFunc(name, directories)
			}
		}
		switch complete, ok := arguments[c.Name()]; {
		case ok:
			c.ValidArgsFunction = complete
		case strings.Contains(c.Use, "MODEL"):
			c.ValidArgsFunction = oneModel
		default:
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
	}
}
