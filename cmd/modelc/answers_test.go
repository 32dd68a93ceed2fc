package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"modelc/internal/npy"
	"modelc/internal/onnxfile"
	"modelc/ir"
)

// digitFolder copies the digits into folders and adds three files that are no pictures.
func digitFolder(t *testing.T) string {
	t.Helper()
	list, err := filepath.Glob(digits + "*.png")
	if err != nil || len(list) < 10 {
		t.Fatal(list, err)
	}
	dir := t.TempDir()
	for _, p := range list {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, filepath.Base(p)[:1], filepath.Base(p)), string(b))
	}
	put(t, filepath.Join(dir, "3", "text.png"), "hello")
	put(t, filepath.Join(dir, "3", "empty.png"), "")
	b, err := os.ReadFile(list[0])
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "7", "cut.png"), string(b[:len(b)/2]))
	return dir
}

// A folder gives a record for each file, in the same order for any number of jobs. Bad files
// have records too. An interrupted run continues.
func TestRunMany(t *testing.T) {
	dir, out := digitFolder(t), t.TempDir()
	args := func(more ...string) []string {
		return append([]string{"run", digits + "lenet5.onnx", dir, "--engine", "inproc"}, more...)
	}
	records := filepath.Join(out, "a.jsonl")
	code, text, errs := invoke(t, args("--results", records)...)
	if code != exitFailed || !strings.Contains(errs, "3 of 15 files failed") || !strings.Contains(text, "15 files, 15 of them now, 3 with errors") {
		t.Fatalf("exit %d\n%s%s", code, text, errs)
	}
	whole, err := os.ReadFile(records)
	if err != nil {
		t.Fatal(err)
	}
	right, failed := 0, 0
	for line := range bytes.Lines(whole) {
		var a answer
		if err := json.Unmarshal(line, &a); err != nil {
			t.Fatal(err)
		}
		if a.Error != "" {
			failed++
			continue
		}
		o := a.Outputs[0]
		if o.Scores != "probability" || len(o.Classes) != 5 {
			t.Errorf("%s: %+v", a.File, o)
		}
		if fmt.Sprint(o.Classes[0].Index) == filepath.Base(filepath.Dir(a.File)) {
			right++
		}
	}
	if right < 11 || failed != 3 {
		t.Errorf("%d right, %d failed", right, failed)
	}
	if code, got, _ := invoke(t, args("--jobs", "3", "--format", "jsonl", "-q")...); code != exitFailed || got != string(whole) {
		t.Errorf("3 jobs: exit %d\n%s", code, got)
	}
	if code, _, errs := invoke(t, args("--results", records)...); code != exitFailed || !strings.Contains(errs, "--resume") {
		t.Errorf("an existing file: exit %d, %s", code, errs)
	}
	if err := os.WriteFile(records, whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "7", "cut.png")); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := invoke(t, args("--results", records, "--resume")...); code != exitFailed || !strings.Contains(errs, "2 of 14 files failed") {
		t.Errorf("resumed: exit %d, %s", code, errs)
	}
	if b, err := os.ReadFile(records); err != nil || bytes.Count(b, []byte("\n")) != 14 {
		t.Errorf("%s, %v", b, err)
	}

	table := filepath.Join(out, "a.csv")
	invoke(t, args("--results", table, "--top", "1")...)
	b, err := os.ReadFile(table)
	if lines := strings.Split(string(b), "\n"); err != nil || len(lines) != 16 || lines[0] != "file,error,class_1,name_1,probability_1" || !strings.Contains(lines[1], "0_0.png,,0,,0.9") {
		t.Errorf("%s, %v", b, err)
	}

	// Names of outputs keep the folders.
	if code, _, errs := invoke(t, args("--output", filepath.Join(out, "y"), "-q")...); code != exitFailed {
		t.Error(code, errs)
	}
	if y, err := npy.Read(filepath.Join(out, "y", "3", "3_0.output_0.npy")); err != nil || y.Shape.Len() != 10 {
		t.Error(y, err)
	}
}

// A tensor beside pictures does not give all of them its batch.
func TestRunMixed(t *testing.T) {
	code, out, errs := invoke(t, "run", digits+"lenet5.onnx", digits+"data/input_0.npy", digits+"3_0.png", "--engine", "inproc", "--format", "jsonl")
	lines := strings.Split(out, "\n")
	if code != exitFailed || len(lines) != 3 || !strings.Contains(lines[0], "the data is f32[12,1,28,28], the model wants f32[1,1,28,28]") || !strings.Contains(lines[1], `"classes":[{"index":3,`) {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

// Names come from standard input, and from patterns.
func TestRunNames(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdin
	os.Stdin = r
	defer func() { os.Stdin = old }()
	fmt.Fprintf(w, "%s3_0.png\n%[1]s8_?.png\n", digits)
	w.Close()
	code, out, errs := invoke(t, "run", digits+"lenet5.onnx", "-", digits+"3_0.png", "--engine", "inproc", "--top", "1")
	if code != 0 || strings.Count(out, "class") != 3 || !strings.Contains(out, "8_1.png") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if !strings.Contains(errs, "levels from 0 to 1; this is a guess, see --preprocess") {
		t.Errorf("no remark about the preprocessing: %s", errs)
	}
	if code, _, errs := invoke(t, "run", digits+"lenet5.onnx", "*.gif"); code != exitFailed || !strings.Contains(errs, "*.gif: no file has such a name") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

func TestRunLogits(t *testing.T) {
	model := filepath.Join(t.TempDir(), "logits.onnx")
	if code, _, errs := invoke(t, "zoo", "lenet5", "--logits", "-o", model); code != 0 {
		t.Fatal(errs)
	}
	args := []string{"run", model, digits + "3_0.png", "--engine", "inproc", "--preprocess", "unit"}
	code, out, errs := invoke(t, args...)
	if code != 0 || !strings.Contains(out, "3_0.png: score (logit)\n") || !strings.Contains(errs, "the scores are logits; --softmax makes probabilities") || strings.Contains(errs, "guess") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	code, out, errs = invoke(t, append(args, "--softmax")...)
	if code != 0 || strings.Contains(out, "logit") || errs != "modelc: pictures are stretched to 28×28 pixels, filter bilinear; made grey, with levels from 0 to 1\n" {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if code, _, errs := invoke(t, "run", digits+"lenet5.onnx", digits+"3_0.png", "--softmax"); code != exitFailed || !strings.Contains(errs, "--softmax is for logits, and the scores of this model are of the kind probability") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// The levels of a model that scales them are from 0 to 255.
func TestRunScaled(t *testing.T) {
	g, err := ir.Parse("graph \"scaled\"\ninput %x : f32[1,1,1,2]\nconst %k : f32[] = {0.003921569}\n%a : f32[1,1,1,2] = Binary(%x, %k) fn=Mul\n%y : f32[1,2] = Reshape(%a) shape=[1,2]\noutput \"y\" %y\n")
	if err != nil {
		t.Fatal(err)
	}
	model := filepath.Join(t.TempDir(), "scaled.onnx")
	put(t, model, onnxText(t, g))
	code, _, errs := invoke(t, "run", model, digits+"3_0.png", "--engine", "inproc")
	if code != 0 || !strings.Contains(errs, "levels from 0 to 255, which the model scales; this is a guess") {
		t.Errorf("exit %d, %s", code, errs)
	}
	for mode, warned := range map[string]bool{"unit": true, "none": false} {
		code, _, errs := invoke(t, "run", model, digits+"3_0.png", "--engine", "inproc", "--preprocess", mode)
		if code != 0 || strings.Contains(errs, "warning: the model itself scales levels from 0 to 255") != warned {
			t.Errorf("%s: exit %d, %s", mode, code, errs)
		}
	}
}

func TestRunInputs(t *testing.T) {
	g, err := ir.Parse("graph \"two\"\ninput %a : f32[1,3]\ninput %b : f32[1,3]\n%y : f32[1,3] = Binary(%a, %b) fn=Sub\noutput \"y\" %y\n")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	put(t, "two.onnx", onnxText(t, g))
	for name, x := range map[string][]float64{"a.npy": {5, 6, 7}, "b.npy": {1, 1, 9}} {
		if err := npy.Write(name, ir.FromFloat64s(ir.T(ir.Float32, 1, 3), x)); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errs := invoke(t, "run", "two.onnx", "--input", "b=b.npy", "--input", "a=a.npy", "--engine", "inproc", "--top", "1")
	if code != 0 || !strings.Contains(out, "class 1 5") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	for _, c := range []struct{ args, want string }{
		{"a.npy", "has 2 inputs: name a file for each with --input NAME=FILE: a, b"},
		{"--input a=a.npy", "no file for the inputs b"},
		{"--input a=a.npy --input b=b.npy --input c=a.npy", `no input "c"; it has a, b`},
		{"--input a=a.npy b.npy", "there is no place for"},
		{"--input a", "want NAME=FILE"},
	} {
		if code, _, errs := invoke(t, append([]string{"run", "two.onnx", "--engine", "inproc"}, strings.Fields(c.args)...)...); code == 0 || !strings.Contains(errs, c.want) {
			t.Errorf("%s: exit %d, %s", c.args, code, errs)
		}
	}
}

// onnxText encodes a graph as an ONNX file.
func onnxText(t *testing.T, g *ir.Graph) string {
	t.Helper()
	var b bytes.Buffer
	m, err := onnxfile.FromGraph(g, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The bar of a run over many files shows the rate and the remaining time, on one line of the
// terminal.
func TestRate(t *testing.T) {
	var b bytes.Buffer
	now := time.Unix(0, 0)
	p := &progress{w: &b, bar: true, columns: 80, only: "files", now: func() time.Time { return now }}
	p.report("files", 0, 100)
	now = now.Add(5 * time.Second)
	p.report("files", 20, 100)
	if !strings.HasSuffix(b.String(), "20 %, 20 of 100, 4/s, 20s left") {
		t.Errorf("%q", b.String())
	}
	b.Reset()
	now = now.Add(time.Second)
	p.report("reference outputs", 1, 2)
	if b.Len() > 0 {
		t.Errorf("another stage: %q", b.String())
	}
	p.report("files", 20, 123456789)
	if n := utf8.RuneCountInString(strings.TrimPrefix(b.String(), eraseLine)); n > 80 || n < 78 {
		t.Errorf("%d columns: %q", n, b.String())
	}
}
