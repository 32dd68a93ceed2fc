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

// Pictures describes the method Predict of a package. The network must have one
// input and one output.
type Pictures struct {
	Preprocess vision.Preprocess // converts a picture to the input
	// Labels are the names of the classes, in the order of the scores in the
	// output. It is nil if classes have no names.
	Labels []string
	// Scores is the kind of the scores: "probability", "log-probability" or "logit".
	Scores string
}

// The additional files of a package with Predict.
const (
	predictFile     = "predict.go"
	predictTestFile = "predict_test.go"
	classesFile     = "classes.go"
)

// answers is the maximum number of classes that Predict returns. It is the default
// of Keras' decode_predictions.
const answers = 5

// pictureSize is the size of the self-test's picture.
var pictureSize = image.Pt(320, 240)

// picture returns the picture of the self-test. The template of predict_test.go
// contains the same function.
func picture() image.Image {
	img := image.NewNRGBA(image.Rectangle{Max: pictureSize})
	for y := range pictureSize.Y {
		for x := range pictureSize.X {
			img.SetNRGBA(x, y, color.NRGBA{uint8(x), uint8(y), uint8(x ^ y), 255})
		}
	}
	return img
}

// GoldenPicture returns the input of the self-test of a package with Predict. It
// returns an error if the preprocessing p does not fit the input of g.
func GoldenPicture(g *ir.Graph, p vision.Preprocess) ([]*ir.Tensor, error) {
	t := ir.NewTensor(g.Inputs[0].Type)
	return []*ir.Tensor{t}, p.Apply(t.Float32s(), picture())
}

// predictView is the data of the templates of Predict.
type predictView struct {
	Literal string // Go literal of the preprocessing
	Fit     string // its effect on the size
	Levels  string // its effect on the levels
	Answers int
	Classes int
	Scores  string      // their kind
	Labels  []string    // quoted
	Size    image.Point // size of the self-test's picture
	// Best is the best class of the self-test's picture, as the Example prints it.
	// It is empty if rounding can change the best class.
	Best string
}

func newPredictView(p *Pictures, scores []float32, tolerance float64) *predictView {
	v := &predictView{Literal: newPrinter(nil).kernel(reflect.ValueOf(p.Preprocess), wideLiteral), Answers: min(answers, len(scores)), Classes: len(scores), Scores: p.Scores, Size: pictureSize}
	v.Fit, v.Levels = Describe(p.Preprocess)
	for _, l := range p.Labels {
		v.Labels = append(v.Labels, quote(l, quoteWidth))
	}
	if best := vision.Top(scores, 1, p.Labels); clearBest(scores, tolerance) {
		v.Best = fmt.Sprintf("class %d", best[0].Index)
		if name := best[0].Name; len(p.Labels) > 0 {
			v.Best += ": " + comment(name)
			if comment(name) != name || strings.TrimSpace(name) != name || name == "" || columns(name) > quoteWidth {
				v.Best = "" // an Example cannot expect it
			}
		}
	}
	return v
}

// Describe returns the effects of the preprocessing p on the size and on the
// levels of a picture, as participles: "stretched to …", "ordered …".
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
