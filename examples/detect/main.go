// Command detect finds signs on a photo (circles, rings, triangles, squares,
// stars and crosses) and draws boxes around them.
//
//	go run . photo.jpg out.png
//
// The network is package yolo, which `go generate` makes from a trained detector
// similar to YOLOv5. The network includes non-maximum suppression. Its input has
// 256×256 pixels. Photos of any size are letterboxed.
package main

import (
	"fmt"
	"image"
	"os"

	"modelc/runtime/vision"

	"example.com/detect/yolo"
)

//go:generate go tool modelc compile ../../testdata/pictures/yolo/model.onnx -o yolo

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: detect PHOTO OUT\n\nReads PNG and JPEG, writes OUT.png or OUT.jpg and a line per sign.")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "detect:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	img, err := vision.Open(from)
	if err != nil {
		return err
	}
	m, err := yolo.New()
	if err != nil {
		return err
	}
	signs, err := detect(m, img)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	for _, s := range signs {
		fmt.Println(s)
	}
	return vision.Save(to, drawn(img, signs))
}

// classes lists the names of the network's classes.
var classes = [...]string{"circle", "ring", "triangle", "square", "star", "cross"}

// sign is a detected sign.
type sign struct {
	Class string
	Score float32
	Box   image.Rectangle // box in pixels of the photo
}

func (s sign) String() string { return fmt.Sprintf("%s %.2f at %v", s.Class, s.Score, s.Box) }

// input describes the preprocessing of a photo.
var input = vision.Preprocess{Width: yolo.InputShape[3], Height: yolo.InputShape[2], Fit: vision.Letterbox, Bars: 114, Scale: 1. / 255}

// detect returns the signs on img, grouped by class, the best first in each class.
func detect(m *yolo.Model, img image.Image) ([]sign, error) {
	s := m.NewSession()
	defer s.Close()
	in, out := yolo.NewInput(), yolo.NewOutput()
	if err := input.Apply(in.Data, img); err != nil {
		return nil, err
	}
	if err := s.Run(in, out); err != nil {
		return nil, err
	}
	var signs []sign
	for i := range out.DetectionsCount[0] {
		row := out.Detections[6*i:][:6] // left, top, right, bottom, score, class
		box, err := onPhoto(img.Bounds(), row)
		if err != nil {
			return nil, err
		}
		signs = append(signs, sign{classes[int(row[5])], row[4], box})
	}
	return signs, nil
}

// onPhoto converts a box from pixels of the network's input to pixels of the photo.
func onPhoto(bounds image.Rectangle, box []float32) (image.Rectangle, error) {
	x0, y0, err := input.Point(bounds, float64(box[0]), float64(box[1]))
	if err != nil {
		return image.Rectangle{}, err
	}
	x1, y1, err := input.Point(bounds, float64(box[2]), float64(box[3]))
	if err != nil {
		return image.Rectangle{}, err
	}
	return image.Rect(round(x0), round(y0), round(x1), round(y1)).Intersect(bounds), nil
}
