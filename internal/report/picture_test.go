package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"modelc"
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
			for _, g := range []*ir.Graph{c.Before, c.Graph} {
				p := Draw(g)
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
