package golang

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"modelc/internal/modpath"
)

// A standalone package gets the declarations of the runtime that it can reach, and
// their assembly. Reachability is by name: a declaration that is kept keeps all
// declarations whose names it mentions, in files for any platform. This may keep
// too much, for example because of a local name, but it never loses a declaration
// that is used, and it needs no type check for each platform.
//
// Micro-kernels are selected more precisely. The printer knows the kernels of the
// plan, the micro-kernels that they call, and the numbers of pixels: see cuts.

// uses lists the names of other packages that Go source mentions.
type uses struct {
	of        map[string]map[string]bool // names by package: "runtime" → "NewModel", …
	selectors map[string]bool            // all names after a dot, including methods
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
	text     string                     // source, with comments
	names    []string                   // names of the package that it declares; none for a method
	receiver string                     // type of a method's receiver
	method   string                     // name of a method
	mentions map[string]bool            // names that may belong to the package
	members  map[string]bool            // names after dots
	imported map[string]map[string]bool // names after dots, by the name before the dot
}

type goFile struct {
	name       string
	doc        string // comment of the package clause
	pkg        string
	constraint string            // the line //go:build …
	imports    map[string]string // paths by local name
	decls      []*declared
}

// assembly is a file of Go's assembler, divided at its symbols.
type assembly struct {
	name       string
	constraint string
	blocks     []block
}

type block struct {
	symbol   string
	text     string
	mentions map[string]bool
}

// parsed is the source of a package, ready to be reduced.
type parsed struct {
	files    []*goFile
	assembly []*assembly
	reached  map[string]bool // reached names of the package
	kept     map[*declared]bool
}

// cuts lists the micro-kernels of package simd that are not needed completely, by
// name, with the numbers of pixels to keep. A micro-kernel without numbers is left
// out. The function that calls it then reports that the tier has no such
// micro-kernel.
type cuts map[string][]int

// parsePackage reads the files of a package.
func parsePackage(files Files, cut cuts) (*parsed, error) {
	p := &parsed{reached: map[string]bool{}, kept: map[*declared]bool{}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		switch path.Ext(name) {
		case ".go":
			f, err := parseFile(name, files[name], cut)
			if err != nil {
				return nil, err
			}
			p.files = append(p.files, f)
		case ".s":
			p.assembly = append(p.assembly, parseAssembly(name, string(files[name]), cut))
		}
	}
	return p, nil
}

// reach marks the declarations that can be reached from the names that are marked
// already. packages has the packages by their path below the runtime. members are
// the names after dots in the code that uses the packages.
func reach(packages map[string]*parsed, members map[string]bool) {
	for again := true; again; {
		again = false
		for _, p := range packages {
			if len(p.reached) == 0 {
				continue // not imported
			}
			for _, f := range p.files {
				for _, d := range f.decls {
					if p.kept[d] || !d.wanted(p.reached, members) {
						continue
					}
					p.kept[d], again = true, true
					maps.Copy(p.reached, d.mentions)
					maps.Copy(members, d.members)
					for _, n := range d.names {
						p.reached[n] = true
					}
					for local, names := range d.imported {
						if below, ok := strings.CutPrefix(f.imports[local], runtimeModule); ok && packages[below] != nil {
							maps.Copy(packages[below].reached, names)
						}
					}
				}
			}
			for _, a := range p.assembly {
				for _, b := range a.blocks {
					if !p.reached[b.symbol] {
						continue
					}
					for m := range b.mentions {
						if !p.reached[m] {
							p.reached[m], again = true, true
						}
					}
				}
			}
		}
	}
}

// runtimeModule is the import path of the runtime in its module.
var runtimeModule = modpath.Package("runtime")

// print returns the kept declarations of a package: a file for each build
// constraint and language. dir is the package's folder. imports is the import path
// that replaces runtimeModule.
func (p *parsed) print(dir, imports string) (Files, error) {
	out := Files{}
	name := func(file, constraint string) string {
		base := path.Base(path.Join("runtime", dir))
		if suffix := path.Base(file[:len(file)-len(path.Ext(file))]); constraint != "" || knownSuffix.MatchString(suffix) {
			base += suffix[strings.LastIndex(suffix, "_"):]
		}
		return path.Join(dir, base+path.Ext(file))
	}
	merged := map[string][]*goFile{}
	for _, f := range p.files {
		if slices.ContainsFunc(f.decls, func(d *declared) bool { return p.kept[d] }) || f.doc != "" && len(p.reached) > 0 {
			n := name(f.name, f.constraint)
			merged[n] = append(merged[n], f)
		}
	}
	for n, files := range merged {
		b, err := p.merge(files, imports)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n, err)
		}
		out[n] = b
	}
	texts := map[string]string{}
	for _, a := range p.assembly {
		text := ""
		for _, b := range a.blocks {
			if p.reached[b.symbol] {
				if strings.HasPrefix(b.text, "//") || strings.HasPrefix(b.text, "TEXT") {
					text += "\n"
				}
				text += b.text
			}
		}
		if text == "" {
			continue
		}
		n := name(a.name, a.constraint)
		if texts[n] == "" {
			texts[n] = a.constraint + "\n\n#include \"textflag.h\"\n"
		}
		texts[n] += "\n" + strings.TrimSpace(text) + "\n"
	}
	for n, text := range texts {
		out[n] = []byte(strings.TrimLeft(text, "\n"))
	}
	return out, nil
}

// knownSuffix matches names of files that the go command builds only for some
// platforms.
var knownSuffix = regexp.MustCompile(`_(linux|windows|darwin|unix|other|amd64|arm64)$`)

// merge returns the kept declarations of files with the same constraint as one
// file.
func (p *parsed) merge(files []*goFile, base string) ([]byte, error) {
	imports := map[string]string{}
	var doc, body strings.Builder
	for _, f := range files {
		if f.constraint != files[0].constraint {
			return nil, fmt.Errorf("%s and %s have the same suffix and different constraints", f.name, files[0].name)
		}
		doc.WriteString(f.doc)
		for _, d := range f.decls {
			if !p.kept[d] {
				continue
			}
			fmt.Fprintf(&body, "\n%s\n", d.text)
			for local, full := range f.imports {
				if !d.mentions[local] {
					continue
				}
				if other := imports[local]; other != "" && other != full {
					return nil, fmt.Errorf("%s means %s and %s", local, other, full)
				}
				imports[local] = full
			}
		}
	}
	var b strings.Builder
	if files[0].constraint != "" {
		fmt.Fprintf(&b, "%s\n\n", files[0].constraint)
	}
	fmt.Fprintf(&b, "%spackage %s\n\n", doc.String(), files[0].pkg)
	if len(imports) > 0 {
		b.WriteString("import (\n")
		for _, local := range slices.SortedFunc(maps.Keys(imports), func(x, y string) int { return strings.Compare(imports[x], imports[y]) }) {
			full := imports[local]
			if below, ok := strings.CutPrefix(full, runtimeModule); ok {
				full = base + below
			}
			if path.Base(full) == local {
				local = ""
			}
			fmt.Fprintf(&b, "%s %q\n", local, full)
		}
		b.WriteString(")\n")
	}
	b.WriteString(body.String())
	return format.Source([]byte(b.String()))
}

// wanted reports whether d must be kept: one of its names is reached or, for a
// method, its type is reached and code may call the method. Only the package can import
// its copy of the runtime, so only its code, the runtime, and package fmt or errors call
// methods.
func (d *declared) wanted(reached, members map[string]bool) bool {
	if d.receiver != "" {
		return reached[d.receiver] && (members[d.method] || d.method == "String" || d.method == "Error")
	}
	return slices.ContainsFunc(d.names, func(n string) bool { return reached[n] || n == "init" })
}

func parseFile(name string, src []byte, cut cuts) (*goFile, error) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, name, src, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	offset := func(p token.Pos) int { return set.Position(p).Offset }
	f := &goFile{name: name, pkg: tree.Name.Name, imports: map[string]string{}}
	// A name that the file declares, but not in the package's scope, is local.
	local := func(i *ast.Ident) bool { return i.Obj != nil && tree.Scope.Lookup(i.Name) != i.Obj }
	note := func(d *declared, n ast.Node) { ast.Inspect(n, func(n ast.Node) bool { return d.note(n, local) }) }
	for line := range strings.Lines(string(src[:offset(tree.Package)])) {
		if strings.HasPrefix(line, "//go:build ") {
			f.constraint = strings.TrimSpace(line)
		}
	}
	if tree.Doc != nil { // the other paragraphs describe the whole package
		doc := string(src[offset(tree.Doc.Pos()):offset(tree.Doc.End())])
		f.doc, _, _ = strings.Cut(doc, "\n//\n")
		f.doc += "\n"
	}
	for _, i := range tree.Imports {
		full, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return nil, err
		}
		local := path.Base(full)
		if i.Name != nil {
			local = i.Name.Name
		}
		f.imports[local] = full
	}
	for _, decl := range tree.Decls {
		d := &declared{mentions: map[string]bool{}, members: map[string]bool{}, imported: map[string]map[string]bool{}}
		from, to := offset(decl.Pos()), offset(decl.End())
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
			from = offset(doc.Pos())
		}
		for to < len(src) && src[to] != '\n' { // a comment on the last line
			to++
		}
		d.text = string(src[from:to])
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Body != nil {
			if pixels, ok := cut[fn.Name.Name]; ok {
				if d.cut(fn, pixels, offset(fn.Body.Lbrace)-from, src[offset(fn.Body.Lbrace)+1:offset(fn.Body.Rbrace)]) {
					decl = &ast.FuncDecl{Name: fn.Name, Type: fn.Type}
				}
			}
		}
		note(d, decl)
		f.decls = append(f.decls, d)
	}
	return f, nil
}

// cut changes a function that calls a micro-kernel. The function then reports that
// the tier has no such micro-kernel, or none for other numbers of pixels. brace is
// the offset of its body. cut reports whether it replaced the whole body.
func (d *declared) cut(fn *ast.FuncDecl, pixels []int, brace int, body []byte) bool {
	if len(pixels) == 0 {
		d.text = d.text[:brace] + "{ return false }"
		return true
	}
	if !strings.Contains(string(body), "return true") {
		return false // for platforms without the micro-kernel
	}
	var others []string
	for _, p := range pixels {
		others = append(others, fmt.Sprintf("a.Pixels != %d", p))
	}
	d.text = d.text[:brace] + "{\n\tif " + strings.Join(others, " && ") + " {\n\t\treturn false // this copy has no others\n\t}" + string(body) + "}"
	return false
}

// note records the names in n that are not local.
func (d *declared) note(n ast.Node, local func(*ast.Ident) bool) bool {
	inspect := func(n ast.Node) { ast.Inspect(n, func(n ast.Node) bool { return d.note(n, local) }) }
	switch n := n.(type) {
	case *ast.StructType:
		for _, f := range n.Fields.List { // the names of fields mention nothing
			inspect(f.Type)
		}
		return false
	case *ast.InterfaceType:
		for _, f := range n.Methods.List {
			for _, m := range f.Names {
				d.members[m.Name] = true
			}
			inspect(f.Type)
		}
		return false
	case *ast.SelectorExpr:
		d.members[n.Sel.Name] = true
		if x, ok := n.X.(*ast.Ident); ok {
			if d.imported[x.Name] == nil {
				d.imported[x.Name] = map[string]bool{}
			}
			d.imported[x.Name][n.Sel.Name] = true
		}
		inspect(n.X)
		return false
	case *ast.Ident:
		if !local(n) {
			d.mentions[n.Name] = true
		}
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

// symbolOf returns the symbol that a line of assembly starts or fills. It returns
// "" for other lines.
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

// symbolsIn adds the symbols that text mentions to set. A middle dot precedes the
// symbols of the package, and <> follows the symbols of the file.
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

// parseAssembly divides a file at the directives that start or fill a symbol.
// Comments before a directive belong to it.
func parseAssembly(name, src string, cut cuts) *assembly {
	a := &assembly{name: name}
	var comments string
	var text strings.Builder // of the last block
	finish := func() {
		if n := len(a.blocks); n > 0 {
			a.blocks[n-1].text = text.String()
		}
		text.Reset()
	}
	for line := range strings.Lines(src) {
		symbol := symbolOf(line)
		switch {
		case strings.HasPrefix(line, "//go:build "):
			a.constraint = strings.TrimSpace(line)
		case symbol != "":
			finish()
			a.blocks = append(a.blocks, block{symbol: symbol})
			text.WriteString(comments + line)
			comments = ""
		case strings.HasPrefix(line, "// "):
			comments += line
		case line == "\n": // generated kernels have one before each label
		default:
			text.WriteString(comments + line)
			comments = ""
		}
	}
	text.WriteString(comments)
	finish()
	for i := range a.blocks {
		b := &a.blocks[i]
		for micro, pixels := range cut {
			tier, ok := strings.CutPrefix(b.symbol, uncapitalised(micro))
			if ok && tierSuffix.MatchString(tier) && len(pixels) > 0 {
				b.text = cutSections(b.text, pixels)
			}
		}
		b.mentions = map[string]bool{}
		symbolsIn(b.text, b.mentions)
	}
	return a
}

// tierSuffix is the end of the name of a micro-kernel in assembly: AVX512.
var tierSuffix = regexp.MustCompile(`^[A-Z][A-Z0-9]*$`)

// A micro-kernel starts with jumps to a section for each number of pixels. The
// sections start at the labels p2, p3, and so on. The section for one pixel follows
// the jumps.
var (
	sectionJump  = regexp.MustCompile(`(?m)^\tCMPQ? .*\n\tB?J?EQ +p(\d+)\n`)
	sectionLabel = regexp.MustCompile(`(?m)^p(\d+):\n`)
)

// cutSections returns a micro-kernel with only the sections for the given numbers
// of pixels.
func cutSections(text string, pixels []int) string {
	keep := func(s string) bool {
		n, err := strconv.Atoi(s)
		return err == nil && slices.Contains(pixels, n)
	}
	jumps, labels := sectionJump.FindAllStringSubmatchIndex(text, -1), sectionLabel.FindAllStringSubmatchIndex(text, -1)
	if len(jumps) == 0 || len(jumps) != len(labels) {
		return text
	}
	var b strings.Builder
	b.WriteString(text[:jumps[0][0]])
	for _, j := range jumps {
		if keep(text[j[2]:j[3]]) {
			b.WriteString(text[j[0]:j[1]])
		}
	}
	if first := text[jumps[len(jumps)-1][1]:labels[0][0]]; keep("1") {
		b.WriteString(first)
	} else {
		b.WriteString("\tUNDEF // the caller has looked\n")
	}
	for i, l := range labels {
		end := len(text)
		if i+1 < len(labels) {
			end = labels[i+1][0]
		}
		if keep(text[l[2]:l[3]]) {
			b.WriteString(text[l[0]:end])
		}
	}
	return b.String()
}
