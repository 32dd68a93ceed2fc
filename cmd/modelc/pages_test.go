package main

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/modfile"

	"modelc/backend/golang"
	"modelc/frontend/keras"
	"modelc/frontend/onnx"
	"modelc/internal/speed"
)

// samePage compares the page at path with the text that it must have. -update writes
// the text.
func samePage(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not current: run go test ./cmd/modelc -run %s -update\n%s", path, t.Name(), diff)
	}
}

// The facts in README come from the tables of the code. The commands that it names
// exist, and the first one prints what README shows.
func TestReadme(t *testing.T) {
	const path = "../../README.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	reports := speedReports(t)
	page = replaceSection(t, page, "speed", speed.Beside(1, reports...)+"\n"+sources(reports))
	samePage(t, path, string(replaceSection(t, page, "facts", facts(t))))
	for _, m := range regexp.MustCompile("modelc ([a-z]+)").FindAllStringSubmatch(strings.Join(quoted(string(page)), "\n"), -1) {
		if examples[m[1]] == nil {
			t.Errorf("%s: modelc has no command %s", path, m[1])
		}
	}
	_, out, _ := invoke(t, "run", digits+"lenet5.onnx", digits+"3_0.png")
	shown := 0
	for line := range strings.Lines(string(page)) {
		if line, ok := strings.CutPrefix(line, "      class "); ok {
			shown++
			if !strings.Contains(out, "\n  class "+line) {
				t.Errorf("%s shows class %swhich is not in\n%s", path, line, out)
			}
		}
	}
	if shown < 2 {
		t.Errorf("%s shows %d classes", path, shown)
	}
}

// README is read in two minutes.
func TestReadmeLength(t *testing.T) {
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(string(page))); n > 1150 {
		t.Errorf("README.md has %d words, want at most 1150", n)
	}
}

// All pages state the same version of Go for packages, and that of go.mod for modelc.
func TestGoVersions(t *testing.T) {
	n, own := 0, goVersion(t)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".md" || d.Name() == "CHANGELOG.md" {
			return err
		}
		page, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`\b[Gg]o (1\.\d+)`).FindAllSubmatch(page, -1) {
			n++
			if v := string(m[1]); v != golang.MinimumGo && v != own {
				t.Errorf("%s names Go %s", path, v)
			}
		}
		return err
	})
	if err != nil || n < 2 {
		t.Error(n, err)
	}
}

// The page about deploying has a part for each question.
func TestDeployingDoc(t *testing.T) {
	page, err := os.ReadFile("../../docs/deploying.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"scratch", "distroless", "Dockerfile", "arm64", "GOMEMLIMIT", "quota", "SBOM", "licence", "modelc diff", "-bench", "workflow.yml", "upgrade", "Several models", "Monitoring"} {
		if !strings.Contains(strings.ToLower(string(page)), strings.ToLower(topic)) {
			t.Errorf("docs/deploying.md does not speak of %s", topic)
		}
	}
}

// The tables and the picture of docs/performance.md show the measurements in docs/measured.
func TestPerformance(t *testing.T) {
	const path, picture = "../../docs/performance.md", "../../docs/performance.svg"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	reports := speedReports(t)
	page = replaceSection(t, page, "two threads", speed.Beside(2, reports...))
	var all strings.Builder
	for _, rows := range reports {
		fmt.Fprintf(&all, "%s\n%s\n", speed.Times(rows), speed.Costs(rows))
	}
	samePage(t, path, string(replaceSection(t, page, "engines", all.String())))
	samePage(t, picture, speed.Picture(reports...))
}

// speedReports returns the measurements of all kinds of machines, those of AVX-512 first.
func speedReports(t *testing.T) [][]*speed.Row {
	t.Helper()
	paths, err := filepath.Glob("../../docs/measured/avx*.json")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	var reports [][]*speed.Row
	for _, p := range slices.Backward(paths) {
		rows, err := speed.Read(p)
		if err != nil {
			t.Fatal(err)
		}
		reports = append(reports, rows)
	}
	return reports
}

// sources returns where the measurements are from.
func sources(reports [][]*speed.Row) string {
	var b strings.Builder
	for _, rows := range reports {
		b.WriteString(speed.Source(rows))
	}
	return b.String()
}

// quoted returns the code in a page: spans, blocks and indented lines.
func quoted(page string) []string {
	return regexp.MustCompile("(?sm)^```.*?^```|`[^`\n]+`|^    .*?$").FindAllString(page, -1)
}

// facts returns the lines of README that follow from the code: what modelc reads, its
// score, and the version of Go.
func facts(t *testing.T) string {
	t.Helper()
	layers := 0
	for _, s := range keras.Table() {
		if s.Namespace == "keras.layers" {
			layers++
		}
	}
	score, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	// The columns are required, eval, inproc, go.
	cases := regexp.MustCompile(`(?m)^\| distinct cases \| (\d+) \| \d+ \| \d+ \| (\d+) \|`).FindSubmatch(score)
	if cases == nil {
		t.Fatal("docs/conformance.md has no row of distinct cases")
	}
	return fmt.Sprintf("- modelc reads ONNX, IR versions %d to %d and opsets 1 to %d, with %d operators. It passes %s of the %s ONNX node tests that concern convolutional networks (`docs/conformance.md`).\n"+
		"- It reads models of Keras 2 and 3, from `.keras`, `.h5`, or `model.json` beside its weights, with %d layers (`docs/keras.md`). `modelc ops` lists all operators and layers.\n"+
		"- Packages need Go %s or later, modelc itself Go %s.\n",
		onnx.OldestIR, onnx.NewestIR, onnx.Newest, len(onnx.Table()), cases[2], cases[1], layers, golang.MinimumGo, goVersion(t))
}

// goVersion returns the version of Go in go.mod, such as 1.26.
func goVersion(t *testing.T) string {
	t.Helper()
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	f, err := modfile.Parse("go.mod", mod, nil)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(f.Go.Version, ".0")
}

// docs/commands.md has the help of every command.
func TestCommandsDoc(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# Commands

` + "`go test ./cmd/modelc -run TestCommandsDoc -update`" + ` writes this page. It is what ` + "`modelc COMMAND --help`" + ` prints.

Results go to stdout, as JSON with ` + "`--json`" + `. Errors and the progress of long operations go to stderr. Progress is a bar on a terminal and otherwise a line every few seconds; ` + "`-q`" + ` turns it off. ` + "`NO_COLOR`" + ` is honoured.

The exit status is 0 on success, 1 if the model, its data or the result is wrong, and 2 if the command line is wrong.

` + "`modelc completion bash|zsh|fish|powershell`" + ` writes a completion script, which completes commands, flags, models, pictures, networks of the zoo, passes and modes.
`)
	for _, name := range slices.Sorted(maps.Keys(examples)) {
		if name == "modelc" {
			continue
		}
		code, help, errs := invoke(t, name, "--help")
		if code != 0 {
			t.Fatalf("modelc %s --help: exit %d\n%s", name, code, errs)
		}
		help, _, _ = strings.Cut(help, "\nFlags of all commands:") // and the exit status
		fmt.Fprintf(&b, "\n## modelc %s\n\n```\n%s\n```\n", name, strings.TrimSpace(help))
	}
	samePage(t, "../../docs/commands.md", b.String())
}
