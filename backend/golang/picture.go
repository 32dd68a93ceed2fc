package golang

import (
	"fmt"
	"image"
	"image/color"
	"reflect"
	"slices"
	"strings"

	"modelc/ir"
	"modelc/runtime/vision"
)

// Pictures makes a package take pictures: its method Predict.
type Pictures struct {
	Preprocess vision.Preprocess // into the only input
	// Labels names the classes that the elements of the only output score; nil
	// for no names.
	Labels []string
}

// The files of a package that takes pictures, beside the others.
const (
	predictFile     = "predict.go"
	predictTestFile = "predict_test.go"
	classesFile     = "classes.go"
)

// answers is how many classes Predict returns, as decode_predictions of Keras
// does.
const answers = 5

// pictureSize is that of the self-test's picture.
var pictureSize = image.Pt(320, 240)

// picture is what the self-test shows a network. The generated test makes the
// same one: the function of this name there is this one, printed.
func picture() image.Image {
	img := image.NewNRGBA(image.Rectangle{Max: pictureSize})
	for y := range pictureSize.Y {
		for x := range pictureSize.X {
			img.SetNRGBA(x, y, color.NRGBA{uint8(x), uint8(y), uint8(x ^ y), 255})
		}
	}
	return img
}

// GoldenPicture returns the input of the self-test of a package that takes
// pictures.
func GoldenPicture(g *ir.Graph, p vision.Preprocess) ([]*ir.Tensor, error) {
	t := ir.NewTensor(g.Inputs[0].Type)
	return []*ir.Tensor{t}, p.Apply(t.Float32s(), picture())
}

// predictView is what the templates of Predict print.
type predictView struct {
	Literal string // of the preprocessing
	Fit     string // what it does to the size
	Levels  string // and to the levels
	Answers int
	Classes int
	Labels  []string    // quoted
	Size    image.Point // of the self-test's picture
	// The best class of the self-test's picture, as an Example prints it;
	// empty where rounding may decide which it is.
	Best string
}

func newPredictView(p *Pictures, scores []float32, tolerance float64) *predictView {
	v := &predictView{Literal: newPrinter(nil).kernel(reflect.ValueOf(p.Preprocess), wideLiteral), Answers: min(answers, len(scores)), Classes: len(scores), Size: pictureSize}
	v.Fit, v.Levels = Describe(p.Preprocess)
	for _, l := range p.Labels {
		v.Labels = append(v.Labels, quote(l, quoteWidth))
	}
	if best := vision.Top(scores, 1, p.Labels); clearBest(scores, tolerance) {
		v.Best = fmt.Sprintf("class %d", best[0].Index)
		if name := best[0].Name; len(p.Labels) > 0 {
			v.Best += ": " + comment(name)
			if comment(name) != name || strings.TrimSpace(name) != name || name == "" {
				v.Best = "" // an Example cannot expect it
			}
		}
	}
	return v
}

// Describe says for people what becomes of a picture, and of its levels.
func Describe(p vision.Preprocess) (fit, levels string) {
	fit = "stretched"
	switch p.Fit {
	case vision.Crop:
		short := p.ShortSide
		if short == 0 {
			short = max(p.Width, p.Height)
		}
		fit = fmt.Sprintf("resized to a short side of %d pixels and cropped", short)
	case vision.Letterbox:
		fit = fmt.Sprintf("letterboxed with bars of level %d", p.Bars)
	}
	fit += fmt.Sprintf(" to %d×%d pixels, filter %s", p.Width, p.Height, p.Filter)
	order := "RGB"
	switch {
	case p.Channels == 1:
		return fit, fmt.Sprintf("made grey, with levels from %.4g to %.4g", p.Value(0, 0), p.Value(0, 255))
	case p.BGR:
		order = "BGR"
	}
	var ranges []string
	for c := range 3 {
		ranges = append(ranges, fmt.Sprintf("%.4g to %.4g", p.Value(c, 0), p.Value(c, 255)))
	}
	return fit, fmt.Sprintf("ordered %s, with levels from %s", order, strings.Join(slices.Compact(ranges), ", "))
}
