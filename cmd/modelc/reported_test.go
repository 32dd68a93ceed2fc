package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// refusals has words of the messages for models of the corpus that are refused: what
// the message names, and the remedy. All other models give the stored outputs.
var refusals = map[string][]string{
	"reported/70-lambda-h5":                   {`Lambda "scale"`, "Python code", "replace it"},
	"reported/71-int8-quantised":              {`Dense "d1"`, "int8", "before model.quantize"},
	"reported/77-registered-function-relu":    {`Conv2D "c"`, "deel-lip>relu", "Python code", "built-in activation"},
	"reported/78-registered-class-conv2d":     {"ws>Conv2D", "Python code", "build it from the layers of Keras"},
	"reported/82-savedmodel-folder":           {"SavedModel", ".keras", "tf2onnx"},
	"reported/85-weights-only/model.keras":    {"only weights", "model.save"},
	"reported/85-weights-only/net.weights.h5": {"only weights", "model.save"},
}

// reportedTolerances has the tolerances of cases whose about.txt sets one.
var reportedTolerances = map[string]string{
	"39-winograd-cancellation": "6.4e-5", // twice the error of a direct sum in float32
}

var (
	wantsValue   = regexp.MustCompile(`expected: .*\b(value|opset 1)\b`)
	wantsRefusal = regexp.MustCompile(`expected: .*\b(refusal|error)\b`)
)

// Models made after public bug reports, and files of Keras 2.14, give what their
// about.txt says: the stored outputs, on the interpreter and on the kernels, or an
// error with the words in refusals. A value is preferred where about.txt allows both.
// With -v the test prints a table of all files.
func TestReported(t *testing.T) {
	root := corpus(t)
	sets := append(folders(t, filepath.Join(root, "reported")), folders(t, filepath.Join(root, "keras-2.14"))...)
	if len(sets) < 77 {
		t.Fatalf("%d cases", len(sets))
	}
	var rows []string
	count, refused := map[string]int{}, 0
	for _, set := range sets {
		about, err := os.ReadFile(filepath.Join(set, "about.txt"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range reportedFiles(t, set) {
			name, _ := filepath.Rel(root, set)
			if words := refusals[name+"/"+file]; words != nil {
				name += "/" + file
			}
			words := refusals[name]
			want := "value"
			if words != nil {
				refused++
				want = "refusal"
				if !wantsRefusal.Match(about) {
					t.Errorf("%s: refusals has it, but its about.txt wants a value", name)
				}
			} else if !wantsValue.Match(about) {
				t.Errorf("%s: its about.txt wants a refusal, but refusals does not have it", name)
			}
			got, detail := verifyReported(t, set, file)
			for _, w := range words {
				if got == "refusal" && !strings.Contains(detail, w) {
					got = fmt.Sprintf("refusal without %q", w)
				}
			}
			mark := "  "
			if got != want {
				mark = "✗ "
				t.Errorf("%s/%s: want a %s, got a %s: %s", name, file, want, got, detail)
			}
			count[got]++
			rows = append(rows, fmt.Sprintf("%s%-60s %-8s %.160s", mark, strings.TrimSuffix(name, "/"+file)+"/"+file, got, strings.Join(strings.Fields(detail), " ")))
		}
	}
	t.Logf("%d files of %d cases, %v\n%s", len(rows), len(sets), count, strings.Join(rows, "\n"))
	if refused != len(refusals) {
		t.Errorf("%d files are to be refused, refusals has %d", refused, len(refusals))
	}
}

// reportedFiles lists the files of a case that are given to the command: the one named
// in the file path, or all models.
func reportedFiles(t *testing.T, set string) (files []string) {
	if path, err := os.ReadFile(filepath.Join(set, "path")); err == nil {
		return []string{strings.TrimSpace(string(path))}
	}
	entries, err := os.ReadDir(set)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if slices.Contains([]string{".onnx", ".keras", ".h5"}, filepath.Ext(e.Name())) {
			files = append(files, e.Name())
		}
	}
	if len(files) == 0 {
		t.Fatalf("%s has no model", set)
	}
	return files
}

// verifyReported verifies a model on two engines, with the flags in the file args. It
// returns "value" if both give the stored outputs, "refusal" with the message if the
// model is not compiled, and "wrong value" otherwise.
func verifyReported(t *testing.T, set, file string) (got, detail string) {
	args := []string{"verify", filepath.Join(set, file)}
	if _, ok := dataFile(set, "output", 0); ok { // otherwise it is compared with the interpreter
		args = append(args, "--data", set)
	}
	if flags, err := os.ReadFile(filepath.Join(set, "args")); err == nil {
		args = append(args, strings.Fields(string(flags))...)
	}
	if tol := reportedTolerances[filepath.Base(set)]; tol != "" {
		args = append(args, "--tol", tol)
	}
	for _, engine := range []string{"eval", "inproc"} {
		code, out, errs := invoke(t, append(args, "--engine", engine)...)
		_, detail, _ = strings.Cut(out, "\n")
		switch {
		case code != 0 && strings.Contains(out, "FAILED"):
			return "wrong value", engine + detail
		case code != 0:
			return "refusal", errs
		}
	}
	return "value", detail
}
