package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"modelc/internal/zoo"
)

// A bar appears during long work, changes a few times a second, and is erased
// before other text is written.
func TestBar(t *testing.T) {
	var screen bytes.Buffer
	now := time.Now()
	p := &progress{w: &screen, bar: true, now: func() time.Time { return now }}
	term := &terminal{out: stream{Writer: &screen, tty: true}, err: stream{Writer: &screen, tty: true}, progress: p}
	step := func(after time.Duration, stage string, done, total int, want string) {
		t.Helper()
		now = now.Add(after)
		screen.Reset()
		p.report(stage, done, total)
		if got := screen.String(); got != want {
			t.Errorf("%s %d/%d after %v: %q, want %q", stage, done, total, after, got, want)
		}
	}
	line := func(stage, bar, percent string) string {
		return "\r\x1b[2K" + stage + strings.Repeat(" ", 20-len(stage)) + " │" + bar + "│ " + percent
	}
	step(0, "passes", 0, 4, "")
	step(300*time.Millisecond, "passes", 1, 4, "")
	step(200*time.Millisecond, "passes", 2, 4, line("passes", "████████████············", " 50 %"))
	step(50*time.Millisecond, "passes", 3, 4, "")
	step(0, "weights", 0, 0, line("weights", "························", "  0 %"))
	step(100*time.Millisecond, "weights", 1000, 1000, line("weights", "████████████████████████", "100 %"))

	screen.Reset()
	term.behind(term.out).Write([]byte("done\n"))
	term.behind(term.err).Write([]byte("really\n"))
	if got := screen.String(); got != "\r\x1b[2Kdone\nreally\n" {
		t.Errorf("%q", got)
	}
}

// Without a terminal, long work prints a line every few seconds.
func TestProgressLines(t *testing.T) {
	var log bytes.Buffer
	now := time.Now()
	p := &progress{w: &log, now: func() time.Time { return now }}
	for i := range 12 {
		p.report("reference outputs", i, 12)
		now = now.Add(time.Second)
	}
	p.clear()
	if got, want := log.String(), "modelc: reference outputs, 42 %\nmodelc: reference outputs, 83 %\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// noise is a warning that depends on the machine.
var noise = regexp.MustCompile(`(?m)^warning: the machine is too noisy.*\n`)

// Long work reports its stages, except with --quiet. An interrupt stops it, and
// nothing is written.
func TestProgress(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/progress\n\ngo 1.24\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	path := zooFile(t, "resnet18", zoo.Options{Width: 0.25, Size: 64})
	// The clock jumps, so that every report is shown.
	slow := func(args ...string) (code int, out, errs string) {
		var stdout, stderr bytes.Buffer
		term := newTerminal(&stdout, &stderr)
		now := time.Now()
		term.progress.now = func() time.Time { now = now.Add(lineEvery); return now }
		code = run(t.Context(), args, term)
		return code, stdout.String(), noise.ReplaceAllString(stderr.String(), "")
	}
	pkg := filepath.Join(dir, "net")
	for _, c := range []struct {
		args   []string
		stages []string
	}{
		{[]string{"compile", path, "-o", pkg}, []string{"passes", "schedule", "reference outputs", "weights"}},
		{[]string{"verify", path, "--engine", "inproc"}, []string{"passes", "schedule", "reference outputs"}},
		{[]string{"bench", path, "--runs", "2"}, []string{"passes", "measuring runs"}},
		{[]string{"tune", path, "--runs", "1"}, []string{"measuring direct", "measuring winograd"}},
		{[]string{"run", path, "../../runtime/vision/testdata/jpeg_420.jpg"}, []string{"go build"}},
		{[]string{"doctor"}, []string{"memory", "go build"}},
	} {
		code, out, errs := slow(c.args...)
		for _, stage := range c.stages {
			if !strings.Contains(errs, "modelc: "+stage) {
				t.Errorf("%s reports no %s:\n%s", c.args[0], stage, errs)
			}
		}
		if code != 0 || !regexp.MustCompile(`^(modelc: ([^\n]*, \d+ %|pictures are [^\n]*)\n)*$`).MatchString(errs) || regexp.MustCompile(`(?m)^modelc: `).MatchString(out) {
			t.Errorf("%s: exit %d\n%s%s", c.args[0], code, out, errs)
		}
		if code, _, errs := slow(append(c.args, "--quiet")...); code != 0 || errs != "" {
			t.Errorf("%s --quiet: exit %d\n%s", c.args[0], code, errs)
		}
	}
	if _, out, _ := slow("compile", path, "-o", pkg, "-q"); out != "" {
		t.Errorf("compile -q prints\n%s", out)
	}

	// Interrupt the work after the given number of reports.
	for _, after := range []int{0, 3, 60} {
		ctx, cancel := context.WithCancel(t.Context())
		var stdout, stderr bytes.Buffer
		term := newTerminal(&stdout, &stderr)
		reports := 0
		term.progress.now = func() time.Time {
			if reports++; reports > after {
				cancel()
			}
			return time.Now()
		}
		code := run(ctx, []string{"compile", path, "-o", filepath.Join(dir, "interrupted")}, term)
		if code != exitFailed || stderr.String() != "modelc: interrupted\n" || stdout.Len() > 0 {
			t.Errorf("after %d reports: exit %d\n%s%s", after, code, &stdout, &stderr)
		}
		cancel()
	}
	if list, _ := os.ReadDir(dir); len(list) != 2 {
		t.Errorf("left behind: %v", list)
	}
}

// Colours are used only on a terminal, and only if the user wants them.
func TestColours(t *testing.T) {
	for _, c := range []struct {
		tty, colourless bool
		want            string
	}{{true, false, "\x1b[31mmodelc:\x1b[0m"}, {true, true, "modelc:"}, {false, false, "modelc:"}} {
		var out, errs bytes.Buffer
		term := newTerminal(&out, &errs)
		term.out.tty, term.err.tty, term.colourless = c.tty, c.tty, c.colourless
		if code := run(t.Context(), []string{"frobnicate"}, term); code != exitUsage || !strings.HasPrefix(errs.String(), c.want+" unknown") {
			t.Errorf("%+v: exit %d, %q", c, code, errs.String())
		}
		run(t.Context(), []string{"verify", digits + "lenet5.onnx", "--engine", "inproc"}, term)
		if got, want := strings.HasSuffix(out.String(), ": \x1b[32mok\x1b[0m\n"), strings.HasPrefix(c.want, "\x1b"); got != want {
			t.Errorf("%+v: %q", c, out.String())
		}
	}
	t.Setenv("NO_COLOR", "1")
	if !newTerminal(os.Stdout, os.Stderr).colourless {
		t.Error("NO_COLOR is not honoured")
	}
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	if newTerminal(os.Stdout, os.Stderr).colourless {
		t.Error("an empty NO_COLOR counts")
	}
}

// --json prints one JSON value and nothing else.
func TestJSON(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/json\n\ngo 1.24\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	model := digits + "lenet5.onnx"
	for _, c := range []struct {
		code int
		args string
		want string // part of the printed text
	}{
		{0, "compile " + model + " -o " + filepath.Join(dir, "net"), `"package": "net"`},
		{0, "diff " + model + " " + filepath.Join(dir, "net"), `"current": true`},
		{1, "diff " + digits + "../keras/lenet5/model.onnx " + filepath.Join(dir, "net"), `net/weights.bin"`},
		{0, "run " + model + " " + digits + "3_0.png " + digits + "7_0.png --engine inproc --top 1", `"index": 7`},
		{0, "run " + model + " " + digits + "3_0.png --engine inproc --output " + dir, `3_0.output_0.npy"`},
		{0, "verify " + model + " --data " + digits + "data --engine inproc --layers", `"ok": true`},
		{1, "verify " + model + " --data " + digits + "data --engine inproc --tol 1e-12", `"ok": false`},
		{0, "bench " + model + " --runs 1", `"best_ms"`},
		{0, "tune " + model + " --runs 1", `"sha256"`},
		{0, "inspect " + model, `"class": "Conv"`},
		{0, "zoo", `"name": "vgg16"`},
		{0, "passes", `"name": "fold_batchnorm"`},
		{0, "ops", `"operator": "Conv"`},
		{0, "version", `"version"`},
		{0, "doctor", `"gomaxprocs"`},
	} {
		code, out, errs := invoke(t, append(strings.Fields(c.args), "--json")...)
		var v any
		if err := json.Unmarshal([]byte(out), &v); err != nil || code != c.code || errs != "" || !strings.Contains(out, c.want) {
			t.Errorf("%s: exit %d, %v, no %s in\n%s%s", c.args, code, err, c.want, out, errs)
		}
	}
	if b, err := json.Marshal([]finite{1.5, finite(inf()), finite(-inf()), finite(inf() - inf())}); err != nil || string(b) != "[1.5,null,null,null]" {
		t.Errorf("%s, %v", b, err)
	}
}

func inf() float64 { zero := 0.0; return 1 / zero }

// Completion offers words for the typed text.
func TestCompletion(t *testing.T) {
	for _, c := range []struct {
		typed string // words; the last, after a space, may be empty
		want  []string
		not   []string
		how   string // the directive
	}{
		{"", []string{"compile\t", "doctor\t", "completion\t"}, nil, "4"},
		{"compile ", []string{"onnx", "keras", "h5"}, nil, "8"},
		{"compile a.onnx ", nil, []string{"onnx"}, "4"},
		{"verify ", []string{"onnx"}, nil, "8"},
		{"run ", []string{"onnx", "keras", "h5"}, []string{"png"}, "8"},
		{"run a.onnx ", []string{"png", "jpg", "npy"}, []string{"keras"}, "8"},
		{"run a.onnx b.png ", []string{"png"}, nil, "8"},
		{"run --engine ", []string{"go\t", "inproc\t", "eval\t"}, nil, "4"},
		{"compile --preprocess ", []string{"unit\t", "none\t", "caffe", "tf", "torch"}, nil, "4"},
		{"run --interpolation ", []string{"bilinear", "lanczos"}, nil, "4"},
		{"run --labels ", []string{"imagenet"}, nil, "0"},
		{"bench --disable-pass ", []string{"fold_batchnorm\t", "fuse_activation\t"}, []string{"all"}, "6"},
		{"bench --passes fold_batchnorm,", []string{"fold_batchnorm,fuse_activation\t"}, []string{"fold_batchnorm,fold_batchnorm"}, "6"},
		{"bench --print-after ", []string{"all", "dead_code\t"}, nil, "6"},
		{"compile -o ", nil, nil, "16"},
		{"verify --data ", nil, nil, "16"},
		{"eval --data ", nil, nil, "0"},
		{"quantize --calibration ", []string{"minmax\t", "percentile\t", "entropy\t"}, nil, "4"},
		{"eval --against ", []string{"onnx", "keras"}, []string{"png"}, "8"},
		{"compile --tune ", []string{"json"}, nil, "8"},
		{"zoo ", []string{"vgg16\tVGG-16", "resnet50\t"}, nil, "4"},
		{"zoo vgg16 ", nil, []string{"vgg16"}, "4"},
		{"ops ", nil, nil, "4"},
		{"diff ", []string{"onnx"}, nil, "8"},
		{"diff a.onnx ", nil, nil, "16"},
		{"report --profile ", []string{"json"}, nil, "8"},
	} {
		args := append([]string{"__complete"}, strings.Split(c.typed, " ")...)
		code, out, _ := invoke(t, args...)
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		if code != 0 || lines[len(lines)-1] != ":"+c.how {
			t.Errorf("%q: exit %d, want :%s\n%s", c.typed, code, c.how, out)
		}
		offers := func(word string) bool {
			return strings.Contains("\n"+out, "\n"+word+"\n") || strings.HasSuffix(word, "\t") && strings.Contains("\n"+out, "\n"+word) || strings.Contains("\n"+out, "\n"+word+" ")
		}
		for _, w := range c.want {
			if !offers(w) {
				t.Errorf("%q: no %q in\n%s", c.typed, w, out)
			}
		}
		for _, w := range c.not {
			if offers(w) {
				t.Errorf("%q: %q in\n%s", c.typed, w, out)
			}
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		code, script, errs := invoke(t, "completion", shell)
		if code != 0 || !strings.Contains(script, "modelc") {
			t.Errorf("%s: exit %d\n%s", shell, code, errs)
		}
		if _, err := exec.LookPath(shell); err != nil || shell == "powershell" {
			continue
		}
		cmd := exec.Command(shell, "-n") // parses, and runs nothing
		cmd.Stdin = strings.NewReader(script)
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s does not read its script: %v\n%s", shell, err, msg)
		}
	}
}

// On a terminal of 80 columns no command breaks a word, and every column has a heading.
func TestNarrow(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "go.mod"), "module example.com/narrow\n\ngo 1.24\n")
	resnet := zooFile(t, "resnet18", zoo.Options{Width: 0.25, Size: 32})
	for _, c := range []struct {
		args    string
		heading string // the start of the table
	}{
		{"inspect ../../testdata/keras/resnet_v1/model.keras", "layer "},
		{"inspect " + resnet + " --optimised", "op "},
		{"inspect " + resnet + " --target cuda", "MFLOP "},
		{"bench " + resnet + " --runs 2", "ms "},
		{"tune " + resnet + " --runs 1", "layer "},
		{"quantize " + digits + "lenet5.onnx -o " + filepath.Join(dir, "q.onnx") + " --sensitivity --calibrate " + digits, "error alone "},
		{"eval " + digits + "lenet5.onnx --preprocess unit --data " + filepath.Join(digitFolder(t), "1"), ""},
		{"compile " + resnet + " -o " + filepath.Join(dir, "net"), "pass "},
		{"verify " + digits + "lenet5.onnx --engine inproc --layers --data " + digits + "data", ""},
		{"run " + digits + "lenet5.onnx --engine inproc " + digits + "3_0.png", ""},
		{"inspect " + resnet + " --dim heigth=32", ""},
		{"zoo", "network "},
		{"passes", "pass "},
		{"ops", "operator "},
		{"doctor", ""},
	} {
		var screen bytes.Buffer
		narrow := stream{Writer: &screen, tty: true, columns: 80}
		run(t.Context(), strings.Fields(c.args), &terminal{out: narrow, err: narrow, progress: &progress{w: io.Discard, now: time.Now}, colourless: true})
		text := screen.String()
		for line := range strings.Lines(text) {
			line = strings.TrimRight(line, "\n")
			if utf8.RuneCountInString(line) > 80 && strings.Contains(strings.TrimSpace(line), " ") {
				t.Errorf("%s: %q is too long", c.args, line)
			}
		}
		if !regexp.MustCompile("(?m)^ *" + c.heading).MatchString(text) {
			t.Errorf("%s: no heading %q in\n%s", c.args, c.heading, text)
		}
	}
}

// A wrong number is an error of the command line, in the terms of the command, not of Go.
func TestNumbers(t *testing.T) {
	model, err := filepath.Abs(digits + "lenet5.onnx")
	if err != nil {
		t.Fatal(err)
	}
	picture, dir := filepath.Join(filepath.Dir(model), "3_0.png"), t.TempDir()
	t.Chdir(dir)
	put(t, "go.mod", "module example.com/numbers\n\ngo 1.24\n")
	args := map[string]string{
		"compile": model + " -o net --preprocess unit", "run": model + " " + picture + " --engine inproc", "eval": model + " --data " + picture, "verify": model + " --engine inproc",
		"quantize": model + " -o q.onnx --calibration percentile --calibrate " + picture, "report": model + " -o r.html --bench", "graph": model + " -o g.svg",
		"zoo": "lenet5 -o z.onnx", "diff": model + " net", "weights": model + " net -o w.bin",
	}
	if code, _, errs := invoke(t, strings.Fields("compile "+args["compile"])...); code != 0 {
		t.Fatal(errs)
	}
	_, top, _ := invoke(t, "--help")
	n := 0
	for _, c := range regexp.MustCompile(`(?m)^  ([a-z]+)  `).FindAllStringSubmatch(top, -1) {
		_, help, _ := invoke(t, c[1], "--help")
		for _, f := range regexp.MustCompile(`(?m)^ .*--([a-z-]+) (N|F|E|P|POINTS|NUMBER|R,G,B|NAME=N|NAME=1,3,224,224)  `).FindAllStringSubmatch(help, -1) {
			values := []string{"abc", "99999999999999999999x"}
			if f[1] != "precision" && f[1] != "seed" {
				values = append(values, "NaN", "1e999", "")
			}
			if f[1] != "scale" && f[1] != "mean" && f[1] != "std" && f[2] != "NAME=N" {
				values = append(values, "-1")
			}
			if strings.HasPrefix(f[2], "NAME=") {
				values = append(values, "N=abc", "N=1,x", "N=-1", "elements=1e9x")
			}
			words := strings.Fields(c[1] + " " + args[c[1]])
			if args[c[1]] == "" {
				words = []string{c[1], model}
			}
			for _, value := range values {
				n++
				code, out, errs := invoke(t, append(words, "--"+f[1]+"="+value)...)
				if code != exitUsage || regexp.MustCompile(`strconv|parsing|syntax|type|\[`).MatchString(errs) {
					t.Errorf("%s --%s=%s: exit %d, %.200s%.200s", c[1], f[1], value, code, out, errs)
				}
			}
		}
	}
	if n < 400 {
		t.Errorf("only %d values", n)
	}
}

// The help of every command explains the exit status.
func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"compile", "--help"}, {"doctor", "-h"}, {}} {
		if code, out, errs := invoke(t, args...); code != 0 || !strings.Contains(out, "Exit status:\n  0  success\n") || !strings.Contains(out, "--quiet") {
			t.Errorf("%q: exit %d\n%s%s", args, code, out, errs)
		}
	}
}

// Only the colours of the command reach a terminal as control characters.
func TestPlainTerminal(t *testing.T) {
	for _, c := range []struct {
		tty        bool
		text, want string
	}{
		{true, "a \x1b[32mok\x1b[0m\n", "a \x1b[32mok\x1b[0m\n"},
		{true, "\x1b[2J\a\x1b[31mbad\x1b[0m\u202e\r", `\x1b[2J\a` + "\x1b[31mbad\x1b[0m" + `\u202e\r`},
		{false, "\x1b[32mok\x1b[0m\t\n", `\x1b[32mok\x1b[0m` + "\t\n"},
	} {
		var screen bytes.Buffer
		term := newTerminal(&screen, &screen)
		n, err := io.WriteString(term.behind(stream{Writer: &screen, tty: c.tty}), c.text)
		if got := screen.String(); got != c.want || n != len(c.text) || err != nil {
			t.Errorf("%q: %q, %d, %v; want %q", c.text, got, n, err, c.want)
		}
	}
}
