package golang

import (
	"embed"
	"path"
	"strconv"
	"strings"
	"text/template"
)

// The files of a package, as templates over a view or, of layers.go, a batch.
//
//go:embed templates
var templates embed.FS

var (
	modelTemplate       = parse("model.go")
	layersTemplate      = parse("layers.go")
	testTemplate        = parse("model_test.go")
	predictTemplate     = parse("predict.go")
	classesTemplate     = parse("classes.go")
	predictTestTemplate = parse("predict_test.go")
)

func parse(name string) *template.Template {
	return template.Must(template.New(name+".tmpl").Funcs(template.FuncMap{"axes": axes, "import": importSpec}).ParseFS(templates, "templates/"+name+".tmpl"))
}

// axes spells out the order of an image's axes.
func axes(a string) string {
	switch a {
	case nchw:
		return ", batch × channels × height × width (NCHW)"
	case nhwc:
		return ", batch × height × width × channels (NHWC)"
	}
	return ""
}

// importSpec returns the quoted import path of a package of the runtime, which
// the compiler has at pkgPath, where the runtime is at the path at.
func importSpec(at, pkgPath string) string {
	return strconv.Quote(path.Join(at, strings.TrimPrefix(pkgPath, runtimePath)))
}
