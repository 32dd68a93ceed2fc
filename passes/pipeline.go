// Package passes rewrites graphs so that fewer, better steps compute the same
// result. [Pipeline] is the table of passes in order; [constraints] says which
// must come before which, and why.
//
// A pass is a free function in a file of its own, whose comment states the
// pattern, when the rewrite is legal, and what it leaves alone.
package passes

import (
	"fmt"
	"io"
	"slices"
	"time"

	"modelc/ir"
	"modelc/ir/eval"
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
	{"choose_padding", "Decides which convolutions read a padded copy of their operand.", choosePadding, true},                                                 // on the final graph
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

// Config selects passes and what is checked between them.
type Config struct {
	Exact   bool     // only passes that keep every rounding
	Only    []string // if not empty, no other passes
	Disable []string
	// PrintAfter names passes after which the graph's text goes to Log; "all"
	// means each.
	PrintAfter []string
	Log        io.Writer
	// Verify checks the graph's invariants after each pass, Check its values
	// on seeded inputs too.
	Verify, Check bool
	// Progress, unless nil, is told how many of the passes are done. An error
	// ends the work.
	Progress func(done, total int) error
}

// Report tells what the passes did.
type Report struct {
	Passes []Stat
}

// Stat is what one pass did.
type Stat struct {
	Name    string        `json:"name"`
	Changed int           `json:"changed"` // places
	Before  Size          `json:"before"`
	After   Size          `json:"after"`
	Time    time.Duration `json:"ns"`
}

// Size is what a graph costs.
type Size struct {
	Nodes int   `json:"nodes"`
	FLOPs int64 `json:"flops"`
	// Bytes is the sum of all nodes' operands and results, weights included.
	Bytes int64 `json:"bytes"`
}

// Changed returns how many places the named pass changed.
func (r *Report) Changed(name string) int {
	for _, s := range r.Passes {
		if s.Name == name {
			return s.Changed
		}
	}
	return 0
}

// How far the passes together may move a result, relative to its largest
// magnitude: exact ones not at all, but for the order of sums; the others
// round folded weights once more, which deep networks amplify.
const (
	exactTolerance = 2e-6
	tolerance      = 1e-4
)

// Run applies the pipeline to g.
func Run(g *ir.Graph, cfg *Config) (*Report, error) {
	for _, name := range slices.Concat(cfg.Only, cfg.Disable, cfg.PrintAfter) {
		if name != "all" && !slices.ContainsFunc(Pipeline, func(p Pass) bool { return p.Name == name }) {
			return nil, fmt.Errorf("no pass is called %q%s; `modelc passes` lists them", name, near(name))
		}
	}
	r := &Report{}
	c := *cfg
	var in, want []*ir.Tensor
	tol := exactTolerance
	if c.Check {
		var err error
		in = eval.Inputs(g, 1)
		if want, err = eval.Run(g, in); err != nil {
			return nil, err
		}
	}
	for i, p := range Pipeline {
		if c.Progress != nil {
			if err := c.Progress(i, len(Pipeline)); err != nil {
				return r, err
			}
		}
		if len(c.Only) > 0 && !slices.Contains(c.Only, p.Name) || slices.Contains(c.Disable, p.Name) || c.Exact && !p.Exact {
			continue
		}
		s := Stat{Name: p.Name, Before: sizeOf(g)}
		start := time.Now()
		var err error
		if s.Changed, err = p.Fn(g, &c); err != nil {
			return r, fmt.Errorf("pass %s: %w", p.Name, err)
		}
		g.Prune()
		s.Time = time.Since(start)
		s.After = sizeOf(g)
		r.Passes = append(r.Passes, s)
		if c.Log != nil && (slices.Contains(c.PrintAfter, p.Name) || slices.Contains(c.PrintAfter, "all")) {
			fmt.Fprintf(c.Log, "# after %s\n%s\n", p.Name, ir.Format(g))
		}
		if c.Verify || c.Check {
			if err := ir.Verify(g); err != nil {
				return r, fmt.Errorf("pass %s left an invalid graph: %w", p.Name, err)
			}
		}
		if !p.Exact && s.Changed > 0 {
			tol = tolerance
		}
		if c.Check && s.Changed > 0 {
			got, err := eval.Run(g, in)
			if err != nil {
				return r, fmt.Errorf("after pass %s: %w", p.Name, err)
			}
			for i := range got {
				if d, err := eval.Compare(got[i], want[i]); err != nil || !d.Within(tol) {
					return r, fmt.Errorf("pass %s changed output %q: %v %w", p.Name, g.Outputs[i].Name, d, errOr(err, tol))
				}
			}
		}
	}
	return r, nil
}

func errOr(err error, tolerance float64) error {
	if err == nil {
		return fmt.Errorf("beyond %g", tolerance)
	}
	return err
}

func sizeOf(g *ir.Graph) Size {
	s := Size{Nodes: len(g.Nodes)}
	for _, n := range g.Nodes {
		s.FLOPs += ir.FLOPs(n)
		s.Bytes += ir.Traffic(n)
	}
	return s
}

// near suggests the pass whose name starts and ends most like name.
func near(name string) string {
	best, score := "", 3 // fewer letters are chance
	for _, p := range Pipeline {
		n, m := 0, min(len(name), len(p.Name))
		for n < m && name[n] == p.Name[n] {
			n++
		}
		for k := 1; n < m && name[len(name)-k] == p.Name[len(p.Name)-k]; k++ {
			n++
		}
		if n > score {
			best, score = p.Name, n
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q", best)
}

// replace makes every reader of n's only result read v and removes n, whose
// work the node that computes v does.
func replace(g *ir.Graph, n *ir.Node, v *ir.Value) {
	v.Def().Absorb(n)
	redirect(g, n, v)
}

// redirect is replace where it is said elsewhere who does the work of n.
func redirect(g *ir.Graph, n *ir.Node, v *ir.Value) {
	g.ReplaceUses(n.Out[0], v)
	g.Remove(n)
}

// replaceAll is replace for n and what only n needed: by does the work of
// them all.
func replaceAll(g *ir.Graph, n *ir.Node, v *ir.Value, by *ir.Node) {
	by.Absorb(n)
	redirect(g, n, v)
	by.Absorb(g.Prune()...)
}

// nodes returns a copy of the node list, so that a pass may edit while it
// walks.
func nodes(g *ir.Graph) []*ir.Node { return slices.Clone(g.Nodes) }
