package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"modelc"
	"modelc/frontend"
	"modelc/frontend/source"
	"modelc/internal/report/layout"
	"modelc/internal/zoo"
	"modelc/ir"
	"modelc/passes"
)

var (
	update = flag.Bool("update", false, "rewrite testdata with the drawings")
	long   = flag.Bool("long", false, "run the page's script, too, in chromium")
)

// hostile is a name with special characters of all formats. Every format must
// escape it.
const hostile = `</script></style></svg><img src=x onerror=alert(1)>" onload="alert(2)" \N \" ]]> --> {{.}} &lt;` + "\x00\n\xff"

func parse(t *testing.T, text string) *ir.Graph {
	t.Helper()
	g, err := ir.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// residual returns a block of a residual network with hostile names.
func residual(t *testing.T) *ir.Graph {
	g := parse(t, `graph "block"
input %x : f32[1,16,8,8]
const %w1 : f32[16,16,3,3] = seed=1
const %w2 : f32[16,16,3,3] = seed=2
const %w3 : f32[16,16,1,1] = seed=3
const %s : f32[16] = seed=4
const %v : f32[16] = {1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1}
%c1 = Conv(%x, %w1) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
%b1 = BatchNorm(%c1, %s, %s, %s, %v)
%r1 = Unary(%b1) fn=Relu
%c2 = Conv(%r1, %w2) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
%b2 = BatchNorm(%c2, %s, %s, %s, %v)
%c3 = Conv(%x, %w3) strides=[1,1] pads=[0,0,0,0] dilations=[1,1] groups=1
%a = Binary(%b2, %c3) fn=Add
%y = Unary(%a) fn=Relu
output "y" %y
`)
	g.Nodes[0].Name = hostile
	return g
}

func optimised(t *testing.T, g *ir.Graph) *ir.Graph {
	t.Helper()
	g = g.Clone()
	if _, err := passes.Run(g, &passes.Config{}); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGolden(t *testing.T) {
	g := residual(t)
	for name, g := range map[string]*ir.Graph{"before": g, "after": optimised(t, g)} {
		p := Draw(g)
		for ext, write := range map[string]func(io.Writer) error{".svg": p.WriteSVG, ".dot": p.WriteDOT} {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+ext)
			if *update {
				if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), b.String()); d != "" {
				t.Errorf("%s (-update rewrites it):\n%s", path, d)
			}
		}
	}
}

// wellFormed fails the test unless text is XML and contains only elements of a
// drawing.
func wellFormed(t *testing.T, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch e.Name.Local {
		case "svg", "style", "g", "rect", "path", "text", "title":
		default:
			t.Fatalf("element %q", e.Name.Local)
		}
		for _, a := range e.Attr {
			if strings.HasPrefix(a.Name.Local, "on") {
				t.Fatalf("attribute %q", a.Name.Local)
			}
		}
	}
}

// Names of a model are always text.
func TestHostileNames(t *testing.T) {
	g := residual(t)
	g.Name = hostile
	for _, v := range g.Inputs {
		g.Rename(v, hostile)
	}
	for _, n := range g.Nodes {
		n.Name = hostile
	}
	for i := range g.Outputs {
		g.Outputs[i].Name = hostile
	}
	for _, g := range []*ir.Graph{g, optimised(t, g)} {
		var svg, dot bytes.Buffer
		p := Draw(g)
		if err := errors.Join(p.WriteSVG(&svg), p.WriteDOT(&dot)); err != nil {
			t.Fatal(err)
		}
		wellFormed(t, svg.String())
		// Outside its strings, the DOT file contains only our own syntax.
		rest, in := "", false
		for s := dot.String(); s != ""; s = s[1:] {
			switch {
			case in && s[0] == '\\':
				s = s[1:]
			case s[0] == '"':
				in = !in
			case s[0] == '\n' && in:
				t.Fatal("a string of DOT runs over its line")
			case !in:
				rest += s[:1]
			}
		}
		if in || strings.Contains(rest, "alert") || strings.Contains(rest, "img") {
			t.Errorf("%s", rest)
		}
	}
}

// The parts of a fused node are the nodes of the model that it computes.
func TestParts(t *testing.T) {
	g := residual(t)
	g.Nodes[0].Name = "c1"
	got := map[string]string{}
	for _, b := range Draw(optimised(t, g)).boxes {
		var parts []string
		for _, q := range b.parts {
			parts = append(parts, q.text+" "+q.node.Name)
		}
		got[b.name] = strings.Join(parts, ", ")
	}
	want := map[string]string{"x": "", "c1": "BatchNorm b1, Relu r1", "c2": "BatchNorm b2", "c3": "Add a, Relu y", "y": ""}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, b := range Draw(g).boxes {
		if len(b.parts) > 0 {
			t.Errorf("%s: parts of a node of the model", b.name)
		}
	}
}

// zooModel compiles a network at a small size. Its graph is equal to that of the
// full size.
func zooModel(t *testing.T, name string) *modelc.Compiled {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".onnx")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	o := zoo.Options{Width: 0.25}
	if !strings.HasPrefix(name, "lenet5") {
		o.Size = 64
	}
	if err := errors.Join(zoo.Write(f, name, o), f.Close()); err != nil {
		t.Fatal(err)
	}
	c, err := modelc.Compile(path, modelc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// The drawings of every network of the zoo have no overlaps and are XML of a
// bounded size. They show all nodes of the model.
func TestZoo(t *testing.T) {
	for _, name := range zoo.Names() {
		t.Run(name, func(t *testing.T) {
			c := zooModel(t, name)
			connected(t, c.Model)
			for _, p := range []*Picture{DrawModel(c.Model), Draw(c.Before), Draw(c.Graph)} {
				if err := layout.Check(p.graph, p.drawing); err != nil {
					t.Error(err)
				}
				var b bytes.Buffer
				if err := p.WriteSVG(&b); err != nil {
					t.Fatal(err)
				}
				wellFormed(t, b.String())
				if limit := 10_000 + 1500*len(p.boxes); b.Len() > limit {
					t.Errorf("%d bytes for %d boxes", b.Len(), len(p.boxes))
				}
			}
			shown := map[*ir.Node]bool{}
			for _, n := range c.Graph.Nodes {
				for _, o := range n.Origins {
					shown[o] = true
				}
			}
			for _, n := range c.Before.Nodes {
				if !shown[n] {
					t.Errorf("%s became part of nothing", n)
				}
			}
		})
	}
}

// connected fails the test unless the picture of a model has all its layers, and every
// layer but the last is read by others.
func connected(t *testing.T, m *source.Model) {
	t.Helper()
	p := DrawModel(m)
	shown, read := map[*source.Layer]bool{}, map[int]bool{}
	for _, w := range p.wires {
		read[w.from] = read[w.from] || len(w.to) > 0
	}
	for i, b := range p.boxes {
		if b.call != nil {
			shown[b.call.Layer] = true
		}
		if b.title != "Output" && !read[i] {
			t.Errorf("nothing reads %s", b.name)
		}
	}
	for _, l := range m.Layers {
		if l.Depth == 0 && !shown[l] {
			t.Errorf("no box for %s", l.Name)
		}
	}
}

// keras returns a model as Keras describes it: a layer that is called three times, once with
// its own result, and a layer that changes nothing.
func keras(t *testing.T) *source.Model {
	g := parse(t, `graph "shared"
input %a : f32[1,3]
input %b : f32[1,3]
%c = Unary(%a) fn=Relu
%c1 = Unary(%c) fn=Relu
%c2 = Unary(%b) fn=Relu
%add = Binary(%c1, %c2) fn=Add
output "out" %add
`)
	v := func(i int) []*ir.Value { return g.Nodes[i].Out }
	relu, drop, add := &source.Layer{Name: "c", Class: "ReLU"}, &source.Layer{Name: "drop", Class: "Dropout"}, &source.Layer{Name: "add", Class: "Add"}
	in := &source.Layer{Name: "a", Class: "InputLayer"}
	return &source.Model{Graph: g, Layers: []*source.Layer{in, relu, drop, add}, Calls: []*source.Call{
		{Layer: in, Makes: []string{"a"}, Out: g.Inputs[:1]},
		{Layer: relu, Reads: []string{"a"}, Makes: []string{"c"}, Out: v(0), Nodes: g.Nodes[:1]},
		{Layer: relu, Reads: []string{"c"}, Makes: []string{"c:1:0"}, Out: v(1), Nodes: g.Nodes[1:2]},
		{Layer: relu, Reads: []string{"b"}, Makes: []string{"c:2:0"}, Out: v(2), Nodes: g.Nodes[2:3]},
		{Layer: drop, Reads: []string{"c:1:0"}, Makes: []string{"drop"}, Out: v(1)},
		{Layer: add, Reads: []string{"drop", "c:2:0"}, Makes: []string{"add"}, Out: v(3), Nodes: g.Nodes[3:4]},
	}}
}

// A layer that is used several times has a box for each use. A layer that changes nothing has
// a box between its operand and its readers.
func TestDrawModel(t *testing.T) {
	m := keras(t)
	connected(t, m)
	p := DrawModel(m)
	if err := layout.Check(p.graph, p.drawing); err != nil {
		t.Error(err)
	}
	var got []string
	for _, w := range p.wires {
		for _, k := range w.to {
			got = append(got, fmt.Sprintf("%s %s > %s %s", p.boxes[w.from].title, p.boxes[w.from].name, p.boxes[k].title, p.boxes[k].name))
		}
	}
	want := []string{"Input b > ReLU c", "InputLayer a > ReLU c", "ReLU c > ReLU c", "ReLU c > Dropout drop", "ReLU c > Add add", "Dropout drop > Add add", "Add add > Output out"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// The layers of models that Keras wrote are connected.
func TestKeras(t *testing.T) {
	paths, err := filepath.Glob("../../testdata/keras/*/model.*")
	if err != nil || len(paths) < 4 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		m, err := frontend.Load(path, source.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Calls) == 0 {
			t.Errorf("%s: no layers", path)
		}
		connected(t, m)
		m.Release()
	}
}

// The graphs of short networks fill a page from left to right at a readable scale. The
// blocks of long networks have frames with names that are readable in a drawing that fits
// the page.
func TestFits(t *testing.T) {
	for _, test := range []struct {
		name     string
		sideways bool
		blocks   string
	}{
		{"lenet5", true, ""},
		{"vgg16", true, "conv1 conv2 conv3 conv4 conv5"},
		{"resnet50", false, "layer1 layer2 layer3 layer4"},
		{"densenet121", false, "denseblock1 transition1 denseblock2 transition2 denseblock3 transition3 denseblock4"},
	} {
		c := zooModel(t, test.name)
		p := DrawModel(c.Model)
		d := p.drawing
		if d.Sideways != test.sideways {
			t.Errorf("%s: sideways is %v", test.name, d.Sideways)
		}
		const width, height = 1240, 740
		if ratio := d.W / d.H; ratio > 6 || ratio < 1 {
			t.Errorf("%s: a strip of %g×%g", test.name, d.W, d.H)
		}
		scale := min(width/d.W, height/d.H)
		if test.sideways && scale < 0.9 {
			t.Errorf("%s: the page shows it at a scale of %.2f", test.name, scale)
		}
		var names []string
		for k, g := range p.groups {
			names = append(names, g.name)
			if len(d.Frames[k]) == 0 {
				t.Errorf("%s: no frame for %s", test.name, g.name)
			}
		}
		if got := strings.Join(names, " "); got != test.blocks {
			t.Errorf("%s: blocks %s", test.name, got)
		}
		for _, p := range []*Picture{p, Draw(c.Graph)} {
			if size := p.letters * p.scale(width, height); len(p.groups) > 0 && size < 10 {
				t.Errorf("%s: names of blocks have letters of %.1f pixels", test.name, size)
			}
		}
	}
}

// Texts end inside their box or frame, and frames do not cross the lines between columns.
func TestLetters(t *testing.T) {
	for _, name := range []string{"lenet5", "vgg16", "resnet50", "densenet121"} {
		c := zooModel(t, name)
		for _, p := range []*Picture{DrawModel(c.Model), Draw(c.Graph)} {
			for _, b := range p.boxes {
				for text, letter := range map[string]float64{b.title: titleLetter, b.name: nameLetter, b.shape: shapeLetter} {
					if w := 14 + letter*float64(len([]rune(text))); w > b.w {
						t.Errorf("%s: %q needs a width of %g, its box has %g", name, text, w, b.w)
					}
				}
				for i, q := range b.parts {
					if q.x+q.w > b.w || q.y+pillHeight > b.h || q.y < plainHeight-6 || i > 0 && q.y == b.parts[i-1].y && q.x < b.parts[i-1].x+b.parts[i-1].w {
						t.Errorf("%s: %q at %g, %g in a box of %g×%g", name, q.text, q.x, q.y, b.w, b.h)
					}
				}
			}
			for _, lines := range p.drawing.Wires {
				for _, l := range lines {
					for i := 1; l.Square && i < len(l.Points); i++ {
						a, b := l.Points[i-1], l.Points[i]
						for _, frames := range p.drawing.Frames {
							for _, f := range frames {
								const touch = 1e-6
								inX := max(a.X, b.X) > f.X+touch && min(a.X, b.X) < f.X+f.W-touch
								inY := max(a.Y, b.Y) > f.Y+touch && min(a.Y, b.Y) < f.Y+f.H-touch
								if inX && inY && i > 1 && i < len(l.Points)-1 {
									t.Errorf("%s: the line from %v to %v crosses the frame %v", name, a, b, f)
								}
							}
						}
					}
				}
			}
		}
	}
}
