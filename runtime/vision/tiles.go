package vision

import (
	"errors"
	"fmt"
	"image"
)

// Tiles applies a network of a fixed input size to a picture of any size. It
// divides the picture into overlapping tiles and keeps only the inner part of
// each result.
//
//	t := vision.Tiles{Channels: 3, Width: 192, Height: 192, Margin: 24}
//	err := t.Run(dst, src, size, in.Data, out.Data, func() error { return s.Run(in, out) })
//
// Except for rounding, the result is that of a network with the picture's size
// if two conditions hold: Margin is at least the radius of the network's
// receptive field, and Width − 2·Margin and Height − 2·Margin are multiples of
// its coarsest stride. The picture is mirrored at its edges.
type Tiles struct {
	Channels      int // channels of picture and result; tensors are [Channels, height, width]
	Width, Height int // size of the network's input
	Margin        int // number of pixels at each edge of a tile that are discarded
	Scale         int // ratio of the result's width to the picture's; 0 means 1
}

// Check returns an error if the fields of t are invalid.
func (t Tiles) Check() error {
	switch {
	case t.Channels <= 0 || t.Width <= 0 || t.Height <= 0:
		return fmt.Errorf("vision: Tiles are %d×%d×%d; set Channels, Width and Height", t.Channels, t.Height, t.Width)
	case t.Margin < 0 || t.Scale < 0:
		return fmt.Errorf("vision: Tiles.Margin is %d, Scale %d", t.Margin, t.Scale)
	case 2*t.Margin >= min(t.Width, t.Height):
		return fmt.Errorf("vision: tiles of %d×%d are too small for margins of %d pixels", t.Width, t.Height, t.Margin)
	}
	return nil
}

// Len returns the number of elements of the result for a picture of the given
// size: Channels × Scale·height × Scale·width.
func (t Tiles) Len(size image.Point) int {
	return t.Channels * t.scale() * size.Y * t.scale() * size.X
}

func (t Tiles) scale() int { return max(t.Scale, 1) }

// Run computes dst from the picture src of shape [Channels, size.Y, size.X]. For
// each tile it fills in, calls run, which computes out from in, and copies the
// inner part of out to dst. in has Channels × Height × Width elements, out has
// Scale² times as many, and dst has t.Len(size). Run returns the first error of
// run.
func (t Tiles) Run(dst, src []float32, size image.Point, in, out []float32, run func() error) error {
	if err := t.Check(); err != nil {
		return err
	}
	if size.X <= 0 || size.Y <= 0 {
		return errors.New("vision: the picture is empty")
	}
	tile := image.Pt(t.Width, t.Height)
	for _, l := range []struct {
		name      string
		got, want int
	}{
		{"src", len(src), t.Channels * size.X * size.Y}, {"dst", len(dst), t.Len(size)},
		{"in", len(in), t.Channels * tile.X * tile.Y}, {"out", len(out), t.Len(tile)},
	} {
		if l.got != l.want {
			return fmt.Errorf("vision: %s has %d elements, want %d: tiles of %d×%d×%d and scale %d, a picture of %d×%d",
				l.name, l.got, l.want, t.Channels, t.Height, t.Width, t.scale(), size.X, size.Y)
		}
	}
	inner := image.Rect(0, 0, t.Width-2*t.Margin, t.Height-2*t.Margin)
	columns := make([]int, t.Width)
	for y := 0; y < size.Y; y += inner.Dy() {
		for x := 0; x < size.X; x += inner.Dx() {
			t.cut(in, src, size, image.Pt(x-t.Margin, y-t.Margin), columns)
			if err := run(); err != nil {
				return err
			}
			t.paste(dst, out, size, inner.Add(image.Pt(x, y)).Intersect(image.Rectangle{Max: size}))
		}
	}
	return nil
}

// cut fills in with the tile whose first pixel is at. columns is scratch memory.
func (t Tiles) cut(in, src []float32, size, at image.Point, columns []int) {
	for i := range columns {
		columns[i] = mirror(at.X+i, size.X)
	}
	// The part of a row that is not mirrored.
	first := min(max(-at.X, 0), t.Width)
	last := max(min(size.X-at.X, t.Width), first)
	for c := range t.Channels {
		for r := range t.Height {
			from := src[(c*size.Y+mirror(at.Y+r, size.Y))*size.X:][:size.X]
			to := in[(c*t.Height+r)*t.Width:][:t.Width]
			for i := range first {
				to[i] = from[columns[i]]
			}
			if first < last {
				copy(to[first:last], from[at.X+first:])
			}
			for i := last; i < t.Width; i++ {
				to[i] = from[columns[i]]
			}
		}
	}
}

// paste copies the result for part, which is the intersection of the tile's inner
// part with the picture.
func (t Tiles) paste(dst, out []float32, size image.Point, part image.Rectangle) {
	s := t.scale()
	for c := range t.Channels {
		for r := range s * part.Dy() {
			from := out[(c*s*t.Height+s*t.Margin+r)*s*t.Width+s*t.Margin:]
			to := dst[(c*s*size.Y+s*part.Min.Y+r)*s*size.X+s*part.Min.X:]
			copy(to[:s*part.Dx()], from)
		}
	}
}

// mirror maps any position i to one of n pixels. Positions outside 0 … n−1 are
// mirrored at the edges without repeating the pixel at the edge.
func mirror(i, n int) int {
	if n == 1 {
		return 0
	}
	period := 2 * (n - 1)
	i %= period
	if i < 0 {
		i += period
	}
	return min(i, period-i)
}
