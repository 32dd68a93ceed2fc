package cpu_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"modelc/backend/cpu"
	"modelc/backend/plan"
	"modelc/frontend"
	"modelc/frontend/source"
	"modelc/internal/npy"
	"modelc/internal/zoo"
	"modelc/ir"
	"modelc/passes"
	"modelc/runtime/kernel"
	"modelc/runtime/kernel/integer"
)

// For every convolution and pool of the zoo, and of the corpus if there is one,
// the padding that a program reports is what its kernel does, and follows the
// decision of choose_padding.
func TestPadding(t *testing.T) {
	count, models := map[string]int{}, 0
	check := func(t *testing.T, path string, o source.Options) {
		m, err := frontend.Load(path, o)
		if err != nil {
			t.Skip(err)
		}
		defer m.Release()
		models++
		for _, exact := range []bool{false, true} {
			g := m.Graph.Clone()
			if _, err := passes.Run(g, &passes.Config{Exact: exact}); err != nil {
				t.Fatal(err)
			}
			p, err := cpu.Build(g, cpu.Config{Exact: exact})
			if err != nil {
				t.Fatal(err)
			}
			for how, n := range checkPadding(t, p) {
				count[how] += n
			}
		}
	}
	dir := t.TempDir()
	for _, name := range zoo.Names() {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name+".onnx")
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			o := zoo.Options{Width: 0.25, Size: 64}
			if strings.HasPrefix(name, "lenet") {
				o = zoo.Options{}
			}
			if err := errors.Join(zoo.Write(f, name, o), f.Close()); err != nil {
				t.Fatal(err)
			}
			check(t, path, source.Options{})
		})
	}
	if root := os.Getenv("MODELC_CORPUS"); root != "" {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			name, _ := filepath.Rel(root, path)
			if slices.Contains([]string{".onnx", ".keras", ".h5"}, filepath.Ext(path)) && !strings.HasPrefix(name, "hostile") {
				t.Run(name, func(t *testing.T) { check(t, path, source.Options{InputShapes: storedShapes(filepath.Dir(path))}) })
			}
			return err
		})
		if err != nil || models < 500 {
			t.Fatalf("%d models, %v", models, err)
		}
	}
	for _, text := range paddingCases {
		g, err := ir.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := passes.Run(g, &passes.Config{Only: []string{"choose_padding"}}); err != nil {
			t.Fatal(err)
		}
		p, err := cpu.Build(g, cpu.Config{})
		if err != nil {
			t.Fatal(err)
		}
		for how, n := range checkPadding(t, p) {
			count[how] += n
		}
	}
	t.Logf("%d models: %v", models, count)
	for _, how := range []string{plan.NoPadding, plan.Halo, plan.Peel, plan.PaddedCopy} {
		if count[how] == 0 {
			t.Errorf("no convolution or pool has the padding %s", how)
		}
	}
}

// storedShapes returns the shapes of the inputs stored beside a model.
func storedShapes(dir string) (shapes []ir.Shape) {
	for i := 0; ; i++ {
		x, err := npy.Read(filepath.Join(dir, fmt.Sprintf("input_%d.npy", i)))
		if err != nil {
			return shapes
		}
		shapes = append(shapes, x.Shape)
	}
}

// paddingCases are graphs with a channels-last input, with a first layer that has
// groups, and with dilations that would need a larger border than other readers.
var paddingCases = []string{
	`input %i : f32[1,12,12,3]
const %w : f32[8,3,3,3] = seed=1
const %v : f32[8,8,3,3] = seed=2
%x = Transpose(%i) perm=[0,3,1,2]
%y = Conv(%x, %w) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
%a = Conv(%y, %v) strides=[1,1] pads=[9,9,9,9] dilations=[9,9] groups=1
%b = Unary(%y) fn=Exp
output "a" %a
output "b" %b
`,
	`input %x : f32[1,3,12,12]
const %w : f32[6,1,3,3] = seed=1
%y = Conv(%x, %w) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=3
output "y" %y
`,
	`input %x : f32[1,32,6,6]
const %w : f32[32,32,3,3] = seed=1
const %s : f32[32] = seed=2
%r = Unary(%x) fn=Exp
%d = Conv(%r, %w) strides=[2,2] pads=[16,16,16,16] dilations=[16,16] groups=1
%e = Conv(%r, %w, _, _, %s, %s) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1 prologue=Relu
%f = Conv(%r, %w) strides=[1,1] pads=[2,2,2,2] dilations=[2,2] groups=1
%g = Conv(%r, %w) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
output "d" %d
output "e" %e
output "f" %f
output "g" %g
`,
}

// checkPadding compares the padding that the layers of p report with their
// kernels. It returns the number of layers with each kind of padding.
func checkPadding(t *testing.T, p *cpu.Program) map[string]int {
	t.Helper()
	count := map[string]int{}
	covered := map[*ir.Node]bool{}
	for i, l := range p.Layers {
		for _, n := range l.Nodes {
			covered[n] = true
		}
		k := p.Plan.Steps[i].Kernel
		if _, copies := k.(*kernel.Copy); l.Node == nil || copies || l.MovesLayout {
			if l.Padding != (plan.Padding{}) {
				t.Errorf("%s: %s has padding %s", l.Name, l.Kernel, l.Padding)
			}
			continue
		}
		var leaves, copied bool
		x := l.Node.In[0]
		in, out := x.Type.Shape[min(2, x.Type.Rank()):], l.Node.Out[0].Type.Shape[min(2, l.Node.Out[0].Type.Rank()):]
		switch op := l.Node.Op.(type) {
		case ir.Conv:
			leaves = plan.Leaves(in, out, l.Node.In[1].Type.Shape[2:], op.Strides, op.Dilations, op.Pads)
			copied = op.Padding == ir.PadCopy
		case ir.Pool:
			leaves = plan.Leaves(in, out, op.Kernel, op.Strides, op.Dilations, op.Pads)
		case ir.QAveragePool:
			leaves = plan.Leaves(in, out, op.Kernel, op.Strides, op.Dilations, op.Pads)
		default:
			if l.Padding != (plan.Padding{}) {
				t.Errorf("%s: a %s has padding %s", l.Name, l.Node.Op.Name(), l.Padding)
			}
			continue
		}
		src, clips := operand(k)
		made := i > 0 && slices.ContainsFunc(p.Layers[:i], func(c plan.Layer) bool { return c.Node == l.Node && c.Kernel == "Copy" })
		want := plan.Halo
		switch {
		case !leaves:
			want = plan.NoPadding
		case made:
			want = plan.PaddedCopy
		case clips:
			want = plan.Peel
		}
		if l.Padding.How != want || l.Padding.Why == "" {
			t.Errorf("%s (%s): padding %s, want %s", l.Name, l.Doc, l.Padding, want)
		}
		if made && !(leaves && copied) {
			t.Errorf("%s (%s): a padded copy that choose_padding did not ask for", l.Name, l.Doc)
		}
		if reads := want == plan.Halo || want == plan.PaddedCopy; reads && !carries(src, l.Node) {
			t.Errorf("%s (%s): the border %d,%d,%d,%d is too small", l.Name, l.Doc, src.Top, src.Left, src.Bottom, src.Right)
		}
		if strings.Contains(l.Doc, ", halo") != (want == plan.Halo) || strings.Contains(l.Doc, ", padded copy") != (want == plan.PaddedCopy) {
			t.Errorf("%s: %q does not say %s", l.Name, l.Doc, want)
		}
		count[want]++
	}
	for _, n := range p.Graph.Nodes {
		switch n.Op.(type) {
		case ir.Conv, ir.Pool:
			if !covered[n] {
				t.Errorf("no step computes %s", n)
			}
		}
	}
	return count
}

// operand returns the image that a kernel reads. clips reports whether the kernel
// needs no border around it.
func operand(k kernel.Kernel) (src kernel.Image, clips bool) {
	transforms := func(scale, shift kernel.Ref, pre kernel.Act) bool {
		return scale.Present() || shift.Present() || pre != kernel.Act{}
	}
	switch k := k.(type) {
	case *kernel.Conv:
		return k.Src, transforms(k.Scale, k.Shift, k.Pre)
	case *kernel.Depthwise:
		return k.Src, transforms(k.Scale, k.Shift, k.Pre)
	case *kernel.ConvDepthwise:
		return k.Depth.Src, false
	case *kernel.ConvFirstDepthwise:
		return k.Depth.Src, false
	case *kernel.ConvLast:
		return k.Src, false
	case *kernel.Winograd:
		return k.Src, k.Dilation > 1 || transforms(k.Scale, k.Shift, k.Pre)
	case *kernel.Strassen:
		return k.Src, false
	case *integer.Conv:
		return k.Src, false
	case *integer.ConvPool:
		return k.Conv.Src, false
	case *integer.Depthwise:
		return k.Src, false
	case *integer.Winograd:
		return k.Src, false
	case *integer.ConvByTier:
		return k.Bytes.Src, false
	}
	return kernel.Image{}, true // first layers, pools, plain loops
}

// carries reports whether the border of src holds all elements that the windows
// of the convolution n read.
func carries(src kernel.Image, n *ir.Node) bool {
	c := n.Op.(ir.Conv)
	w, out := n.In[1].Type.Shape, n.Out[0].Type.Shape
	ends := func(axis, size int) int {
		return (out[2+axis]-1)*c.Strides[axis] + (w[2+axis]-1)*c.Dilations[axis] + 1 - c.Pads[axis] - size
	}
	if len(w) == 3 {
		return src.Left >= c.Pads[0] && src.Right >= ends(0, src.W)
	}
	return src.Top >= c.Pads[0] && src.Left >= c.Pads[1] && src.Bottom >= ends(0, src.H) && src.Right >= ends(1, src.W)
}
