package main

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"

	xdraw "golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// colours lists the colours of boxes by class.
var colours = map[string]color.NRGBA{
	"circle": {230, 25, 75, 255}, "ring": {245, 130, 48, 255}, "triangle": {60, 180, 75, 255},
	"square": {0, 110, 220, 255}, "star": {190, 30, 210, 255}, "cross": {0, 140, 140, 255},
}

// drawn returns a copy of img with a box and a label for each sign. The thickness
// and size depend on the size of the photo.
func drawn(img image.Image, signs []sign) image.Image {
	b := img.Bounds()
	out := image.NewNRGBA(b)
	draw.Draw(out, b, img, b.Min, draw.Src)
	unit := max(1, (min(b.Dx(), b.Dy())+300)/600)
	for _, s := range signs {
		fill := image.NewUniform(colours[s.Class])
		frame(out, s.Box, 2*unit, fill)
		l := label(fmt.Sprintf("%s %.0f%%", s.Class, 100*s.Score), fill)
		size := l.Bounds().Size().Mul(unit)
		// Above the box, or below it if there is no space.
		at := image.Pt(s.Box.Min.X, s.Box.Min.Y-size.Y)
		if at.Y < b.Min.Y {
			at.Y = s.Box.Max.Y
		}
		at.X = max(min(at.X, b.Max.X-size.X), b.Min.X)
		at.Y = max(min(at.Y, b.Max.Y-size.Y), b.Min.Y)
		xdraw.NearestNeighbor.Scale(out, image.Rectangle{at, at.Add(size)}, l, l.Bounds(), draw.Src, nil)
	}
	return out
}

// frame draws the edges of a box inside the box.
func frame(dst draw.Image, box image.Rectangle, thick int, fill image.Image) {
	inner := box.Inset(thick)
	for _, edge := range []image.Rectangle{
		{box.Min, image.Pt(box.Max.X, inner.Min.Y)}, {image.Pt(box.Min.X, inner.Max.Y), box.Max},
		{box.Min, image.Pt(inner.Min.X, box.Max.Y)}, {image.Pt(inner.Max.X, box.Min.Y), box.Max},
	} {
		draw.Draw(dst, edge.Intersect(box), fill, image.Point{}, draw.Src)
	}
}

// label draws white text on a coloured background.
func label(text string, fill image.Image) *image.NRGBA {
	face := basicfont.Face7x13
	img := image.NewNRGBA(image.Rect(0, 0, face.Advance*len(text)+4, face.Height+1))
	draw.Draw(img, img.Bounds(), fill, image.Point{}, draw.Src)
	d := font.Drawer{Dst: img, Src: image.White, Face: face, Dot: fixed.P(2, face.Ascent)}
	d.DrawString(text)
	return img
}

func round(x float64) int { return int(math.Round(x)) }
