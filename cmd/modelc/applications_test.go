package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"modelc"
	"modelc/frontend/keras"
	"modelc/internal/gorun"
	"modelc/ir"
	"modelc/ir/eval"
)

const kerasDoc = "../../docs/keras.md"

// replaceSection returns the text of a page with the part between the comments
// <!-- NAME … --> and <!-- end --> replaced.
func replaceSection(t *testing.T, page []byte, name, text string) []byte {
	t.Helper()
	re := regexp.MustCompile(`(?s)(<!-- ` + name + `[^>]*-->\n).*?(<!-- end -->)`)
	if !re.Match(page) {
		t.Fatalf("the page has no section %s", name)
	}
	return re.ReplaceAll(page, []byte("${1}"+strings.ReplaceAll(text, "$", "$$")+"${2}"))
}

// The list of layers in docs/keras.md is that of the front end; -update writes
// it anew.
func TestKerasDoc(t *testing.T) {
	page, err := os.ReadFile(kerasDoc)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| namespace | family | names |\n| --- | --- | --- |\n")
	table := keras.Table()
	for len(table) > 0 {
		first := table[0]
		n := slices.IndexFunc(table, func(s keras.Supported) bool { return s.Namespace != first.Namespace || s.Family != first.Family })
		if n < 0 {
			n = len(table)
		}
		var names []string
		for _, s := range table[:n] {
			names = append(names, "`"+s.Name+"`")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", first.Namespace, first.Family, strings.Join(names, " "))
		table = table[n:]
	}
	want := replaceSection(t, page, "layers", b.String())
	if *update {
		if err := os.WriteFile(kerasDoc, want, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(page) != string(want) {
		t.Errorf("%s is not current: run go test ./cmd/modelc -run TestKerasDoc -update", kerasDoc)
	}
}

// The networks of keras.applications at full size, through generated packages,
// against what Keras computed. testdata/applications.py makes the folder that
// MODELC_ORACLE names. With -update the table in docs/keras.md is written anew.
func TestApplications(t *testing.T) {
	dir := os.Getenv("MODELC_ORACLE")
	if dir == "" {
		t.Skip("MODELC_ORACLE is not set: testdata/applications.py makes the networks of keras.applications, with TensorFlow")
	}
	var rows []string
	version := ""
	for _, set := range folders(t, dir) {
		name := filepath.Base(set)
		t.Run(name, func(t *testing.T) {
			var about struct {
				Parameters int64
				Keras      string
			}
			text, err := os.ReadFile(filepath.Join(set, "about.json"))
			if err == nil {
				err = json.Unmarshal(text, &about)
			}
			if err != nil {
				t.Fatal(err)
			}
			version = about.Keras
			begin := time.Now()
			c, err := load(filepath.Join(set, "model.keras"), set, modelc.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			folder := t.TempDir()
			b, err := gorun.NewBuilder(folder, true)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Add(c.Compiled); err != nil {
				t.Fatal(err)
			}
			p, err := b.Build(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(begin)
			defer os.RemoveAll(folder) // the networks take gigabytes together
			got, err := p.Run(context.Background(), 0, c.in)
			if err != nil {
				t.Fatal(err)
			}
			d, err := eval.Compare(got[0], c.want[0])
			if err != nil {
				t.Fatal(err)
			}
			if !d.Within(1e-4) || top(got[0]) != top(c.want[0]) {
				t.Errorf("%s; best class %d, Keras %d", d, top(got[0]), top(c.want[0]))
			}
			row := fmt.Sprintf("| %s | %.1f M | %d | %d | %.1e | %.1f |", name, float64(about.Parameters)/1e6, len(c.Before.Nodes), len(c.Program.Layers), d.Rel, took.Seconds())
			t.Log(row)
			rows = append(rows, row)
		})
	}
	if len(rows) == 0 {
		t.Fatalf("%s holds no networks", dir)
	}
	text := "| network | parameters | nodes | steps | error | compile, s |\n| --- | --- | --- | --- | --- | --- |\n" + strings.Join(rows, "\n") + "\n\n" +
		fmt.Sprintf("Keras %s with TensorFlow; compiled on %s, %d processors, %s.\n", version, processor(), runtime.NumCPU(), runtime.Version())
	t.Log("\n" + text)
	if *update && !t.Failed() {
		page, err := os.ReadFile(kerasDoc)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(kerasDoc, replaceSection(t, page, "applications", text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// top returns the index of the largest element.
func top(t *ir.Tensor) int {
	x := t.Float32s()
	return slices.Index(x, slices.Max(x))
}

// processor names this machine's.
func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for l := range strings.Lines(string(info)) {
		if key, value, _ := strings.Cut(l, ":"); strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
