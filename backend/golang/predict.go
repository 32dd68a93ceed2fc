package golang

import (
	"bytes"
	"fmt"
	"go/format"
	"strings"
	"text/template"

	"modelc/ir"
	"modelc/runtime/vision"
)

// Picture makes a package with a method Predict, for networks that classify
// pictures.
type Picture struct {
	Preprocess vision.Preprocess
	// Labels name the classes, in the order of the output; nil for none.
	Labels []string
}

// Check reports why a network of g cannot answer for pictures so.
func (p *Picture) Check(g *ir.Graph) error {
	if len(g.Inputs) != 1 || len(g.Outputs) != 1 {
		return fmt.Errorf("the network has %d inputs and %d outputs; Predict needs one of each", len(g.Inputs), len(g.Outputs))
	}
	if t := g.Inputs[0].Type; t.DType != ir.Float32 || t.Shape.Len() != p.Preprocess.Len() {
		return fmt.Errorf("input %q is %s, which no picture of %d×%d pixels fills", g.Inputs[0].Name, t, p.Preprocess.Width, p.Preprocess.Height)
	}
	t := g.Outputs[0].Value.Type
	if !IsScores(t) {
		return fmt.Errorf("output %q is %s, not one score per class", g.Outputs[0].Name, t)
	}
	if n := t.Shape.Len(); p.Labels != nil && len(p.Labels) != n {
		return fmt.Errorf("there are %d labels for %d classes", len(p.Labels), n)
	}
	return nil
}

// IsScores reports whether t holds one score per class of one picture.
func IsScores(t ir.Type) bool {
	n := t.Shape.Len()
	for _, d := range t.Shape {
		if d == n && n > 1 {
			return t.DType == ir.Float32
		}
	}
	return false
}

// predictFiles adds the files of Predict.
func predictFiles(files Files, v *view) error {
	for name, t := range map[string]*template.Template{predictFile: predictTemplate, predictTestFile: predictTestTemplate} {
		var b bytes.Buffer
		if err := t.Execute(&b, v); err != nil {
			return err
		}
		src, err := format.Source(b.Bytes())
		if err != nil {
			return fmt.Errorf("the generated %s is not Go: %w", name, err)
		}
		files[name] = src
	}
	return nil
}

// PreprocessLiteral is the Go expression of the preprocessing.
func (v *view) PreprocessLiteral() string {
	p := v.Picture.Preprocess
	var b strings.Builder
	fmt.Fprintf(&b, "vision.Preprocess{\nWidth: %d,\nHeight: %d,\nChannels: %d,\nLayout: vision.%s,\nFit: vision.%s,\n", p.Width, p.Height, p.Channels,
		[]string{"NCHW", "NHWC"}[p.Layout], []string{"Stretch", "Crop"}[p.Fit])
	if p.Fit == vision.Crop {
		fmt.Fprintf(&b, "ShortSide: %d,\n", p.ShortSide)
	}
	fmt.Fprintf(&b, "Filter: vision.%s,\n", []string{"Bilinear", "Sampled", "Nearest"}[p.Filter])
	if p.BGR {
		b.WriteString("BGR: true,\n")
	}
	if p.Scale != 0 {
		fmt.Fprintf(&b, "Scale: %#v,\n", p.Scale)
	}
	for _, a := range []struct {
		name string
		x    [3]float64
	}{{"Mean", p.Mean}, {"Std", p.Std}} {
		if a.x != [3]float64{} {
			fmt.Fprintf(&b, "%s: [3]float64{%v, %v, %v},\n", a.name, a.x[0], a.x[1], a.x[2])
		}
	}
	return b.String() + "}"
}

// Classes is the number of classes, Best how many Predict returns.
func (v *view) Classes() int { return v.Outputs[0].Len }
func (v *view) Best() int    { return min(5, v.Classes()) }

// QuotedLabels are the labels as Go strings.
func (v *view) QuotedLabels() []string {
	var q []string
	for _, l := range v.Picture.Labels {
		q = append(q, quote(l))
	}
	return q
}

var predictTemplate = template.Must(template.New("predict").Parse(`{{.Header}}

package {{.Package}}

import (
	"image"

	"{{.Runtime}}/vision"
)

// Preprocess is how Predict makes the network's input of a picture.
var Preprocess = {{.PreprocessLiteral}}

// Class is an answer: index, name and score of a class.
type Class = vision.Class

// Predict returns the {{.Best}} best of the {{.Classes}} classes for a picture, best first.
// The scores are the network's output. The session must not run meanwhile.
func (s *Session) Predict(img image.Image) ([]Class, error) {
	if s.in == nil {
		s.in, s.out = NewInput(), NewOutput()
	}
	if err := Preprocess.Apply(s.in.Data, img); err != nil {
		return nil, err
	}
	if err := s.Run(s.in, s.out); err != nil {
		return nil, err
	}
	return vision.Top(s.out.Data, {{.Best}}, {{if .Picture.Labels}}labels{{else}}nil{{end}}), nil
}
{{if .Picture.Labels}}
// Labels returns the names of the classes, in the order of the output.
func Labels() []string { return append([]string(nil), labels...) }

var labels = []string{
{{range .QuotedLabels}}	{{.}},
{{end}}}
{{end}}`))

var predictTestTemplate = template.Must(template.New("predict_test").Parse(`{{.Header}}

package {{.Package}}

import (
	"fmt"
	"image"
	"log"
	"testing"
)

func ExampleSession_Predict() {
	{{if .Sidecar}}m, err := Open("weights.bin"){{else}}m, err := New(){{end}}
	if err != nil {
		log.Fatal(err)
	}
	s := m.NewSession()
	defer s.Close()
	img := image.NewRGBA(image.Rect(0, 0, 320, 240)) // or what image.Decode returns
	classes, err := s.Predict(img)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(classes), "classes, the best first")
	// Output: {{.Best}} classes, the best first
}

func TestPredict(t *testing.T) {
	s := open(t).NewSession()
	defer s.Close()
	img := image.NewGray(image.Rect(0, 0, 300, 280))
	for i := range img.Pix {
		img.Pix[i] = uint8(mix(uint64(i)))
	}
	got, err := s.Predict(img)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range got {
		if c.Index < 0 || c.Index >= OutputLen || c.Score != c.Score || i > 0 && c.Score > got[i-1].Score {
			t.Errorf("class %d of %v", i, got)
		}
	}
	if _, err := s.Predict(image.NewGray(image.Rectangle{})); err == nil {
		t.Error("an empty picture was no error")
	}
}
`))
