package golang

import (
	"embed"
	"path"
	"strconv"
	"strings"
	"text/template"
)

// templates has the files of a package. The data of layers.go.tmpl is a batch, that
// of the other templates a view.
//
//go:embed templates
var templates embed.FS

var (
	modelTemplate       = parse("model.go")
	anyTemplate         = parse("any.go")
	layersTemplate      = parse("layers.go")
	testTemplate        = parse("model_test.go")
	predictTemplate     = parse("predict.go")
	classesTemplate     = parse("classes.go")
	predictTestTemplate = parse("predict_test.go")
	cudaTemplate        = parse("cuda.go")
	cudaLayersTemplate  = parse("cudalayers.go")
	cudaTestTemplate    = parse("cuda_test.go")
)

func parse(name string) *template.Template {
	return template.Must(template.New(name+".tmpl").Funcs(template.FuncMap{"axes": axes, "import": importSpec}).ParseFS(templates, "templates/"+name+".tmpl"))
}

// axes returns the order of an image's axes as text for comments.
func axes(a string) string {
	switch a {
	case nchw:
		return ", batch × channels × height × width (NCHW)"
	case nhwc:
		return ", batch × height × width × channels (NHWC)"
	}
	return ""
}

// importSpec returns the quoted import path of a package of the runtime. pkgPath is
// its path in the compiler. at is the import path of the runtime in the generated
// package.
func importSpec(at, pkgPath string) string {
	return strconv.Quote(path.Join(at, strings.TrimPrefix(pkgPath, runtimePath)))
}
