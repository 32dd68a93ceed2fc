package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"modelc"
	"modelc/frontend/keras"
	"modelc/frontend/source"
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

// The list of layers in docs/keras.md is that of the front end. -update rewrites
// it.
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
	samePage(t, kerasDoc, string(replaceSection(t, page, "layers", b.String())))
}

// applications are the networks of keras.applications in docs/keras.md.
var applications = strings.Fields(`VGG16 VGG19 ResNet50 ResNet101 ResNet152
	ResNet50V2 ResNet101V2 ResNet152V2 DenseNet121 DenseNet169 DenseNet201
	MobileNet MobileNetV2 MobileNetV3Small MobileNetV3Large InceptionV3
	InceptionResNetV2 Xception EfficientNetB0 EfficientNetV2B0 NASNetMobile
	ConvNeXtTiny`)

// kerasPython returns the Python interpreter in MODELC_KERAS. It must have
// TensorFlow and Keras.
func kerasPython(t *testing.T) string {
	python := os.Getenv("MODELC_KERAS")
	if python == "" {
		t.Skip("MODELC_KERAS is not set: it names a Python with tensorflow-cpu and keras, which makes the models")
	}
	return python
}

// Generated packages of the networks of keras.applications at full size give the
// outputs of Keras. The .h5 file and the .keras file of a network give the same
// graph and bit-identical weights. -update rewrites the rows of the networks in the
// table of docs/keras.md.
func TestApplications(t *testing.T) {
	python := kerasPython(t)
	rows := map[string]string{}
	version := ""
	for _, name := range applications {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if out, err := exec.CommandContext(t.Context(), python, "testdata/applications.py", dir, name).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			set := filepath.Join(dir, name)
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
			sameGraphs(t, filepath.Join(set, "model.keras"), filepath.Join(set, "model.h5"))
			begin := time.Now()
			c, err := load(filepath.Join(set, "model.keras"), set, modelc.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			b, err := gorun.NewBuilder(dir, true)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Add(c.Compiled); err != nil {
				t.Fatal(err)
			}
			p, err := b.Build(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(begin)
			got, err := p.Run(t.Context(), 0, c.in)
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
			rows[name] = fmt.Sprintf("| %s | %.1f M | %d | %d | %.1e | %.1f |", name, float64(about.Parameters)/1e6, len(c.Before.Nodes), len(c.Program.Layers), d.Rel, took.Seconds())
			t.Log(rows[name])
		})
	}
	if *update && !t.Failed() {
		updateApplications(t, rows, fmt.Sprintf("Keras %s with TensorFlow; compiled on %s, %d processors, %s.\n", version, processor(), runtime.NumCPU(), runtime.Version()))
	}
}

// sameGraphs loads two files of one model and compares their graphs and weights.
func sameGraphs(t *testing.T, paths ...string) {
	t.Helper()
	var texts []string
	for _, path := range paths {
		m, err := keras.Load(path, source.Options{})
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, ir.Format(m.Graph))
		if err := m.Release(); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(strings.Split(texts[0], "\n"), strings.Split(texts[1], "\n")); diff != "" {
		t.Errorf("%s and %s differ: %.2000s", paths[0], paths[1], diff)
	}
}

// updateApplications replaces the rows of networks that ran in the table.
func updateApplications(t *testing.T, rows map[string]string, footnote string) {
	t.Helper()
	page, err := os.ReadFile(kerasDoc)
	if err != nil {
		t.Fatal(err)
	}
	text := "| network | parameters | nodes | steps | error | compile, s |\n| --- | --- | --- | --- | --- | --- |\n"
	for _, name := range applications {
		row := rows[name]
		if row == "" {
			row = regexp.MustCompile(`(?m)^\| ` + name + ` \|.*$`).FindString(string(page))
		}
		if row != "" {
			text += row + "\n"
		}
	}
	if err := os.WriteFile(kerasDoc, replaceSection(t, page, "applications", text+"\n"+footnote), 0o644); err != nil {
		t.Fatal(err)
	}
}

// top returns the index of the largest element.
func top(t *ir.Tensor) int {
	x := t.Float32s()
	return slices.Index(x, slices.Max(x))
}

// processor returns the name of this machine's processor.
func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for l := range strings.Lines(string(info)) {
		if key, value, _ := strings.Cut(l, ":"); strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
