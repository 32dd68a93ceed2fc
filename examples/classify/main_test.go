package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const testdata = "../../testdata/digits/"

// names lists the classes by digit.
var names = strings.Fields("zero one two three four five six seven eight nine")

func invoke(args ...string) (code int, stdout, stderr string) {
	var out, errs strings.Builder
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

// The name of a picture starts with its digit.
func TestDigits(t *testing.T) {
	files, err := filepath.Glob(testdata + "*.png")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d pictures: %v", len(files), err)
	}
	code, out, errs := invoke(append([]string{"-json"}, files...)...)
	if code != 0 || errs != "" {
		t.Fatalf("exit %d\n%s", code, errs)
	}
	d := json.NewDecoder(strings.NewReader(out))
	for _, f := range files {
		var a answer
		if err := d.Decode(&a); err != nil {
			t.Fatal(err)
		}
		digit := int(filepath.Base(f)[0] - '0')
		if a.File != f || len(a.Classes) != 3 {
			t.Fatalf("%s: %+v", f, a)
		}
		if best := a.Classes[0]; best.Index != digit || best.Name != names[digit] || best.Score < 0.5 || best.Score < a.Classes[1].Score {
			t.Errorf("%s: %+v", f, a)
		}
	}
}

func TestTable(t *testing.T) {
	code, out, errs := invoke("-top", "1", testdata+"3_0.png", testdata+"7_0.png")
	want := testdata + "3_0.png  three 98.4 %\n" + testdata + "7_0.png  seven "
	if code != 0 || errs != "" || !strings.HasPrefix(out, want) {
		t.Errorf("exit %d\n%s%s, want\n%s", code, out, errs, want)
	}
	if _, out, _ := invoke("-top", "9", testdata+"3_0.png"); strings.Count(out, "%") != 5 {
		t.Errorf("-top 9 prints\n%s", out)
	}
}

// The error names the bad picture, and the good picture is classified.
func TestBadPictures(t *testing.T) {
	dir := t.TempDir()
	good, err := os.ReadFile(testdata + "3_0.png")
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"cut.png": good[:len(good)/2], "text.jpg": []byte("no picture\n"), "empty.png": nil} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"nowhere.png": "no such file", "cut.png": "damaged picture", "text.jpg": "not a PNG or JPEG", "empty.png": "not a PNG or JPEG"} {
		path := filepath.Join(dir, name)
		code, out, errs := invoke(path, testdata+"3_0.png")
		if code != exitFailed || !strings.Contains(errs, path) || !strings.Contains(errs, want) || !strings.Contains(out, "three") {
			t.Errorf("%s: exit %d\n%s%s", name, code, out, errs)
		}
	}
	for _, args := range [][]string{nil, {"-top", "0", "x.png"}, {"-fast", "x.png"}} {
		if code, out, errs := invoke(args...); code != exitUsage || out != "" || !strings.Contains(errs, "usage: classify") {
			t.Errorf("%q: exit %d\n%s%s", args, code, out, errs)
		}
	}
}
