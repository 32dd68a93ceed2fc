package main

import (
	"bytes"
	"fmt"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// rename gives the module in the folder root a new path and returns the number
// of files that it changed.
func rename(root, path string) (changed int, err error) {
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return 0, err
	}
	r := &renamer{from: modfile.ModulePath(mod), to: path}
	if err := module.CheckImportPath(path); err != nil {
		return 0, err
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return 0, err
	}
	var folders []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			folders = append(folders, regexp.QuoteMeta(e.Name()))
		}
	}
	// A path starts where no other path continues, and leads to a folder.
	from := regexp.QuoteMeta(r.from)
	r.packages = regexp.MustCompile(`(^|[^\w./@-])` + from + `/(\.\.\.|(?:` + strings.Join(folders, "|") + `)\b)`)
	r.flags = regexp.MustCompile(`(-(?:drop)?(?:require|replace)=)` + from + `\b`)
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Name() == ".git" && d.IsDir():
			return filepath.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		before, err := os.ReadFile(name)
		if err != nil || bytes.IndexByte(before, 0) >= 0 || !utf8.Valid(before) {
			return err // a binary or unreadable file
		}
		after, err := r.file(d.Name(), before)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if bytes.Equal(before, after) {
			return nil
		}
		changed++
		return os.WriteFile(name, after, 0o644) // an existing file keeps its mode
	})
	return changed, err
}

// renamer replaces a module's path in files.
type renamer struct {
	from, to        string
	packages, flags *regexp.Regexp // of package paths, of flags of go mod edit
}

// file returns a file's text with the new path.
func (r *renamer) file(name string, text []byte) ([]byte, error) {
	if name == "go.mod" {
		return r.goMod(text)
	}
	formatted := false
	if filepath.Ext(name) == ".go" {
		pretty, err := format.Source(text)
		formatted = err == nil && bytes.Equal(pretty, text)
		text = r.imports(text)
	}
	text = r.packages.ReplaceAll(text, []byte("${1}"+r.to+"/$2"))
	text = r.flags.ReplaceAll(text, []byte("${1}"+r.to))
	if formatted {
		return format.Source(text) // the order of imports may have changed
	}
	return text, nil
}

// imports replaces imports of the root package. Elsewhere its path, an ordinary word, stays.
func (r *renamer) imports(text []byte) []byte {
	f, err := parser.ParseFile(token.NewFileSet(), "", text, parser.ImportsOnly)
	if err != nil {
		return text // a file of testdata with errors
	}
	for _, i := range slices.Backward(f.Imports) {
		if path, err := strconv.Unquote(i.Path.Value); err == nil && path == r.from {
			at := int(i.Path.Pos() - f.FileStart)
			text = slices.Concat(text[:at], []byte(strconv.Quote(r.to)), text[at+len(i.Path.Value):])
		}
	}
	return text
}

// goMod replaces the path in all directives.
func (r *renamer) goMod(text []byte) ([]byte, error) {
	f, err := modfile.ParseLax("go.mod", text, nil)
	if err != nil {
		return nil, err
	}
	for _, s := range f.Syntax.Stmt {
		var lines []*modfile.Line
		switch s := s.(type) {
		case *modfile.Line:
			lines = []*modfile.Line{s}
		case *modfile.LineBlock:
			lines = s.Line
		}
		for _, l := range lines {
			for i, word := range l.Token {
				if rest, ok := strings.CutPrefix(word, r.from); ok && (rest == "" || rest[0] == '/') {
					l.Token[i] = r.to + rest
				}
			}
		}
	}
	return modfile.Format(f.Syntax), nil
}
