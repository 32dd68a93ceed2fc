package vision

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func ExampleTop() {
	scores := []float32{0.05, 0.7, 0.05, 0.2}
	names, err := ReadNames(strings.NewReader("cat\ndog\nfish\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, class := range Top(scores, 3, names) {
		fmt.Println(class)
	}
	// Output:
	// dog 0.7000
	// class 3 0.2000
	// cat 0.0500
}

func TestTop(t *testing.T) {
	nan := float32(math.NaN())
	for _, test := range []struct {
		scores []float32
		k      int
		want   []int
	}{
		{nil, 5, nil},
		{[]float32{1, 2}, 0, nil},
		{[]float32{1, 2}, -1, nil},
		{[]float32{1, 2}, 5, []int{1, 0}},
		{[]float32{1, 1, 2, 1}, 3, []int{2, 0, 1}},
		{[]float32{nan, -1, nan, 3}, 4, []int{3, 1, 0, 2}},
		{[]float32{5, 4, 3, 2, 1, 6}, 2, []int{5, 0}},
	} {
		var got []int
		for _, c := range Top(test.scores, test.k, nil) {
			got = append(got, c.Index)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("Top(%v, %d) = %v, want %v", test.scores, test.k, got, test.want)
		}
	}
}

func TestReadNames(t *testing.T) {
	for text, want := range map[string][]string{
		"a\nb c\n":             {"a", "b c"},
		"a\r\n\r\nc\r\n\r\n":   {"a", "", "c"},
		"\n [\"a\"]":           {"a"},
		"\na\n":                {"", "a"},
		`["a", "b"]`:           {"a", "b"},
		`{"2": "c", "0": "a"}`: {"a", "", "c"},
		`{"0": ["n1", "tench"], "1": ["n2", "fish"]}`: {"tench", "fish"},
	} {
		got, err := ReadNames(strings.NewReader(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if !slices.Equal(got, want) {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"  \n":             "no class names",
		`["a", 1]`:         "JSON list",
		`{"a": "b"}`:       `"a" is not the index`,
		`{"-1": "b"}`:      `"-1" is not the index`,
		`{"99999999": ""}`: "not the index",
		`{"0": 7}`:         "class 0 is neither",
		`{"0": ["id"]}`:    "class 0 is neither",
		`{"0": `:           "JSON object",
	} {
		if names, err := ReadNames(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %q and error %v, want one with %q", text, names, err, want)
		}
	}
}

func TestOpenNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "names.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenNames(path); err == nil || !strings.HasPrefix(err.Error(), path) {
		t.Errorf("the error does not name the file: %v", err)
	}
	if _, err := OpenNames(path + "x"); err == nil {
		t.Error("a missing file is no error")
	}
}
