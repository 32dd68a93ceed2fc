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
		if n, err := strconv.Atoi(strings.TrimLeft(l, "ab")); err == nil && n < boxes {
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
const $ = s => document.querySelector(s), all = s => [...document.querySelectorAll(s)], box = () => $('figure.shown svg').getAttribute('viewBox').split(' ').map(Number), seen = [];
const key = (e, key) => e.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
seen.push($('figure.shown').dataset.graph, $('.detail h3').textContent);
const find = $('.find input');
find.value = 'relu';
find.dispatchEvent(new Event('input'));
seen.push(document.querySelectorAll('.hit').length);
key(find, 'Enter');
seen.push($('.detail h3').textContent);
// Escape in the search closes the details, too.
key(find, 'Escape');
seen.push($('.detail').hidden, find.value === '', document.querySelectorAll('.hit').length);
// Tab reaches the nodes, which are in the order of the graph, and moves them into the canvas.
const nodes = all('figure.shown .n');
seen.push(nodes.every(n => n.tabIndex === 0) && all('figure:not(.shown) .n').every(n => !n.checkVisibility()));
$('[data-zoom=one]').click();
for (let i = 0; i < 9; i++) $('[data-zoom=in]').click();
seen.push(nodes.every(n => {
	n.focus();
	const c = $('.canvas').getBoundingClientRect();
	const r = n.querySelector('.b').getBoundingClientRect(), x = (r.left + r.right) / 2, y = (r.top + r.bottom) / 2;
	return document.activeElement === n && x > c.left && x < c.right && y > c.top && y < c.bottom;
}));
key(nodes[1], 'Enter');
seen.push($('.detail h3').textContent, nodes[1].classList.contains('on'));
key(document.body, 'Escape');
$('[data-graph=a]').click();
seen.push($('figure.shown').dataset.graph, $('.detail').hidden);
let b = box();
$('[data-zoom=in]').click();
seen.push(box()[2] < b[2]);
b = box();
key($('.canvas'), 'ArrowRight');
seen.push(box()[0] > b[0]);
$('.layers td.name a').click();
seen.push($('.detail h3').textContent);
$('.layers th').click();
$('.layers th').click();
seen.push($('.layers tbody tr').id);
// Paper shows the whole graph, the screen then what it showed before.
b = box();
dispatchEvent(new Event('beforeprint'));
const p = box();
seen.push(p[0] === 0 && p[1] === 0 && all('figure.shown .n').every(n => {
	const [x, y] = n.getAttribute('transform').match(/[\d.]+/g).map(Number), r = n.querySelector('.b');
	return x + r.width.baseVal.value < p[2] && y + r.height.baseVal.value < p[3];
}));
dispatchEvent(new Event('afterprint'));
seen.push(box().join() === b.join());
seen.push(document.documentElement.scrollWidth - document.documentElement.clientWidth);
document.title = seen.join(' ');
</script></body>`

// measured finds texts of the drawings that leave their box, at the sizes of the browser's
// fonts, and texts of the page that other texts cover.
const measured = `<script>
const wrong = [];
for (const f of document.querySelectorAll('figure')) {
	f.classList.add('shown');
	const svg = f.querySelector('svg');
	svg.setAttribute('viewBox', '0 0 ' + svg.clientWidth + ' ' + svg.clientHeight); // full size
	for (const far of [false, true]) {
		svg.classList.toggle('far', far);
		svg.classList.remove('farther');
		for (const n of f.querySelectorAll('.n')) {
			const w = n.querySelector('.b').width.baseVal.value, h = n.querySelector('.b').height.baseVal.value;
			for (const t of n.querySelectorAll('text')) {
				if (!t.checkVisibility() || t.closest('.p')) continue;
				const r = t.getBBox();
				if (r.x < 0 || r.x + r.width > w || r.y < 0 || r.y + r.height > h) wrong.push(t.textContent);
			}
		}
	}
	svg.style.setProperty('--name', '24px'); // that of the least scale at which boxes have texts
	svg.classList.add('far');
	for (const t of f.querySelectorAll('.gn:not([transform])')) {
		const r = t.getBBox(), frame = t.previousElementSibling.getBBox();
		if (r.x + r.width > frame.x + frame.width || parseFloat(getComputedStyle(t).fontSize) * .62 < 8) wrong.push('group ' + t.textContent);
		for (const b of f.querySelectorAll('.n')) {
			const x = b.transform.baseVal[0].matrix.e, y = b.transform.baseVal[0].matrix.f, box = b.querySelector('.b').getBBox();
			if (r.x < x + box.width && x < r.x + r.width && r.y + 3 < y + box.height && y < r.y + r.height - 3) wrong.push(t.textContent + ' on a box');
		}
	}
}
const texts = [...document.querySelectorAll('h1, h2, .lead, .fact span, .fact strong, dt, dd, td, th, .ticks span')].filter(e => e.checkVisibility() && e.textContent);
const boxes = texts.map(e => e.getBoundingClientRect());
for (let i = 0; i < boxes.length; i++) for (let j = Math.max(0, i - 40); j < i; j++) {
	const a = boxes[i], b = boxes[j];
	if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1) wrong.push(texts[i].textContent + ' on ' + texts[j].textContent);
}
document.title = document.querySelectorAll('.n').length + ' boxes, ' + wrong.length + ' wrong: ' + wrong.slice(0, 5).join(', ');
</script></body>`

// inBrowser returns the title of a page after its script ran in Chromium.
func inBrowser(t *testing.T, page, script, fragment, size string) string {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if !*long || err != nil {
		t.Skip("wants -long and chromium")
	}
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, []byte(strings.Replace(page, "</body>", script, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", "--user-data-dir="+t.TempDir(), "--window-size="+size, "--dump-dom", "file://"+path+fragment).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, title, _ := strings.Cut(string(out), "<title>")
	title, _, _ = strings.Cut(title, "</title>")
	return title
}

// Links, search, zoom, keys and sorting of the page work in a wide and in a narrow
// window.
func TestScript(t *testing.T) {
	g := residual(t)
	g.Nodes[0].Name = "c1"
	page := pageOf(t, compiled(t, g, modelc.Options{}), Options{})
	for _, size := range []string{"1280,900", "480,900"} {
		// Box 2 of the graph as written is b1; the program has five steps; the
		// page is not wider than the window.
		want := "b b1 2 r1 true true 0 true true c1 true a true true true c1 l4 true true 0"
		if title := inBrowser(t, page, exercise, "#b2", size); title != want {
			t.Errorf("%s: got %q, want %q", size, title, want)
		}
	}
}

// Texts are inside their boxes, and no text is on another.
func TestTexts(t *testing.T) {
	for _, name := range []string{"lenet5", "vgg16", "densenet121"} {
		page := pageOf(t, zooModel(t, name), Options{})
		for _, size := range []string{"1280,900", "500,900"} {
			if title := inBrowser(t, page, measured, "", size); !strings.Contains(title, " 0 wrong") || strings.HasPrefix(title, "0 boxes") {
				t.Errorf("%s, %s: %s", name, size, title)
			}
		}
	}
}

// Names break after their parts only, and lines do not break inside a flag.
func TestBreaks(t *testing.T) {
	if got := breakable("a.b_<c>/d"); got != "a.<wbr/>b_&lt;c&gt;/<wbr/>d" {
		t.Error(got)
	}
	var b strings.Builder
	for _, w := range words("for 1 (--batch <N>)") {
		b.WriteString(string(w))
	}
	if b.String() != `for 1 <span class="flag">(--batch</span> &lt;N&gt;)` {
		t.Error(b.String())
	}
	page := pageOf(t, zooModel(t, "resnet18"), Options{})
	if !strings.Contains(page, "layer1.<wbr/>0.<wbr/>conv1</a>") {
		t.Error("names of layers do not break")
	}
}

// Paper has the summary, the graph, and tables with the columns of a wide window.
func TestPrint(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if !*long || err != nil {
		t.Skip("wants -long and chromium")
	}
	dir := t.TempDir()
	path, paper := filepath.Join(dir, "page.html"), filepath.Join(dir, "page.pdf")
	if err := os.WriteFile(path, []byte(pageOf(t, zooModel(t, "vgg16"), Options{})), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", "--user-data-dir="+t.TempDir(), "--print-to-pdf="+paper, "file://"+path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	pdf, err := os.ReadFile(paper)
	if err != nil {
		t.Fatal(err)
	}
	pages := len(regexp.MustCompile(`/Type\s*/Page\b`).FindAll(pdf, -1))
	wide := 0
	for _, m := range regexp.MustCompile(`/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]`).FindAllSubmatch(pdf, -1) {
		w, _ := strconv.ParseFloat(string(m[1]), 64)
		h, _ := strconv.ParseFloat(string(m[2]), 64)
		if w > h {
			wide++
		}
	}
	if pages < 3 || pages > 7 || wide != 1 {
		t.Errorf("%d pages, %d of them wide", pages, wide)
	}
}
