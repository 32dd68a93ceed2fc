package main

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// evil ends a string of a file with what terminals obey: codes that clear the screen and set
// its title, a bell, a line that modelc could have printed, and marks that reverse writing.
const evil = "\x1b[2J\x1b]0;owned\a\r\n\x00\x7f\u009b31m\u0085\nmodelc: forged\n\u202e\u2066\u200f\xff"

// checkPlain fails if a command printed control characters, or a line from a file.
func checkPlain(t *testing.T, args []string, streams ...string) {
	t.Helper()
	for _, s := range streams {
		if i := strings.IndexFunc(s, func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%.200q prints %.80q", args, s[i:])
		}
		for line := range strings.Lines(s) {
			if strings.HasPrefix(strings.TrimSpace(line), "modelc: forged") {
				t.Errorf("%.200q prints a line of the file in\n%s", args, s)
			}
		}
	}
}

// evilModel returns a model all of whose strings are evil, with the given nodes.
func evilModel(dim []byte, nodes ...[]byte) []byte {
	g := field(nil, 2, []byte("graph"+evil))
	for _, n := range nodes {
		g = append(g, n...)
	}
	var raw []byte
	for i := range 9 {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(i)))
	}
	g = append(g, tensor("w"+evil, raw, 1, 1, 3, 3)...)
	g = field(g, 10, []byte("doc"+evil))
	shape := field(field(field(field(nil, 1, dim), 1, number(nil, 1, 1)), 1, number(nil, 1, 8)), 1, number(nil, 1, 8))
	in := field(field(nil, 1, []byte("x"+evil)), 2, field(nil, 1, field(number(nil, 1, 1), 2, shape)))
	g = field(g, 11, in)
	g = field(g, 12, field(nil, 1, []byte("y"+evil)))
	m := number(nil, 1, 8)
	m = field(field(field(m, 2, []byte("producer"+evil)), 3, []byte("version"+evil)), 4, []byte("domain"+evil))
	m = field(m, 6, []byte("doc"+evil))
	m = field(m, 14, field(field(nil, 1, []byte("key"+evil)), 2, []byte("value"+evil)))
	m = field(field(m, 8, number(nil, 2, 13)), 8, number(field(nil, 1, []byte("other"+evil)), 2, 1))
	return field(m, 7, g)
}

// No command prints control characters of a file, or lines that its strings forge.
func TestPlainOutput(t *testing.T) {
	picture, err := filepath.Abs(digits + "3_0.png")
	if err != nil {
		t.Fatal(err)
	}
	userModule(t)
	conv := node("Conv", "conv"+evil, "x"+evil, "w"+evil, "c"+evil)
	good := []([]byte){conv, node("Relu", "relu"+evil, "c"+evil, "r"+evil), node("Softmax", "softmax"+evil, "r"+evil, "y"+evil)}
	put(t, "good.onnx", string(evilModel(number(nil, 1, 1), good...)))
	put(t, "open.onnx", string(evilModel(field(nil, 2, []byte("batch"+evil)), good...)))
	put(t, "labels.json", `["`+strings.ReplaceAll(strconv.QuoteToASCII(strings.ToValidUTF8(evil, "")), `"`, "")+`"]`)
	bad := map[string][]byte{
		"op":     evilModel(number(nil, 1, 1), node("Op"+evil, "n"+evil, "x"+evil, "y"+evil)),
		"domain": evilModel(number(nil, 1, 1), field(nil, 1, field(node("Relu", "n"+evil, "x"+evil, "y"+evil)[2:], 7, []byte("other"+evil)))),
		"input":  evilModel(number(nil, 1, 1), node("Relu", "n"+evil, "missing"+evil, "y"+evil)),
		"output": evilModel(number(nil, 1, 1), node("Relu", "n"+evil, "x"+evil, "z"+evil)),
		"shape":  evilModel(number(nil, 1, 1), node("MatMul", "n"+evil, "x"+evil, "w"+evil, "y"+evil)),
		"large":  evilModel(number(nil, 1, 1<<40), node("Relu", "n"+evil, "x"+evil, "y"+evil)),
		"text":   []byte(evil),
		"data":   evilModel(number(nil, 1, 1), external("e"+evil, "../"+evil, 2), node("Add", "n"+evil, "x"+evil, "e"+evil, "y"+evil)),
		"place":  evilModel(number(nil, 1, 1), external("e"+evil, "data"+evil, 2), node("Add", "n"+evil, "x"+evil, "e"+evil, "y"+evil)),
	}
	for name, b := range bad {
		put(t, "bad-"+name+".onnx", string(b))
	}
	escaped := strings.ReplaceAll(strconv.QuoteToASCII(strings.ToValidUTF8(evil, "")), `\a`, `\u0007`)
	escaped = strings.NewReplacer(`\x00`, `\u0000`, `\x1b`, `\u001b`, `\x7f`, `\u007f`).Replace(escaped)
	escaped = escaped[1 : len(escaped)-1] // as part of a JSON string
	layer := func(class, config string) string {
		return `{"class_name": "Sequential", "keras_version": "3` + escaped + `", "config": {"name": "net` + escaped + `", "layers": [
			{"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [1, 4], "dtype": "float32", "name": "in` + escaped + `"}},
			{"module": "keras.layers` + escaped + `", "class_name": "` + class + `", "name": "l` + escaped + `", "config": {"name": "l` + escaped + `"` + config + `}}]}}`
	}
	put(t, "class.json", layer("Layer"+escaped, ""))
	put(t, "argument.json", layer("Activation", `, "activation": "relu`+escaped+`"`))
	put(t, "units.json", layer("Dense", `, "units": "many`+escaped+`"`))
	put(t, "missing.json", `{"class_name": "Model`+escaped+`", "config": {}}`)
	put(t, "model.h5", evil)
	put(t, "tune.json", `{"sha256": "`+escaped+`", "layers": [{"name": "`+escaped+`", "algorithm": "`+escaped+`"}]}`)
	for i, text := range []string{
		`[{"model": "good` + escaped + `.onnx", "output": "x"}]`, `[{"model": "good.onnx", "output": "x` + escaped + `"}]`, `[{"key` + escaped + `": 1}]`,
		`[{"model": "good.onnx", "output": "x", "dim": [{"` + escaped + `": "` + escaped + `"}]}]`, `[{"model": "good.onnx", "output": "x", "weights": "` + escaped + `"}]`, "[" + evil,
	} {
		put(t, "list"+strconv.Itoa(i)+".json", text)
	}

	run := func(code int, line string) (out string) {
		t.Helper()
		args := strings.Fields(line)
		got, out, errs := invoke(t, args...)
		checkPlain(t, args, out, errs)
		if got != code {
			t.Errorf("%s: exit %d, want %d\n%.1000s%.1000s", line, got, code, out, errs)
		}
		return out
	}
	for _, model := range []string{"good.onnx", "open.onnx"} {
		for _, line := range []string{
			"compile MODEL -o net", "compile MODEL -o net --json", "inspect MODEL", "inspect MODEL --json", "inspect MODEL --ir", "inspect MODEL --steps", "inspect MODEL --optimised",
			"inspect MODEL --print-after all --check", "report MODEL -o r.html", "graph MODEL -o g.svg", "verify MODEL --engine inproc --layers", "verify MODEL --engine inproc --layers --json",
			"bench MODEL --runs 1", "bench MODEL --runs 1 --json", "tune MODEL --runs 1", "tune MODEL --runs 1 --json", "diff MODEL net", "diff MODEL net --json",
			"weights MODEL net -o w.bin", "run MODEL " + picture + " --engine inproc --labels labels.json", "run MODEL " + picture + " --engine inproc --json",
		} {
			if model == "open.onnx" && !strings.HasSuffix(line, "MODEL -o net") && !strings.HasSuffix(line, "MODEL") {
				continue // its only difference is a note
			}
			line = strings.ReplaceAll(line, "MODEL", model)
			code := 0
			if strings.Contains(line, "labels") {
				code = 1
			}
			out := run(code, line)
			if strings.HasPrefix(line, "inspect "+model+" --json") && !strings.Contains(out, `forged`) {
				t.Errorf("the names are missing in\n%s", out)
			}
		}
	}
	run(1, "inspect good.onnx --tune tune.json")
	run(1, "diff good.onnx net --exact")
	for name := range bad {
		run(1, "inspect bad-"+name+".onnx")
		run(1, "compile bad-"+name+".onnx -o x")
	}
	for _, model := range []string{"class.json", "argument.json", "units.json", "missing.json", "model.h5"} {
		run(1, "inspect "+model)
	}
	for i := range 6 {
		run(1, "compile -f list"+strconv.Itoa(i)+".json")
	}
	// A package from elsewhere.
	b, err := os.ReadFile("net/model.go")
	if err != nil {
		t.Fatal(err)
	}
	put(t, "net/model.go", strings.Replace(string(b), "// Flags:", "// Flags: --\x1b[31m\u202e\a", 1)+"// \x1b[2J\u202e\n")
	run(1, "diff good.onnx net")
}
