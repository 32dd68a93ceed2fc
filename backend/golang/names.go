package golang

import (
	"fmt"
	"go/token"
	"go/types"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Names in a model are hostile text. They reach generated source through the
// functions of this file alone: as an identifier, as a quoted string, or as
// the text of a line comment.

// maxIdentifier is the maximum length of an identifier made from a name.
const maxIdentifier = 32

// identifier turns any text into an exported Go identifier for the API of a
// package: words capitalised and joined, everything else dropped. fallback
// stands in where nothing is left.
func identifier(s, fallback string) string {
	var b strings.Builder
	for _, w := range words(s) {
		if b.Len() == 0 {
			w = strings.TrimLeft(w, digits)
		}
		b.WriteString(capitalised(w))
	}
	if b.Len() == 0 {
		return fallback
	}
	return b.String()[:min(b.Len(), maxIdentifier)]
}

// variable turns the name of a layer into an unexported Go identifier:
// layer1_0Conv1 for layer1.0.conv1 or /layer1/layer1.0/conv1. kind stands in front
// of a name that starts with a digit, and for one of which nothing is left. Of a
// long name the end is kept, which tells it from its neighbours.
func variable(s, kind string) string {
	all := words(withoutRepeats(s))
	name := ""
	for i := len(all) - 1; i >= 0; i-- {
		w := all[i]
		if len(w)+len(name) > maxIdentifier {
			if name == "" {
				name = w[:maxIdentifier]
			}
			break
		}
		switch {
		case name == "":
			name = w
		case isDigit(w[len(w)-1]) && isDigit(name[0]):
			name = w + "_" + name
		default:
			name = w + capitalised(name)
		}
	}
	if name == "" || isDigit(name[0]) {
		name = kind + name
	}
	return uncapitalised(name)
}

// withoutRepeats drops the components of a path that the next one repeats, as
// in the names that PyTorch exports.
func withoutRepeats(path string) string {
	parts := strings.Split(path, "/")
	var kept []string
	for i, p := range parts {
		if i+1 == len(parts) || p == "" || !strings.HasPrefix(parts[i+1], p+".") {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "/")
}

// words returns the runs of ASCII letters and digits in s.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r >= 128 || !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

const digits = "0123456789"

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func capitalised(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// uncapitalised lowers the first letter, or all of the capitals that a name
// starts with but the one that starts the next word: BN1 becomes bn1, LSTMCell
// lstmCell.
func uncapitalised(s string) string {
	n := 0
	for n < len(s) && 'A' <= s[n] && s[n] <= 'Z' {
		n++
	}
	if n > 1 && n < len(s) && 'a' <= s[n] && s[n] <= 'z' {
		n--
	}
	return strings.ToLower(s[:n]) + s[n:]
}

// unique appends a number to name until seen does not hold it.
func unique(name string, seen map[string]bool) string {
	u := name
	for i := 2; seen[u]; i++ {
		u = fmt.Sprintf("%s%d", name, i)
	}
	seen[u] = true
	return u
}

// uniqueVariable is unique for names that may end with a digit.
func uniqueVariable(name string, seen map[string]bool) string {
	if seen[name] && isDigit(name[len(name)-1]) {
		name += "_"
	}
	return unique(name, seen)
}

// reserved returns the names that no variable of a generated package may have:
// what Go and the packages' own files use, and the imports of any of them.
func reserved() map[string]bool {
	seen := map[string]bool{}
	for k := token.BREAK; k <= token.VAR; k++ {
		seen[k.String()] = true
	}
	for _, n := range slices.Concat(types.Universe.Names(), packageNames) {
		seen[n] = true
	}
	return seen
}

// packageNames are the unexported names that the templates declare or import.
var packageNames = []string{
	"init", "main",
	"errors", "fmt", "runtime", "kernel", "plain", "vision",
	"open", "plan", "weights", "weightsSHA256", "preprocess",
	"bytes", "binary", "image", "color", "io", "log", "math", "os", "strings", "sync", "testing",
	"benchmark", "best", "equal", "fill", "goldenInput", "mix", "near", "noise", "part", "picture", "read", "same",
	"testModel", "tolerance", "within",
}

// quoteWidth is the width of quoted names that stand in slices of structs.
const quoteWidth = 80

// quote returns a Go string literal, or several joined by +, each on a line
// of its own, where one would be longer than width.
func quote(s string, width int) string {
	s = clip(s)
	var lines []string
	for {
		line, rest := strconv.Quote(s), ""
		for at := len(s); len(line) > width && at > 1; line = strconv.Quote(s[:at]) {
			_, size := utf8.DecodeLastRuneInString(s[:at])
			at -= size
			rest = s[at:]
		}
		lines = append(lines, line)
		if rest == "" {
			return strings.Join(lines, " +\n")
		}
		s = rest
	}
}

// comment returns s fit to stand anywhere in a line comment. At its start
// "+build" would be a build constraint, which gofmt turns into a directive.
func comment(s string) string {
	var b strings.Builder
	for _, r := range clip(strings.ReplaceAll(s, "+build", "+ build")) {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteRune('�')
		}
	}
	return b.String()
}

// clip shortens names that would drown the source.
func clip(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// PackageName turns a file or folder name into a Go package name.
func PackageName(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		if r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r) && b.Len() > 0) {
			b.WriteRune(r)
		}
	}
	name := b.String()
	if name == "" || token.IsKeyword(name) || name == "main" {
		return "model" + name
	}
	return name
}

// checkPackageName says why s cannot name a package.
func checkPackageName(s string) error {
	if !token.IsIdentifier(s) || s == "_" || s == "main" {
		return fmt.Errorf("%q cannot name a Go package that others import", s)
	}
	return nil
}
