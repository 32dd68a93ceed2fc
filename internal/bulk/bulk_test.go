package bulk

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"a/1.png", "a/b/2.JPG", "a/b/notes.txt", "a/.hidden/3.png", "a/.4.png", "c/5.npy", "[x].png", "z.png", "none/readme"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args  []string
		stdin string
		want  string // path=name …
		err   string
	}{
		{args: []string{"a"}, want: "a/1.png=1.png a/b/2.JPG=b/2.JPG"},
		{args: []string{"z.png", "a/1.png", "./z.png", "a"}, want: "z.png=z.png a/1.png=1.png a/b/2.JPG=b/2.JPG"},
		{args: []string{"*/*.png"}, want: "a/1.png=1.png"},
		{args: []string{"[x].png"}, want: "[x].png=[x].png"},
		{args: []string{"missing.png"}, want: "missing.png=missing.png"},
		{args: []string{"-"}, stdin: "z.png\r\n\nc\n", want: "z.png=z.png c/5.npy=5.npy"},
		{args: []string{"none", "*.gif"}, err: "none: no file has the extension .png, .jpg, .jpeg, .npy, .pb (1 others)\n*.gif: no file has such a name"},
		{args: []string{"[.png"}, err: "syntax error in pattern"},
	} {
		list, err := Files(strings.NewReader(c.stdin), c.args...)
		var got []string
		for _, f := range list {
			got = append(got, filepath.ToSlash(f.Path)+"="+f.Name)
		}
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: error %v, want %q", c.args, err, c.err)
			}
			continue
		}
		if s := strings.Join(got, " "); err != nil || s != c.want {
			t.Errorf("%q: %s, %v; want %s", c.args, s, err, c.want)
		}
	}
}

type entry struct {
	File  string `json:"file"`
	Error string `json:"error,omitempty"`
	Class int    `json:"class"`
}

func (e entry) record() Record {
	return Record{e, []string{e.File, e.Error, string(rune('0' + e.Class))}}
}

// A run that ends anywhere, even within a line, continues to the same records.
func TestResume(t *testing.T) {
	all := []entry{{"a.png", "", 1}, {"b, \"c\"\n.png", "", 2}, {"bad.png", "cut", 0}, {"d.png", "", 3}}
	for _, f := range []*Format{{Name: "jsonl"}, {Name: "csv", Header: []string{"file", "error", "class"}}} {
		path := filepath.Join(t.TempDir(), "out."+f.Name)
		write := func(resume bool) (n int) {
			t.Helper()
			w, done, err := Create(path, f, resume)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range all {
				if !done[e.File] {
					n++
					if err := w.Write(e.record()); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			return n
		}
		read := func() []byte {
			t.Helper()
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		if n := write(true); n != len(all) { // there is nothing to continue
			t.Errorf("%s: %d files", f.Name, n)
		}
		whole := read()
		if _, _, err := Create(path, f, false); err == nil || !strings.Contains(err.Error(), "--resume") {
			t.Errorf("%s: an existing file: %v", f.Name, err)
		}
		sorted := func(b []byte) string {
			lines := strings.SplitAfter(string(b), "\n")
			slices.Sort(lines)
			return strings.Join(lines, "")
		}
		for cut := range whole {
			if f.Name == "csv" && cut < strings.Index(string(whole), "\n")+1 {
				continue // without a header it is not a file of records
			}
			if err := os.WriteFile(path, whole[:cut], 0o644); err != nil {
				t.Fatal(err)
			}
			write(true)
			if d := cmp.Diff(sorted(whole), sorted(read())); d != "" {
				t.Fatalf("%s cut at %d:\n%s", f.Name, cut, d)
			}
		}
		if n := write(true); n != 1 {
			t.Errorf("%s: %d files are tried again, want the bad one", f.Name, n)
		}
		if err := os.WriteFile(path, []byte("file;class\nx\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Create(path, f, true); err == nil || !strings.Contains(err.Error(), "cannot be continued") {
			t.Errorf("%s: a file of another form: %v", f.Name, err)
		}
	}
}

func TestFormatOf(t *testing.T) {
	for path, want := range map[string]string{"a.jsonl": "jsonl", "A.CSV": "csv", "a.json": "", "a": ""} {
		if got, err := FormatOf(path); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
}
