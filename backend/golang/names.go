package golang

import (
	"fmt"
	"go/token"
	"strconv"
	"strings"
	"unicode"
)

// Names in a model are hostile text. They reach generated source through the
// functions of this file alone: as an identifier, as a quoted string, or as
// the text of a line comment.

// identifier turns any text into an exported Go identifier: words capitalised
// and joined, everything else dropped. fallback stands in where nothing is
// left.
func identifier(s, fallback string) string {
	var b strings.Builder
	upper := true
	for _, r := range s {
		switch {
		case r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r) && b.Len() > 0):
			if upper {
				r = unicode.ToUpper(r)
			}
			b.WriteRune(r)
			upper = false
		default:
			upper = true
		}
		if b.Len() >= 40 {
			break
		}
	}
	if b.Len() == 0 {
		return fallback
	}
	return b.String()
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

// quote returns a Go string literal.
func quote(s string) string { return strconv.Quote(clip(s)) }

// comment returns s fit to stand behind // on one line.
func comment(s string) string {
	var b strings.Builder
	for _, r := range clip(s) {
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
