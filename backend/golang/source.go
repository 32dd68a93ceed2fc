package golang

import (
	"bytes"
	"fmt"
	"go/format"
	"maps"
	"text/template"

	"modelc/backend/cpu"
	"modelc/runtime"
)

// source returns the files of the package except the weights file. sum is the
// digest of the weights.
func source(p *cpu.Program, sum [32]byte, o Options) (Files, error) {
	v, err := newView(p, sum, o)
	if err != nil {
		return nil, err
	}
	templates := map[string]*template.Template{modelFile: modelTemplate, anyFile: anyTemplate, testFile: testTemplate}
	if v.Predict != nil {
		templates[predictFile], templates[predictTestFile] = predictTemplate, predictTestTemplate
		if len(v.Predict.Labels) > 0 {
			templates[classesFile] = classesTemplate
		}
	}
	files := Files{goldenFile: v.golden}
	for name, t := range templates {
		if files[name], err = execute(name, t, v); err != nil {
			return nil, err
		}
	}
	for _, b := range v.Batches {
		name := "layers" + b.Suffix + ".go"
		if files[name], err = execute(name, layersTemplate, b); err != nil {
			return nil, err
		}
	}
	if o.CUDA != nil {
		added, err := cudaFiles(v)
		if err != nil {
			return nil, err
		}
		defer maps.Copy(files, added) // after the runtime was reduced to what the other files use
	}
	if o.RuntimeSource != nil {
		plans := []*runtime.Plan{p.Plan}
		for _, b := range o.More {
			plans = append(plans, b.Program.Plan)
		}
		copied, err := copyRuntime(o.RuntimeSource, files, plans, o.Runtime, o.Version)
		if err != nil {
			return nil, err
		}
		for name, b := range copied {
			files[RuntimeDir+"/"+name] = b
		}
	}
	return files, nil
}

// execute returns the formatted source that a template makes of v. name is the name
// of the file.
func execute(name string, t *template.Template, v any) ([]byte, error) {
	var b bytes.Buffer
	if err := t.Execute(&b, v); err != nil {
		return nil, err
	}
	text := b.Bytes()
	if t != layersTemplate { // its comments are filled already
		text = reflow(text)
	}
	src, err := format.Source(text)
	if err != nil {
		return nil, fmt.Errorf("the generated %s is not Go: %w\n%s", name, err, text)
	}
	return src, nil
}
