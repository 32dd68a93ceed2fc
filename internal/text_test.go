package internal_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// phrases lists wordings that readers have to read twice, with what to write
// instead. Comments, documents, help and error texts follow the style of Go's
// standard library: subject, verb, object; the field's terms; one fact per
// sentence.
var phrases = []struct{ pattern, instead string }{
	{`up to how many`, `"the maximum number of …"`},
	{`from (which|there|that) on\b`, `"at least …", "starting at …"`},
	{`\bso many\b`, `"n …", "the given number of …"`},
	{`how many .{1,40} there are\b`, `"the number of …"`},
	{`(in)?to how many`, `"the number of … into which …"`},
	{`the (most|least) \w+ (there|that) (can be|there)`, `"the maximum number of …"`},
	{`\b(that|which) (is|are|was|were) to be\b`, `name who does it: "… that the caller must …"`},
	{`\bis not to be\b`, `"must not be …"`},
	{`\bof no use\b`, `"unused", or say why it does not help`},
	{`\bwhat \w+ (uses?|needs?|takes?) of\b`, `"the parts of … that … uses"`},
	{`\bwhat (is|was) (known|left|asked) (of|for)\b`, `name the things`},
	{`\b(none|nothing|no \w+) of (its|theirs|ours)\b`, `"it has no …"`},
	{`\bnone left\b`, `"has no more …"`},
	{`\bmeanwhile\b`, `"during …", "at the same time"`},
	{`\b(is|are) told\b`, `"has the option …", "reads … from …"`},
	{`\btells? whether\b`, `"reports whether …"`},
	{`\bsays so\b`, `"reports it", "returns an error"`},
	{`\bwhoever\b`, `name the caller, the engine, the reader`},
	{`\bas \w+ (has|have) (it|them)\b`, `"as in …", "like …"`},
	{`\bto the bit\b`, `"bit-identical", "bit for bit"`},
	{`\boutside of\b`, `"outside"`},
	{`\bin the making\b`, `"unfinished"`},
}

// The hand-written Go files and documents contain none of the phrases.
func TestPlainEnglish(t *testing.T) {
	var all []*regexp.Regexp
	for _, p := range phrases {
		all = append(all, regexp.MustCompile(`(?i)`+strings.ReplaceAll(p.pattern, " ", `\s+`)))
	}
	files := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel("..", path)
		name = filepath.ToSlash(name)
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
				return filepath.SkipDir
			}
			return nil
		}
		if ext := filepath.Ext(name); ext != ".go" && ext != ".md" || name == "internal/text_test.go" || name == "CONTRIBUTING.md" { // these two quote bad examples
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil || isGenerated.Match(b) {
			return err
		}
		files++
		text, lines := unwrapped(b)
		for i, re := range all {
			for _, at := range re.FindAllIndex(text, -1) {
				line, _ := slices.BinarySearch(lines, at[0]+1)
				t.Errorf("%s:%d: %q: write %s", name, line, text[at[0]:at[1]], phrases[i].instead)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Fatalf("%d files found", files)
	}
}

var isGenerated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// unwrapped joins the lines of a file without the marks of line comments, so
// that a phrase may continue on the next line. It returns the offset of each
// line in the result.
func unwrapped(b []byte) (text []byte, lines []int) {
	for line := range bytes.SplitSeq(b, []byte("\n")) {
		lines = append(lines, len(text))
		line = bytes.TrimSpace(line)
		text = append(text, bytes.TrimSpace(bytes.TrimPrefix(line, []byte("//")))...)
		text = append(text, ' ')
	}
	return text, lines
}

// A phrase is found across the lines of a comment, at its first line.
func TestUnwrapped(t *testing.T) {
	text, lines := unwrapped([]byte("package p\n\n// N is up to how\n// many.\nvar N int\n"))
	at := bytes.Index(text, []byte("up to how many"))
	if line, _ := slices.BinarySearch(lines, at+1); at < 0 || line != 3 {
		t.Errorf("found at offset %d of %q, line %d", at, text, line)
	}
}
