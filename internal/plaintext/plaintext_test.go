package plaintext

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
)

var samples = []struct{ in, name, text string }{
	{"conv1/weights:0", "conv1/weights:0", "conv1/weights:0"},
	{"größe 層 é\u0301", "größe 層 é\u0301", "größe 層 é\u0301"},
	{"", "", ""},
	{"a\nb\tc", `"a\nb\tc"`, "a\nb\tc"},
	{"\x1b[31mred\a\r", `"\x1b[31mred\a\r"`, `\x1b[31mred\a\r`},
	{"\u202ecba\u2066\u200f", `"\u202ecba\u2066\u200f"`, `\u202ecba\u2066\u200f`},
	{"\u0085\u009b1m\x7f", `"\u0085\u009b1m\x7f"`, `\u0085\u009b1m\x7f`},
	{"\xff\xfe", `"\xff\xfe"`, `\xff\xfe`},
	{"\U000e0041", `"\U000e0041"`, `\U000e0041`},
	{"\uFFFD", "\uFFFD", "\uFFFD"},
	{`a\x1b`, `a\x1b`, `a\x1b`},
	{`"a\x1b"`, `"\"a\\x1b\""`, `"a\x1b"`},
	{"a\x1b", `"a\x1b"`, `a\x1b`},
}

func TestNames(t *testing.T) {
	seen := map[string]string{}
	for _, c := range samples {
		if got := Name(c.in); got != c.name {
			t.Errorf("Name(%q) = %s, want %s", c.in, got, c.name)
		}
		if got := Text(c.in); got != c.text {
			t.Errorf("Text(%q) = %s, want %s", c.in, got, c.text)
		}
		if other, twice := seen[Name(c.in)]; twice {
			t.Errorf("%q and %q become one name", c.in, other)
		}
		seen[Name(c.in)] = c.in
	}
}

func TestJSON(t *testing.T) {
	for _, c := range samples {
		b, err := json.Marshal(c.in)
		if err != nil {
			t.Fatal(err)
		}
		s := JSON(string(b))
		if i := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%q: %q", c.in, s)
		}
		var got, want string
		if err := errors.Join(json.Unmarshal([]byte(s), &got), json.Unmarshal(b, &want)); err != nil || got != want {
			t.Errorf("%q becomes %s, which is %q, %v", c.in, s, got, err)
		}
	}
}
