// Package drawing prepares drawn digits for a network that was trained on scanned
// ones.
package drawing

import (
	"errors"
	"image"
	"image/draw"

	"modelc/runtime/vision"
)

const (
	size   = 28 // height and width of a scanned digit, in pixels
	height = 20 // of which the digit has 20
	scan   = 8  // height and width of the scan, of which those 20 are an enlargement
	ink    = 64 // minimum level of a pixel that belongs to the digit
)

// Fit returns a picture of 28×28 pixels with the digit that img shows, white on
// black. The digit's longer side becomes 20 pixels, and its bounding box is centred,
// as in the network's training data. A picture without a digit is an error.
func Fit(img image.Image) (image.Image, error) {
	gray := image.NewGray(image.Rectangle{Max: img.Bounds().Size()})
	draw.Draw(gray, gray.Rect, img, img.Bounds().Min, draw.Src)
	var box image.Rectangle
	for y := range gray.Rect.Dy() {
		for x := range gray.Rect.Dx() {
			if gray.GrayAt(x, y).Y >= ink {
				box = box.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	if box.Empty() {
		return nil, errors.New("nothing is drawn")
	}
	// Strokes become as soft as those of the scans.
	digit := gray.SubImage(box)
	var w, h int
	for _, side := range []int{scan, height} {
		w, h = fit(box.Size(), side)
		resized, err := vision.Resize(digit, w, h, vision.Bilinear)
		if err != nil {
			return nil, err
		}
		digit = resized
	}
	out := image.NewGray(image.Rect(0, 0, size, size))
	at := image.Pt((size-w)/2, (size-h)/2)
	draw.Draw(out, image.Rectangle{Min: at, Max: at.Add(image.Pt(w, h))}, digit, image.Point{}, draw.Src)
	return out, nil
}

// fit scales a size so that its longer side becomes side.
func fit(size image.Point, side int) (w, h int) {
	longer := max(size.X, size.Y)
	return max(1, (side*size.X+longer/2)/longer), max(1, (side*size.Y+longer/2)/longer)
}
