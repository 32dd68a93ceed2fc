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
	{"absorb.go", "old[i%len(old)]", "old[0]"},
	{"absorb.go", "if onIntegers(d) {", "if false {"},
	{"dense_bias.go", "x.OnlyUse() != n", "false"},
	{"dense_bias.go", " || onIntegers(d) && dense.Integer.To != ir.Float32", ""},
	{"fold_pad.go", " || p.Value != float64(op.Integer.XZero)", ""},
	{"fold_pad.go", " || n.Input(ir.ConvXZero) != nil", ""},
	{"fuse_residual.go", "(onIntegers(d) || v.Type.DType != ir.Float32)", "v.Type.DType != ir.Float32"},
	{"fuse_residual.go", "op.Integer.Requantises() && op.Groups > 1 || ", ""},
	{"fuse_residual.go", "ok && op.Integer.YZero != []int{b.AZero, b.BZero}[i]", "ok && b.To == ir.Invalid"},
	{"fuse_residual.go", "d.Input(ir.ConvResidual) != nil || ", ""},
	{"fuse_residual.go", "!o.Type.Shape.Equal(v.Type.Shape) || ", ""},
	{"fuse_residual.go", "b.AScale, b.BScale, b.AZero, b.BZero = b.BScale, b.AScale, b.BZero, b.AZero", "b.AScale, b.BScale = b.BScale, b.AScale"},
	{"fuse_residual.go", "if at == 1 {", "if false {"},
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
	{"integer/scheme.go", `if !(scale > 0) || math.IsInf(scale, 0) {`, `if false {`},
	{"integer/scheme.go", `return e[0], !slices.ContainsFunc(e, func(x float64) bool { return x != e[0] })`, `return e[0], !slices.ContainsFunc(e[:1], func(x float64) bool { return x != e[0] })`},
	{"integer/scheme.go", `c.lo = s.quantise(0)`, `c.lo = max(c.lo, 0)`},
	{"integer/scheme.go", `float64(float32(q-s.zero)*s.scale) == x`, `x == x`},
	{"integer/move.go", `why != "" || dq != nil && x.scheme != s`, `why != ""`},
	{"integer/move.go", `d == nil || n.In[0].OnlyUse() != n`, `d == nil`},
	{"integer/move.go", ` && touches(op, n.In[0].Type.Shape[2:], n.Out[0].Type.Shape[2:])`, ``},
	{"integer/move.go", `op.Mode == ir.ResizeNearest && `, ``},
	{"integer/move.go", `v.OnlyUse() != d && v.Const == nil && !isDequantize(v)`, `v == nil`},
	{"integer/move.go", `op.Kind == ir.MaxPool && `, `op.Kind <= ir.AvgPool && `},
	{"integer/move.go", `(op.Fn == ir.ReduceMax || op.Fn == ir.ReduceMin) && `, ``},
	{"integer/quantise.go", `reader.In[0].OnlyUse() != reader`, `false`},
	{"integer/quantise.go", `op.Fn != ir.Add && op.Fn != ir.Mul`, `false`},
	{"integer/quantise.go", `if c != full(s.dtype) {`, `if false {`},
	{"integer/quantise.go", `!slices.Equal(op.Axes, ir.SpatialAxes(r))`, `false`},
	{"integer/quantise.go", `op.Kind != ir.AvgPool || `, ``},
	{"integer/quantise.go", `q.AScale, q.BScale = float64(a.scale/s.scale), float64(b.scale/s.scale)`, `q.AScale, q.BScale = float64(a.scale/s.scale), float64(a.scale/s.scale)`},
	{"integer/function.go", `v.Const.Shape.Len() != 1 || v.Type.Rank() > len(r.shape)`, `false`},
	{"integer/function.go", `table.DType != x.Type.DType || !identity(table)`, `table.DType != x.Type.DType`},
	{"integer/function.go", `d == nil || n.In[0].OnlyUse() != n || `, `d == nil || `},
	{"integer/function.go", `l > h || table[q-lowest] != min(max(q, l), h)`, `l > h`},
	{"integer/layer.go", `d.HasPrologue() || d.Input(ir.ConvResidual) != nil`, `false`},
	{"integer/layer.go", ` || float64(float32(q)*unit) != l.bias[i]`, ``},
	{"integer/layer.go", `math.Abs(scale[i%len(scale)]-want) > 3e-7*want`, `math.Abs(scale[i%len(scale)]-want) > 3e7*want`},
	{"integer/layer.go", `!ok || zero != 0`, `!ok || zero != zero`},
	{"integer/layer.go", `err := ir.CheckSums(l.x.dtype, l.x.zero, false, l.w.t, l.w.columns, bias); err != nil`, `err := error(nil); err != nil`},
	{"integer/weights.go", `centred[i] -= int64(zeros[channel(i)%len(zeros)])`, `centred[i] -= int64(zeros[channel(i)%1])`},
	{"integer/weights.go", `e != int64(int8(e))`, `e != e`},
	{"integer/weights.go", `len(v) == m && t.Shape[axis] == m`, `len(v) == m || t.Shape[axis] == m`},
	{"integer/dynamic.go", `v.OnlyUse() != n || cast.In[0].OnlyUse() != cast || `, ``},
	{"integer/dynamic.go", `size == m && at >= 0 && v.Type.Shape[at] == m`, `size == m && at >= 0`},
	{"integer/dynamic.go", ` || bias.Const == nil || d.Input(ir.Bias) != nil`, ` || bias.Const == nil`},
	{"integer/recognise.go", `!ok || !p.fits(c.To)`, `!ok`},
	{"integer/recognise.go", `x == math.Trunc(x) && `, ``},
	{"integer/recognise.go", `!ok || a.Fn != ir.Round`, `!ok || a.Fn == ir.Abs`},
	{"integer/recognise.go", `if p.lo <= float64(lo) && p.hi >= float64(hi) {`, `if true {`},
	{"integer/recognise.go", `if !(e > 0) || math.IsInf(e, 0) {`, `if e == 0 {`},
	{"integer/recognise.go", `!n.Out[0].Type.Shape.Equal(x.Type.Shape)`, `false`},
	{"integer/recognise.go", `to != ir.Uint8 && to != ir.Int8 || !inRange(to, zero)`, `to != ir.Uint8 && to != ir.Int8`},
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
			broken := filepath.Join(dir, filepath.Base(m.file))
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
