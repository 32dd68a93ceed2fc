package report

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"html/template"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"modelc"
	"modelc/backend/cuda"
	"modelc/backend/cuda/nvrtc"
	"modelc/backend/cuda/roofline"
	"modelc/frontend/source"
	"modelc/internal/measure"
	"modelc/ir"
)

// compiled compiles a graph that was not read from a file.
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

// checkPage parses the page as XML, without the content of scripts and style. It
// fails the test if the page contains other scripts or loads or links to
// anything outside.
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
	boxes := strings.Count(page, `<g class="n `)
	for _, l := range links {
		if n, err := strconv.Atoi(strings.TrimPrefix(l, "a")); err == nil && n < boxes {
			continue
		}
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
	p := &measure.Profile{SHA256: "5ha", Threads: 1, Tier: "generic"}
	for i, l := range c.Program.Layers {
		p.Layers = append(p.Layers, measure.LayerTime{Name: l.Name, Doc: l.Doc, Time: float64(i + 1), GFLOPS: 2})
		p.Time += float64(i + 1)
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

// The page shows each kernel for a GPU with its roofline, and what ptxas reports or why it
// does not.
func TestCUDA(t *testing.T) {
	c := compiled(t, residual(t), modelc.Options{CUDA: &cuda.Config{}})
	r := roofline.Analyse(c.CUDA, nvrtc.H100)
	r.Missing = "no <ptxas>"
	for i := range r.Rows {
		r.Rows[i].Usage = nil
	}
	page := pageOf(t, c, Options{CUDA: r})
	checkPage(t, page)
	for i, k := range c.CUDA.Kernels {
		if !strings.Contains(page, "<code>"+k.Name+"</code>") || !strings.Contains(page, ">"+decimals(r.Rows[i].Roofline)+"<") || !strings.Contains(page, template.HTMLEscapeString(c.CUDA.Steps.Layers[i].Doc)) {
			t.Errorf("the page lacks %s", k.Name)
		}
	}
	if !strings.Contains(page, "occupancy: no &lt;ptxas&gt;.") || strings.Contains(page, "Registers") {
		t.Error("the page does not say why it shows no registers")
	}
	r.Missing = ""
	for i := range r.Rows {
		r.Rows[i].Usage, r.Rows[i].Occupancy = &nvrtc.Usage{Registers: 77, Shared: 4321, Spills: 99}, 0.5
	}
	if page := pageOf(t, c, Options{CUDA: r}); !strings.Contains(page, ">77<") || !strings.Contains(page, ">4321<") || !strings.Contains(page, ">99<") || !strings.Contains(page, ">50 %<") {
		t.Error("the page lacks the usage")
	}
	if page := pageOf(t, c, Options{}); strings.Contains(page, `id="cuda"`) {
		t.Error("the page shows kernels without a report of them")
	}
	r.Rows = r.Rows[1:]
	if err := Write(io.Discard, c, Options{CUDA: r}); !errors.Is(err, ErrProfile) {
		t.Error(err)
	}
}

// All strings of a model are text on the page.
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

// Models without nodes and models with a constant output have a page too.
func TestNothing(t *testing.T) {
	for _, text := range []string{
		"graph \"\"\ninput %x : f32[1,3]\noutput \"y\" %x\n",
		"graph \"\"\ninput %x : f32[1,3]\nconst %c : f32[2] = {1,2}\noutput \"y\" %c\n",
	} {
		checkPage(t, pageOf(t, compiled(t, parse(t, text), modelc.Options{}), Options{Errors: true}))
	}
}

// The page of the largest network of the zoo is small and consistent.
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

// exercise simulates a reader's actions on the page and records the results.
const exercise = `<script>
const $ = s => document.querySelector(s), box = () => $('figure.shown svg').getAttribute('viewBox').split(' ').map(Number), seen = [];
const key = (e, key) => e.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
seen.push($('figure.shown').dataset.graph, $('.detail h3').textContent);
const find = $('.find input');
find.value = 'relu';
find.dispatchEvent(new Event('input'));
seen.push(document.querySelectorAll('.hit').length);
key(find, 'Enter');
seen.push($('.detail h3').textContent);
$('[data-graph=a]').click();
seen.push($('figure.shown').dataset.graph, $('.detail').hidden);
let b = box();
$('[data-zoom=in]').click();
seen.push(box()[2] < b[2]);
b = box();
key($('.canvas'), 'ArrowDown');
seen.push(box()[1] > b[1]);
$('.layers td.name a').click();
seen.push($('.detail h3').textContent);
$('.layers th').click();
$('.layers th').click();
seen.push($('.layers tbody tr').id);
seen.push(document.documentElement.scrollWidth - document.documentElement.clientWidth);
document.title = seen.join(' ');
</script></body>`

// Links, search, zoom, keys and sorting of the page work in a wide and in a narrow
// window.
func TestScript(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if !*long || err != nil {
		t.Skip("wants -long and chromium")
	}
	g := residual(t)
	g.Nodes[0].Name = "c1"
	page := pageOf(t, compiled(t, g, modelc.Options{}), Options{})
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, []byte(strings.Replace(page, "</body>", exercise, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, size := range []string{"1280,900", "480,900"} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		out, err := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", "--user-data-dir="+t.TempDir(), "--window-size="+size, "--dump-dom", "file://"+path+"#b2").Output()
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		_, title, _ := strings.Cut(string(out), "<title>")
		title, _, _ = strings.Cut(title, "</title>")
		// Box 2 of the graph as written is b1; the program has five steps; the
		// page is not wider than the window.
		if want := "b b1 2 r1 a true true true c1 l4 0"; title != want {
			t.Errorf("%s: got %q, want %q", size, title, want)
		}
	}
}
