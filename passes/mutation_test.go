package passes

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var mutate = flag.Bool("passes.mutate", false, "break a condition of each pass and expect the other tests to fail")

// mutations lists edits of passes. Each breaks one condition under which a pass is legal.
var mutations = []struct{ file, old, new string }{
	{"absorb.go", "x.OnlyUse() != d || ", ""},
	{"absorb.go", "d.In[0].OnlyUse() == d && ", ""},
	{"absorb.go", "return !slices.ContainsFunc(scale, negative)", "return true"},
	{"absorb.go", "!op.CountPad || !padded(op.Pads) || ", "true || "},
	{"absorb.go", " && !(isConv && d.Input(ir.ConvResidual) != nil)", " && (isConv || true)"},
	{"absorb.go", "!onIntegers(d) && ", ""},
	{"dense_bias.go", "x.OnlyUse() != n", "false"},
	{"dense_bias.go", " || onIntegers(d) && dense.Integer.To != ir.Float32", ""},
	{"fold_pad.go", " || p.Value != float64(op.Integer.XZero)", ""},
	{"fold_pad.go", " || n.Input(ir.ConvXZero) != nil", ""},
	{"fuse_residual.go", "onIntegers(d) || ", ""},
	{"sink_transpose.go", ", Integer: op.Integer}", "}"},
	{"flatten_concat.go", "inner.Axis == c.Axis", "inner.Axis >= 0 && c.Axis >= 0"},
	{"fold_batchnorm.go", "c.x.OnlyUse() != c.nodes[0] || ", ""},
	{"fold_batchnorm.go", "if padded(op.Pads) {", "if false {"},
	{"fold_batchnorm.go", "swapped && op.Fn == ir.Div", "false"},
	{"fold_pad.go", "op.Kind != ir.AvgPool || ", ""},
	{"fold_pad.go", " || p.Mode != ir.PadConstant", ""},
	{"fold_pad.go", "p.Value != 0 || ", ""},
	{"fuse_activation.go", "x.OnlyUse() != n || ", ""},
	{"fuse_prologue.go", "u.Node == nil || u.Index != 0", "u.Node == nil"},
	{"fuse_residual.go", "v.OnlyUse() != sum || ", ""},
	{"fuse_residual.go", "slices.Index(g.Nodes, o.Def()) > p", "false"},
	{"recognise_activations.go", "c == 1 && near32(k, 0.5)", "c == 1"},
	{"recognise_normalisation.go", "c != nil && slices.Equal(c.axes, axes)", "c != nil"},
	{"recognise_normalisation.go", "two == 2", "two > 0"},
	{"sink_transpose.go", "return n.Op, perm, true", "return n.Op, ir.Inverse(perm), true"},
}

// TestMutations checks that the other tests find broken passes.
func TestMutations(t *testing.T) {
	if !*mutate {
		t.Skip("takes a minute: run with -passes.mutate")
	}
	for _, m := range mutations {
		t.Run(m.file+"/"+m.old, func(t *testing.T) {
			src, err := os.ReadFile(m.file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(src), m.old) {
				t.Fatalf("%s does not contain %q", m.file, m.old)
			}
			dir := t.TempDir()
			broken := filepath.Join(dir, m.file)
			if err := os.WriteFile(broken, []byte(strings.Replace(string(src), m.old, m.new, 1)), 0o644); err != nil {
				t.Fatal(err)
			}
			abs, err := filepath.Abs(m.file)
			if err != nil {
				t.Fatal(err)
			}
			overlay, err := json.Marshal(map[string]map[string]string{"Replace": {abs: broken}})
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "overlay.json")
			if err := os.WriteFile(file, overlay, 0o644); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("go", "test", "-vet=off", "-overlay", file, "-timeout", "30s", "-run", "TestPasses|TestRandomGraphs", ".").CombinedOutput()
			switch {
			case err == nil:
				t.Error("no test failed")
			case strings.Contains(string(out), "[build failed]"):
				t.Errorf("it does not compile:\n%s", out)
			}
		})
	}
}
