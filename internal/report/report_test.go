package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"modelc"
	"modelc/frontend/source"
	"modelc/ir"
)

// compiled compiles a graph that comes from no file.
func compiled(t *testing.T, g *ir.Graph, o modelc.Options) *modelc.Compiled {
	t.Helper()
	c, err := modelc.CompileModel(&source.Model{Graph: g, Format: "text", SHA256: "5ha"}, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func pageOf(t *testing.T, c *modelc.Compiled, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, c, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var blocks = regexp.MustCompile(`(?s)(<(script|style)[^>]*>)(.*?)</(script|style)>`)

// checkPage parses the page as XML, without what its scripts and style hold,
// and fails on whatever would run, load or lead somewhere.
func checkPage(t *testing.T, page string) {
	t.Helper()
	if n := strings.Count(page, "<script"); n != 2 {
		t.Errorf("%d scripts", n)
	}
	ids, links := map[string]bool{}, []string{}
	d := xml.NewDecoder(strings.NewReader(blocks.ReplaceAllString(page, "$1</$2>")))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if slices.Contains([]string{"img", "iframe", "object", "link", "image", "use", "form"}, e.Name.Local) {
			t.Errorf("element %s", e.Name.Local)
		}
		for _, a := range e.Attr {
			switch name := a.Name.Local; {
			case name == "id" && ids[a.Value]:
				t.Errorf("id %q twice", a.Value)
			case name == "id":
				ids[a.Value] = true
			case name == "href" && strings.HasPrefix(a.Value, "#"):
				links = append(links, a.Value[1:])
			case name == "src", name == "href", strings.HasPrefix(name, "on"):
				t.Errorf("attribute %s=%q", name, a.Value)
			}
		}
	}
	for _, l := range links {
		if !ids[l] {
			t.Errorf("no id %q", l)
		}
	}
	if outside := regexp.MustCompile(`(https?:)?//[a-z0-9]+\.[^ ]*|@import|url\(`).FindAllString(strings.ReplaceAll(page, `xmlns="http://www.w3.org/2000/svg"`, ""), -1); outside != nil {
		t.Errorf("the page refers to %q", outside)
	}
}

func dataOf(t *testing.T, page string) map[string]graphData {
	t.Helper()
	_, s, ok := strings.Cut(page, `<script type="application/json" id="data">`)
	s, _, ok2 := strings.Cut(s, "</script>")
	var d map[string]graphData
	if err := json.Unmarshal([]byte(s), &d); !ok || !ok2 || err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPage(t *testing.T) {
	c := compiled(t, residual(t), modelc.Options{Flags: []string{"--dim", "N=1"}})
	for i := range c.Report.Passes {
		c.Report.Passes[i].Time = time.Millisecond
	}
	p := &modelc.Profile{SHA256: "5ha", Threads: 1, Tier: "generic", Median: 3}
	for i, l := range c.Program.Layers {
		p.Layers = append(p.Layers, modelc.LayerTime{Name: l.Name, Doc: l.Doc, Best: float64(i + 1), GFLOPS: 2})
	}
	page := pageOf(t, c, Options{Errors: true, Profile: p})
	checkPage(t, page)
	for _, want := range []string{"<code>--dim N=1</code>", "<code>5ha</code>", `data-l="error"`, `id="times"`, "<small>cheapest by the cost model: direct ", "<small>the producer&#39;s buffer carries the border</small>",
		"<code>fold_batchnorm</code>", `class="live" d="M0 `, ">8 → 6<"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if again := pageOf(t, c, Options{Errors: true, Profile: p}); again != page {
		t.Error("another page the second time")
	}
	d := dataOf(t, page)
	for _, n := range d["a"].Nodes {
		if n.Text != "" && (len(n.Parts) == 0 || len(n.Layers) == 0) {
			t.Errorf("%q: of nothing, or computed by no step: %+v", n.Name, n)
		}
	}
	for _, n := range d["b"].Nodes {
		if n.Text != "" && len(n.Into) == 0 {
			t.Errorf("%q became part of nothing", n.Name)
		}
	}
	plain := pageOf(t, c, Options{})
	checkPage(t, plain)
	if strings.Contains(plain, `data-l="error"`) || strings.Contains(plain, `id="times"`) {
		t.Error("the page shows what was not measured")
	}
	p.Layers[0].Doc = "something else"
	if err := Write(io.Discard, c, Options{Profile: p}); !errors.Is(err, ErrProfile) {
		t.Error(err)
	}
}

// Whatever a model says of itself, it stays text on the page.
func TestHostilePage(t *testing.T) {
	g := residual(t)
	g.Name = hostile
	g.Rename(g.Inputs[0], hostile)
	for _, n := range g.Nodes {
		n.Name = hostile
		g.Rename(n.Out[0], hostile)
	}
	g.Outputs[0].Name = hostile
	c := compiled(t, g, modelc.Options{Flags: []string{"--dim", hostile}})
	c.Model.Format, c.Model.SHA256, c.Model.Notes = hostile, hostile, []string{hostile}
	page := pageOf(t, c, Options{Errors: true})
	checkPage(t, page)
	d := dataOf(t, page)
	if got := d["b"].Nodes[1].Name; !strings.HasPrefix(got, "</script></style></svg><img src=x onerror=alert(1)>") {
		t.Errorf("%q", got)
	}
}

// The largest network of the zoo: the page stays small, and all on it holds
// together.
func TestDenseNet(t *testing.T) {
	c := zooModel(t, "densenet121")
	page := pageOf(t, c, Options{})
	checkPage(t, page)
	if len(page) > 1_500_000 {
		t.Errorf("%d bytes", len(page))
	}
	if n := strings.Count(page, `<tr id="l`); n != len(c.Program.Layers) || n < 120 {
		t.Errorf("%d rows for %d layers", n, len(c.Program.Layers))
	}
	if n := strings.Count(page, `<g class="n `); n != len(c.Before.Nodes)+len(c.Graph.Nodes)+4 {
		t.Errorf("%d boxes", n)
	}
}

// The script runs: it shows one graph, fitted to its frame.
func TestScript(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium")
	}
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, []byte(pageOf(t, compiled(t, residual(t), modelc.Options{}), Options{})), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", "--user-data-dir="+t.TempDir(), "--dump-dom", "file://"+path+"#b2").Output()
	if err != nil {
		t.Skipf("chromium does not start here: %v", err)
	}
	for _, want := range []string{`<html lang="en" class="js">`, `<figure data-graph="b" class="shown">`, `id="b2"`, `class="n norm on"`, "Became part of"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the page lacks %q once its script has run", want)
		}
	}
}
