// Package passes rewrites graphs so that fewer, better steps compute the same
// result. [Pipeline] is the table of passes in order; [constraints] says which
// must come before which, and why.
//
// A pass is a free function in a file of its own, whose comment states the
// pattern, when the rewrite is legal, and what it leaves alone.
package passes

import (
	"fmt"
	"strings"

	"modelc/ir"
)

// Pass is a row of the pipeline.
type Pass struct {
	Name string
	// Doc says in one sentence what the pass does.
	Doc string
	// Fn rewrites g and returns how many places it changed.
	Fn func(g *ir.Graph, cfg *Config) (changed int, err error)
	// Exact passes keep every rounding of the model as written.
	Exact bool
}

// Pipeline lists the passes in the order they run.
var Pipeline = []Pass{
	{"fold_constants", "Computes nodes whose operands are all constants.", foldConstants, true},                                                                // first: others look for constants
	{"remove_noops", "Drops nodes that return their operand.", removeNoops, true},                                                                              // fewer nodes between the patterns below
	{"cancel_casts", "Drops the casts of rounded and clipped floats to integers and back.", cancelCasts, true},                                                 // while rounding and clipping are still nodes
	{"merge_reshapes", "Makes chains of reshapes one.", mergeReshapes, true},                                                                                   //
	{"recognise_activations", "Replaces activations written as several nodes by the function itself.", recogniseActivations, false},                            // while their parts are still plain nodes
	{"recognise_upsampling", "Replaces nearest upsampling written as Tile and reshapes by Resize.", recogniseUpsampling, true},                                 // before transpositions get between its parts
	{"recognise_shuffle", "Replaces movements of whole channels written as reshapes around a transposition by Gather and Interleave.", recogniseShuffle, true}, // likewise
	{"sink_transpose", "Moves transpositions down until they cancel or meet a layer that absorbs them.", sinkTranspose, true},                                  // brings channels to axis 1, where the patterns below expect them
	{"recognise_normalisation", "Replaces normalisations over axes written as several nodes by Normalize.", recogniseNormalisation, false},                     // mean and operand agree on the layout now
	{"fold_pad", "Makes constant zero padding part of the convolution or pool behind it.", foldPad, true},                                                      // before padding matters to fold_batchnorm
	{"trim_kernels", "Drops the rows and columns of filters that meet nothing but padding.", trimKernels, true},                                                //
	{"fold_batchnorm", "Folds batch normalisation and other per-channel arithmetic into weights, or makes it one Affine step.", foldBatchNorm, false},          // before activations are fused: a fused one hides the affine behind it
	{"dense_bias", "Makes a constant added to a dense layer its bias.", denseBias, true},                                                                       //
	{"fuse_activation", "Makes an activation the epilogue of the layer that it follows.", fuseActivation, true},                                                //
	{"fuse_residual", "Adds the other branch of a residual block inside the convolution that comes last.", fuseResidual, true},                                 // after fuse_activation: what is left is behind the sum
	{"fuse_prologue", "Lets convolutions and pools read their operand through the affine step and activation in front of them.", fusePrologue, true},           // last of the fusions: it duplicates what no epilogue took
	{"split_transposed", "Makes a transposed convolution several ordinary ones, whose results are woven together.", splitTransposed, true},                     // when its weights are final
	{"flatten_concat", "Replaces a concatenation among a concatenation's operands by its own.", flattenConcat, true},                                           //
	{"common_subexpressions", "Computes equal nodes once.", commonSubexpressions, true},                                                                        // after the rewrites have made equal nodes equal
	{"dead_code", "Removes what no output depends on.", deadCode, true},                                                                                        // last: sweeps up
	{"choose_padding", "Decides how the padding of each convolution and pool is realised.", choosePadding, true},                                               // on the final graph
}

// constraints lists pairs of passes whose order matters.
var constraints = []struct{ before, after, reason string }{
	{"fold_constants", "fold_batchnorm", "statistics may be computed by constant nodes"},
	{"cancel_casts", "fuse_activation", "rounding and clipping that became epilogues are not recognised"},
	{"remove_noops", "fold_batchnorm", "an identity between convolution and normalisation hides the pair"},
	{"recognise_activations", "fold_batchnorm", "the constants inside an activation look like per-channel arithmetic"},
	{"recognise_activations", "fuse_activation", "the parts of an activation must not become epilogues of their own"},
	{"recognise_normalisation", "fold_batchnorm", "the scale inside a normalisation looks like per-channel arithmetic"},
	{"recognise_upsampling", "sink_transpose", "a Resize lets transpositions pass, the axes that a Tile joins do not"},
	{"recognise_shuffle", "sink_transpose", "a transposition that moved apart from its reshapes is no shuffle any more"},
	{"merge_reshapes", "recognise_shuffle", "the chain is evaluated from its first reshape on"},
	{"sink_transpose", "recognise_normalisation", "exporters transpose an operand and its mean apart"},
	{"sink_transpose", "fold_batchnorm", "per-channel constants must lie along axis 1"},
	{"sink_transpose", "fold_pad", "pads must be along the spatial axes of the layer behind"},
	{"fold_pad", "trim_kernels", "padding may be a node of its own until then"},
	{"trim_kernels", "fold_batchnorm", "what is left may have no padding, and a shift folds there"},
	{"fold_pad", "fold_batchnorm", "a shift before a convolution may only fold where no zero padding takes part"},
	{"fold_batchnorm", "fuse_activation", "an activation that became an epilogue stands between weights and normalisation"},
	{"fuse_activation", "fuse_residual", "the activation of a branch must be inside its convolution before the sum is"},
	{"fuse_activation", "fuse_prologue", "an activation behind a convolution belongs to its epilogue, which is free"},
	{"fuse_residual", "fuse_prologue", "the sum's activation belongs to the convolution before it"},
	{"fold_batchnorm", "split_transposed", "a normalisation behind a transposed convolution folds into its weights"},
	{"fuse_activation", "split_transposed", "an activation behind it becomes the epilogue of its parts"},
	{"split_transposed", "choose_padding", "the parts have padding of their own"},
	{"dead_code", "choose_padding", "only what runs needs a strategy"},
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
		"Exact passes keep every rounding of the model; only they run under `--exact`.\n\n| # | pass | exact | what it does |\n| --- | --- | --- | --- |\n")
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
	b.WriteString("\nThe pattern, the legality and the non-goals of a pass stand in the comment of its file; `passes/testdata` holds a before and after for each, and cases in which it must not fire.\n")
	return b.String()
}
