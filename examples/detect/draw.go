package main

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"slices"

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
// and size depend on the size of the photo. Labels are drawn last, so that no box covers one.
func drawn(img image.Image, signs []sign) image.Image {
	b := img.Bounds()
	out := image.NewNRGBA(b)
	draw.Draw(out, b, img, b.Min, draw.Src)
	unit := max(1, (min(b.Dx(), b.Dy())+300)/600)
	for _, s := range signs {
		frame(out, s.Box, 2*unit, image.NewUniform(colours[s.Class]))
	}
	var taken []image.Rectangle
	for _, s := range signs {
		l := label(fmt.Sprintf("%s %.0f%%", s.Class, 100*s.Score), image.NewUniform(colours[s.Class]))
		at := place(s.Box, l.Bounds().Size().Mul(unit), b, taken, signs)
		taken = append(taken, at)
		xdraw.NearestNeighbor.Scale(out, at, l, l.Bounds(), draw.Src, nil)
	}
	return out
}

// place returns the place of a label of the given size for a box: within the bounds, and free
// of the labels that are taken. It is above the box if there is space, or else below or beside
// the box. Places that cover no box come first. In a crowd it is the free place that is
// nearest to these.
func place(box image.Rectangle, size image.Point, bounds image.Rectangle, taken []image.Rectangle, signs []sign) image.Rectangle {
	at := func(x, y int) image.Rectangle {
		x = max(min(x, bounds.Max.X-size.X), bounds.Min.X)
		y = max(min(y, bounds.Max.Y-size.Y), bounds.Min.Y)
		return image.Rectangle{image.Pt(x, y), image.Pt(x, y).Add(size)}
	}
	free := func(r image.Rectangle) bool {
		return !slices.ContainsFunc(taken, r.Overlaps)
	}
	first := at(box.Min.X, box.Min.Y-size.Y)
	for _, cover := range []bool{false, true} {
		for _, p := range []image.Point{
			{box.Min.X, box.Min.Y - size.Y}, {box.Max.X - size.X, box.Min.Y - size.Y}, {box.Min.X, box.Max.Y}, {box.Max.X - size.X, box.Max.Y},
			{box.Max.X, box.Min.Y}, {box.Min.X - size.X, box.Min.Y}, box.Min,
		} {
			r := at(p.X, p.Y)
			switch {
			case !free(r):
			case r.Overlaps(box) && (p != box.Min || !cover): // the edge of the picture may move it there
			case !cover && slices.ContainsFunc(signs, func(s sign) bool { return s.Box != box && r.Overlaps(s.Box) }):
			default:
				return r
			}
		}
	}
	// Search rows above and below, nearest first, and in each row the nearest columns.
	for d := 0; d <= bounds.Dy(); d++ {
		for _, y := range []int{first.Min.Y - d, first.Min.Y + d} {
			for e := 0; e <= bounds.Dx(); e += max(1, size.X/8) {
				for _, x := range []int{first.Min.X - e, first.Min.X + e} {
					if r := at(x, y); free(r) {
						return r
					}
				}
			}
		}
	}
	return first // the picture is full of labels
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
