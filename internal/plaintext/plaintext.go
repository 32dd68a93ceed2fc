// Package plaintext makes text from files safe to print. A name in a file can hold control
// codes that move the cursor, newlines that forge a line of output, and marks that reverse
// the direction of writing.
package plaintext

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name returns a name from a file in a form that is one line of printable characters: the
// name itself, or a Go string literal if it has other characters. Different names stay
// different.
func Name(s string) string {
	if printable(s) && !strings.HasPrefix(s, `"`) {
		return s
	}
	return strconv.Quote(s)
}

func printable(s string) bool {
	for i, r := range s {
		if !unicode.IsPrint(r) || r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
			return false
		}
	}
	return true
}

// Text returns s with escape sequences of Go in the place of characters that are not
// printable, except newlines and tabs. It is for text of several lines, whose parts from
// files are already names.
func Text(s string) string {
	var b strings.Builder
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '\n' || r == '\t' || unicode.IsPrint(r) && (r != utf8.RuneError || n > 1):
			b.WriteString(s[:n])
		default:
			quoted := strconv.Quote(s[:n])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[n:]
	}
	return b.String()
}

// JSON returns JSON with escape sequences of JSON in the place of characters of strings that
// are not printable. JSON itself requires this for some of them only.
func JSON(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			const surrogates, high, low = 0x10000, 0xd800, 0xdc00
			b.WriteString(`\u` + strconv.FormatInt(int64(high+(r-surrogates)>>10), 16) + `\u` + strconv.FormatInt(int64(low+(r-surrogates)&0x3ff), 16))
		default:
			hex := "000" + strconv.FormatInt(int64(r), 16)
			b.WriteString(`\u` + hex[len(hex)-4:])
		}
	}
	return b.String()
}
