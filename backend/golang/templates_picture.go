package golang

import "text/template"

var predictTemplate = template.Must(template.New("predict").Parse(`{{.Head}}

package {{.Package}}

import (
	"image"

	"{{.Runtime}}/vision"
)

// Class is an answer of Predict: the Index of a score in the network's output,
// the Name of the class{{if not .Predict.Labels}}, which is empty,{{end}} and the Score, a float32.
type Class = vision.Class

// preprocess says how a picture becomes the input.
var preprocess = {{.Predict.Literal}}

// Predict returns the best classes of a picture, {{.Predict.Answers}} of {{.Predict.Classes}}, best first.
//
// The picture may have any size and type. It is
//   - {{.Predict.Fit}};
//   - {{.Predict.Levels}}.
//
// Predict allocates its answer and, while it runs, a few buffers of pixels.
func (s *Session) Predict(img image.Image) ([]Class, error) {
	if s.in == nil {
		s.in, s.out = NewInput(), NewOutput()
	}
	if err := preprocess.Apply(s.in.Data, img); err != nil {
		return nil, err
	}
	if err := s.Run(s.in, s.out); err != nil {
		return nil, err
	}
	return vision.Top(s.out.Data, {{.Predict.Answers}}, {{if .Predict.Labels}}ClassNames[:]{{else}}nil{{end}}), nil
}
`))

var classesTemplate = template.Must(template.New("classes").Parse(`{{.Head}}

package {{.Package}}

// ClassNames are the names of the classes, by the index of their score.
var ClassNames = [...]string{
{{range .Predict.Labels}}	{{.}},
{{end}}}
`))

var predictTestTemplate = template.Must(template.New("predict test").Parse(`{{.Head}}

package {{.Package}}

import (
	"fmt"
	"image"
	"image/color"
	"log"
	"testing"
)

// picture is what the self-test shows the network.
func picture() image.Image {
	const width, height = {{.Predict.Size.X}}, {{.Predict.Size.Y}}
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.SetNRGBA(x, y, color.NRGBA{uint8(x), uint8(y), uint8(x ^ y), 255})
		}
	}
	return img
}

func ExampleSession_Predict() {
	m, err := {{if .Sidecar}}Open("weights.bin"){{else}}New(){{end}}
	if err != nil {
		log.Fatal(err)
	}
	s := m.NewSession()
	defer s.Close()
	img := picture() // or what image.Decode returns
	classes, err := s.Predict(img)
	if err != nil {
		log.Fatal(err)
	}
	best := classes[0]
	{{if .Predict.Labels}}fmt.Printf("class %d: %s\n", best.Index, best.Name){{else}}fmt.Println("class", best.Index){{end}}
{{with .Predict.Best}}	// Output: {{.}}
{{end}}}

// Predict answers with the best scores of Run, whose accuracy TestGolden
// tests.
func TestPredict(t *testing.T) {
	s := testModel(t).NewSession()
	defer s.Close()
	classes, err := s.Predict(picture())
	if err != nil {
		t.Fatal(err)
	}
	if len(classes) != {{.Predict.Answers}} {
		t.Fatalf("%d classes, want {{.Predict.Answers}}", len(classes))
	}
	out := NewOutput()
	if err := s.Run(goldenInput(), out); err != nil {
		t.Fatal(err)
	}
	for i, c := range classes {
		if c.Score != out.Data[c.Index] {
			t.Errorf("class %d has score %g, Run gives it %g", c.Index, c.Score, out.Data[c.Index])
		}
		better := 0
		for _, score := range out.Data {
			if score > c.Score {
				better++
			}
		}
		if better > i {
			t.Errorf("answer %d is class %d, but %d classes score better", i, c.Index, better)
		}
	}
	if _, err := s.Predict(nil); err == nil {
		t.Error("Predict without a picture was no error")
	}
	if _, err := s.Predict(new(image.NRGBA)); err == nil {
		t.Error("Predict of an empty picture was no error")
	}
	s.Close()
	if _, err := s.Predict(picture()); err == nil {
		t.Error("Predict of a closed session was no error")
	}
}
`))
