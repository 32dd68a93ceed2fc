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

// Names in a model are hostile text. They reach generated source only through the
// functions of this file: as identifiers, as quoted strings, or as text of line
// comments.

// maxIdentifier is the maximum length of an identifier made from a name.
const maxIdentifier = 32

// identifier returns an exported Go identifier for the API of a package: the words
// of s, capitalised and joined. It returns fallback if s has no words.
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

// variable returns an unexported Go identifier for the name of a layer:
// layer1_0Conv1 for layer1.0.conv1 or /layer1/layer1.0/conv1. kind precedes a name
// that starts with a digit, and replaces a name without words. A long name is cut
// at the start, because neighbouring layers differ at the end of their names.
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

// withoutRepeats removes the components of a path that the next component repeats.
// Names that PyTorch exports have such components.
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

// uncapitalised lowers the first letter of s. If s starts with several capitals,
// it lowers those of the first word: BN1 becomes bn1, and LSTMCell becomes
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

// unique returns name, or name with a number if seen holds name, and adds the
// result to seen.
func unique(name string, seen map[string]bool) string {
	u := name
	for i := 2; seen[u]; i++ {
		u = fmt.Sprintf("%s%d", name, i)
	}
	seen[u] = true
	return u
}

// uniqueVariable is like unique, for names that may end with a digit.
func uniqueVariable(name string, seen map[string]bool) string {
	if seen[name] && isDigit(name[len(name)-1]) {
		name += "_"
	}
	return unique(name, seen)
}

// reserved returns the names that variables of layers.go must not have: names of
// Go, names that other files of the package declare, and names of imports.
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
	"errors", "fmt", "runtime", "kernel", "integer", "plain", "recurrent", "vision",
	"newModel", "tensors", "plan", "weights", "weightsSHA256", "preprocess",
	"launcher", "openCUDA", "cudaKernels", "cudaPlan", "cudaWeights", "cudaWeightsBytes", "cudaWeightsSHA256", "sha256", "hex", "testCUDA", "cudaSession", "cudaTolerance", "nearCUDA",
	"bytes", "binary", "image", "color", "io", "log", "math", "os", "strings", "sync", "testing",
	"allocations", "benchmark", "best", "equal", "example", "fill", "goldenInput", "mix", "near", "noise", "part", "picture", "read", "same",
	"testAny", "testModel", "tolerance", "within",
}

// quoteWidth is the maximum width of quoted names in slices of structs.
const quoteWidth = 80

// quote returns s as a Go string literal. If the literal is longer than width, it
// is divided into several on lines of their own, joined by +.
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

// comment returns s as text for any place in a line comment. It changes "+build",
// which is a build constraint at the start of a comment.
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

// clip shortens long names.
func clip(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// PackageName returns a Go package name for the name of a file or folder.
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

// checkPackageName returns an error if s cannot be the name of a package that
// others import.
func checkPackageName(s string) error {
	if !token.IsIdentifier(s) || s == "_" || s == "main" {
		return fmt.Errorf("%q cannot name a Go package that others import", s)
	}
	return nil
}
