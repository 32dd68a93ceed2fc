package golang

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A standalone package gets those declarations of the runtime that it can
// reach, and the assembly behind them. Reaching is by name: whatever mentions
// a name of the package, in any of the files for any platform, keeps all that
// is declared under it. Names that mean something local keep a little too
// much; nothing that is used is ever lost, and no platform must be type-checked.

// uses is what Go source takes of other packages.
type uses struct {
	of        map[string]map[string]bool // names by package: "runtime" → "NewModel", "Conv", …
	selectors map[string]bool            // all that stands behind a dot: methods among them
}

// usesOf reads the selectors in the Go files among files.
func usesOf(files Files) (uses, error) {
	u := uses{of: map[string]map[string]bool{}, selectors: map[string]bool{}}
	for name, src := range files {
		if path.Ext(name) != ".go" {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
		if err != nil {
			return u, err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				u.selectors[s.Sel.Name] = true
				if x, ok := s.X.(*ast.Ident); ok {
					if u.of[x.Name] == nil {
						u.of[x.Name] = map[string]bool{}
					}
					u.of[x.Name][s.Sel.Name] = true
				}
			}
			return true
		})
	}
	return u, nil
}

// declared is a declaration, which is kept or left out as a whole.
type declared struct {
	from, to int      // in the file, with comments
	names    []string // package-level ones; none for a method
	receiver string   // type of a method's
	method   string
	mentions map[string]bool // names that may be the package's
	members  map[string]bool // names behind dots
}

type goFile struct {
	name    string
	src     []byte
	head    int // the end of the package clause
	imports []*ast.ImportSpec
	decls   []*declared
	isDoc   bool // holds the package's comment and nothing else
}

// assembly is a file of Go's assembler, cut into what stands under one symbol.
type assembly struct {
	name   string
	head   string
	blocks []block
}

type block struct {
	symbol   string
	text     string
	mentions map[string]bool
}

// parsed is a package's source, ready to be reduced.
type parsed struct {
	files    []*goFile
	assembly []*assembly
}

func parsePackage(files Files) (*parsed, error) {
	p := &parsed{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		switch path.Ext(name) {
		case ".go":
			f, err := parseFile(name, files[name])
			if err != nil {
				return nil, err
			}
			p.files = append(p.files, f)
		case ".s":
			p.assembly = append(p.assembly, parseAssembly(name, string(files[name])))
		}
	}
	return p, nil
}

// reduce returns those parts of the package's files that the names in roots
// reach. selectors are what the package's users write behind dots.
func (p *parsed) reduce(roots, selectors map[string]bool) (Files, error) {
	var decls []*declared
	for _, f := range p.files {
		decls = append(decls, f.decls...)
	}
	kept := map[*declared]bool{}
	reached, members := maps.Clone(roots), maps.Clone(selectors)
	symbols := map[string][]*block{}
	for _, a := range p.assembly {
		for i := range a.blocks {
			symbols[a.blocks[i].symbol] = append(symbols[a.blocks[i].symbol], &a.blocks[i])
		}
	}
	for again := true; again; {
		again = false
		for _, d := range decls {
			if kept[d] || !d.wanted(reached, members) {
				continue
			}
			kept[d], again = true, true
			maps.Copy(reached, d.mentions)
			maps.Copy(members, d.mentions) // methods of an interface are names without a dot
			maps.Copy(members, d.members)
			for _, n := range d.names {
				reached[n] = true
			}
		}
		for name := range maps.Clone(reached) {
			for _, b := range symbols[name] {
				for m := range b.mentions {
					if !reached[m] {
						reached[m], again = true, true
					}
				}
			}
		}
	}
	out := Files{}
	for _, f := range p.files {
		b, err := f.print(kept)
		if err != nil {
			return nil, err
		}
		if b != nil {
			out[f.name] = b
		}
	}
	for _, a := range p.assembly {
		if text := a.print(reached); text != "" {
			out[a.name] = []byte(text)
		}
	}
	return out, nil
}

// wanted reports whether d must be kept: a name of it is reached or, for a
// method, its type is, and something may call it. An exported method may be
// called through an interface of any package.
func (d *declared) wanted(reached, members map[string]bool) bool {
	if d.receiver != "" {
		return reached[d.receiver] && (token.IsExported(d.method) || members[d.method])
	}
	return slices.ContainsFunc(d.names, func(n string) bool { return reached[n] || n == "init" })
}

func parseFile(name string, src []byte) (*goFile, error) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	offset := func(p token.Pos) int { return set.Position(p).Offset }
	f := &goFile{name: name, src: src, head: offset(tree.Name.End()), imports: tree.Imports, isDoc: tree.Doc != nil && len(tree.Decls) == 0}
	for _, decl := range tree.Decls {
		d := &declared{from: offset(decl.Pos()), mentions: map[string]bool{}, members: map[string]bool{}}
		var doc *ast.CommentGroup
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			doc = decl.Doc
			if decl.Recv == nil {
				d.names = []string{decl.Name.Name}
			} else {
				d.receiver, d.method = receiver(decl.Recv.List[0].Type), decl.Name.Name
			}
		case *ast.GenDecl:
			if decl.Tok == token.IMPORT {
				continue
			}
			doc = decl.Doc
			for _, s := range decl.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					d.names = append(d.names, s.Name.Name)
				case *ast.ValueSpec:
					for _, n := range s.Names {
						d.names = append(d.names, n.Name)
					}
				}
			}
		}
		if doc != nil {
			d.from = offset(doc.Pos())
		}
		d.to = offset(decl.End())
		for d.to < len(src) && src[d.to] != '\n' { // a comment on the last line
			d.to++
		}
		ast.Inspect(decl, d.note)
		f.decls = append(f.decls, d)
	}
	return f, nil
}

// note records the names in n.
func (d *declared) note(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.SelectorExpr:
		d.members[n.Sel.Name] = true
		ast.Inspect(n.X, d.note)
		return false
	case *ast.Ident:
		d.mentions[n.Name] = true
	}
	return true
}

// receiver returns the name of a receiver's type.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// print returns the file with what is kept of it, nil if that is nothing.
func (f *goFile) print(kept map[*declared]bool) ([]byte, error) {
	if f.isDoc {
		return f.src, nil
	}
	used := map[string]bool{}
	var body strings.Builder
	for _, d := range f.decls {
		if kept[d] {
			fmt.Fprintf(&body, "\n%s\n", f.src[d.from:d.to])
			maps.Copy(used, d.mentions)
		}
	}
	if body.Len() == 0 {
		return nil, nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", f.src[:f.head])
	for _, i := range f.imports {
		full, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return nil, err
		}
		name, spec := path.Base(full), i.Path.Value
		if i.Name != nil {
			name, spec = i.Name.Name, i.Name.Name+" "+spec
		}
		if used[name] {
			fmt.Fprintf(&b, "import %s\n", spec)
		}
	}
	b.WriteString(body.String())
	return format.Source([]byte(b.String()))
}

// symbolOf returns the symbol that a line of assembly starts or fills, "" for
// any other line.
func symbolOf(line string) string {
	for _, directive := range []string{"TEXT ", "DATA ", "GLOBL "} {
		if rest, ok := strings.CutPrefix(line, directive); ok {
			name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(rest), "·"), "(")
			name, _, _ = strings.Cut(name, "+")
			return name
		}
	}
	return ""
}

// symbolsIn adds the symbols that text mentions to set: names of the package
// behind a middle dot, those of the file in front of <>.
func symbolsIn(text string, set map[string]bool) {
	word := func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "·")
		if !ok {
			break
		}
		end := strings.IndexFunc(after, word)
		if end < 0 {
			end = len(after)
		}
		set[after[:end]] = true
		rest = after
	}
	for rest := text; ; {
		before, after, ok := strings.Cut(rest, "<>")
		if !ok {
			break
		}
		set[before[strings.LastIndexFunc(before, word)+1:]+"<>"] = true
		rest = after
	}
}

// parseAssembly cuts a file at the directives that start or fill a symbol.
// Comments in front of one are its own.
func parseAssembly(name, src string) *assembly {
	a := &assembly{name: name}
	var comments string
	add := func(text string) {
		if n := len(a.blocks); n > 0 {
			a.blocks[n-1].text += text
		} else {
			a.head += text
		}
	}
	for line := range strings.Lines(src) {
		symbol := symbolOf(line)
		switch {
		case symbol != "":
			a.blocks = append(a.blocks, block{symbol: symbol, text: comments + line})
			comments = ""
		case strings.HasPrefix(line, "// "):
			comments += line
		default:
			add(comments + line)
			comments = ""
		}
	}
	add(comments)
	for i := range a.blocks {
		b := &a.blocks[i]
		b.mentions = map[string]bool{}
		symbolsIn(b.text, b.mentions)
	}
	return a
}

// print returns the file with the symbols in reached, "" if it has none.
func (a *assembly) print(reached map[string]bool) string {
	var b strings.Builder
	for _, x := range a.blocks {
		if reached[x.symbol] {
			b.WriteString(x.text)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return a.head + b.String()
}
