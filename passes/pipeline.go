// Package passes rewrites graphs so that fewer, better steps compute the same
// result. [Pipeline] lists the passes in order; [constraints] lists pairs of
// passes whose order matters, with reasons.
//
// Each pass is a function in a separate file. Its comment states the pattern, the
// conditions under which the rewrite is legal, and the cases that the pass does not change.
// rewrite.go has the predicates and edits that passes share.
package passes

import (
	"fmt"
	"strings"

	"modelc/ir"
)

// Pass is a row of the pipeline.
type Pass struct {
	Name string
	// Doc describes in one sentence what the pass does.
	Doc string
	// Fn rewrites g and returns the number of places that it changed.
	Fn func(g *ir.Graph, cfg *Config) (changed int, err error)
	// Exact reports whether the pass keeps every rounding of the model.
	Exact bool
}

// Pipeline lists the passes in the order in which they run. The comment above a row gives
// the reason for its place.
var Pipeline = []Pass{
	// First: constants that it makes operands of Dequantize are not yet floats.
	{"recognise_quantisation", "Replaces quantisation and dequantisation written as arithmetic by Quantize and Dequantize.", recogniseQuantisation, false},
	// Other passes look for constants.
	{"fold_constants", "Computes nodes whose operands are all constants.", foldConstants, true},
	// Removes nodes between the parts of the patterns below.
	{"remove_noops", "Removes nodes that return their operand.", removeNoops, true},
	{"merge_reshapes", "Replaces a chain of reshapes by one.", mergeReshapes, true},
	// While the parts of an activation are still nodes.
	{"recognise_activations", "Replaces activations written as several nodes by the function.", recogniseActivations, false},
	// Before transpositions get between the parts of these.
	{"recognise_upsampling", "Replaces nearest upsampling written as Tile and reshapes by Resize.", recogniseUpsampling, true},
	{"recognise_shuffle", "Replaces movements of whole channels written as reshapes around a transposition by Gather and Interleave.", recogniseShuffle, true},
	// Brings channels to axis 1, where the patterns below expect them.
	{"sink_transpose", "Moves transpositions down until they cancel or meet a layer that absorbs them.", sinkTranspose, true},
	// Now mean and operand have the same layout.
	{"recognise_normalisation", "Replaces normalisations over axes written as several nodes by Normalize.", recogniseNormalisation, false},
	// While activations are nodes, and before padding in front of a layer is a part of it.
	{"form_integers", "Makes layers between dequantised operands and quantised results compute on integers.", formIntegers, false},
	// What no layer on integers reads.
	{"dequantise_constants", "Computes constants that are dequantised, and what depends on them only.", dequantiseConstants, true},
	// Before padding matters to fold_batchnorm.
	{"fold_pad", "Makes constant zero padding part of the convolution or pool that reads it.", foldPad, true},
	{"trim_kernels", "Drops the rows and columns of filters that only multiply padding.", trimKernels, true},
	// Before an activation becomes an epilogue, which would hide the arithmetic behind it.
	{"fold_batchnorm", "Folds batch normalisation and other per-channel arithmetic into weights, or makes it one Affine step.", foldBatchNorm, false},
	{"dense_bias", "Makes a constant added to a dense layer its bias.", denseBias, true},
	{"fuse_activation", "Makes an activation the epilogue of the layer that it follows.", fuseActivation, true},
	// After fuse_activation: an activation that is still a node follows the sum.
	{"fuse_residual", "Adds the other branch of a residual block inside the convolution that comes last.", fuseResidual, true},
	// The last fusion: prologues get the steps that became no epilogue.
	{"fuse_prologue", "Lets convolutions and pools read their operand through the affine step and activation in front of them.", fusePrologue, true},
	// When the weights are final.
	{"split_transposed", "Replaces a transposed convolution by several ordinary ones, whose results are interleaved.", splitTransposed, true},
	{"flatten_concat", "Replaces a concatenation among a concatenation's operands by its own operands.", flattenConcat, true},
	// When the rewrites have made equal nodes equal.
	{"common_subexpressions", "Computes equal nodes once.", commonSubexpressions, true},
	// After all rewrites: removes what they left unused.
	{"dead_code", "Removes nodes and constants that no output depends on.", deadCode, true},
	// On the final graph.
	{"choose_padding", "Decides which convolutions read a padded copy of their operand.", choosePadding, true},
}

// constraints lists pairs of passes whose order matters.
var constraints = []struct{ before, after, reason string }{
	{"fold_constants", "fold_batchnorm", "constant nodes may compute statistics"},
	{"recognise_quantisation", "fold_constants", "weights must stay integers"},
	{"recognise_quantisation", "form_integers", "layers between Dequantize and Quantize become layers on integers"},
	{"remove_noops", "fold_batchnorm", "an identity between convolution and normalisation hides the pair"},
	{"recognise_activations", "fold_batchnorm", "the constants inside an activation look like per-channel arithmetic"},
	{"recognise_activations", "fuse_activation", "the parts of an activation must not become epilogues"},
	{"recognise_normalisation", "fold_batchnorm", "the scale inside a normalisation looks like per-channel arithmetic"},
	{"recognise_upsampling", "sink_transpose", "transpositions move past a Resize but not past the axes that a Tile joins"},
	{"recognise_shuffle", "sink_transpose", "a transposition that moved away from its reshapes is not recognised"},
	{"merge_reshapes", "recognise_shuffle", "the evaluated chain starts at its first reshape"},
	{"sink_transpose", "recognise_normalisation", "exporters transpose an operand and its mean separately"},
	{"sink_transpose", "fold_batchnorm", "per-channel constants must lie along axis 1"},
	{"sink_transpose", "fold_pad", "pads must be along the spatial axes of the layer that reads them"},
	{"fold_constants", "form_integers", "scales and zero points must be constants"},
	{"recognise_activations", "form_integers", "activations become tables, ranges and epilogues"},
	{"sink_transpose", "form_integers", "channels must lie along axis 1, and transpositions move past floats only"},
	{"form_integers", "dequantise_constants", "layers on integers read weights before they are dequantised"},
	{"dequantise_constants", "fold_batchnorm", "layers on floats need constant weights"},
	{"form_integers", "fold_pad", "padding of integers is their zero point"},
	{"form_integers", "fuse_activation", "an epilogue between a layer and its quantised result is less general"},
	{"fold_pad", "trim_kernels", "until then padding may be a node"},
	{"trim_kernels", "fold_batchnorm", "trimmed filters may have no padding, and then a shift folds"},
	{"fold_pad", "fold_batchnorm", "a shift folds into a convolution only where no zero padding takes part"},
	{"fold_batchnorm", "fuse_activation", "an activation that became an epilogue stands between weights and normalisation"},
	{"fuse_activation", "fuse_residual", "the activation of a branch must be inside its convolution before the sum is"},
	{"fuse_activation", "fuse_prologue", "an activation behind a convolution belongs to its epilogue, which costs nothing"},
	{"fuse_residual", "fuse_prologue", "the sum's activation belongs to the convolution before it"},
	{"fold_batchnorm", "split_transposed", "a normalisation behind a transposed convolution folds into its weights"},
	{"fuse_activation", "split_transposed", "an activation behind a transposed convolution becomes the epilogue of its parts"},
	{"split_transposed", "choose_padding", "the parts have padding of their own"},
	{"dead_code", "choose_padding", "only nodes that run need a strategy"},
}

func init() {
	at := map[string]int{}
	for i, p := range Pipeline {
		at[p.Name] = i
	}
	for _, c := range constraints {
		b, ok1 := at[c.before]
		a, ok2 := at[c.after]
		if !ok1 || !ok2 || b >= a {
			panic(fmt.Sprintf("passes: %s must come before %s: %s", c.before, c.after, c.reason))
		}
	}
}

// Docs returns docs/passes.md: the pipeline and its constraints as Markdown.
func Docs() string {
	var b strings.Builder
	b.WriteString("# Passes\n\nMade from the table in `passes/pipeline.go` by `go test ./passes -update`.\n" +
		"Exact passes keep every rounding of the model; under `--exact` only they run.\n\n| # | pass | exact | what it does |\n| --- | --- | --- | --- |\n")
	for i, p := range Pipeline {
		exact := ""
		if p.Exact {
			exact = "yes"
		}
		fmt.Fprintf(&b, "| %d | `%s` | %s | %s |\n", i+1, p.Name, exact, p.Doc)
	}
	b.WriteString("\n## Order\n\n| before | after | because |\n| --- | --- | --- |\n")
	for _, c := range constraints {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", c.before, c.after, c.reason)
	}
	b.WriteString("\nThe comment of a pass states its pattern, when it is legal, and what it leaves alone. `passes/testdata` has graphs before and after each pass, and graphs that it must not change.\n")
	return b.String()
}
