package vision

import (
	"errors"
	"fmt"
	"image"
)

// Tiles lets a network of fixed size restore a picture of any size: the
// picture is cut into tiles that overlap, and of each result only the inner
// part is kept.
//
//	t := vision.Tiles{Channels: 3, Width: 192, Height: 192, Margin: 24}
//	err := t.Run(dst, src, size, in.Data, out.Data, func() error { return s.Run(in, out) })
//
// There are no seams, to the rounding of floats, where Margin is as far as the
// network looks and Width − 2·Margin and Height − 2·Margin are multiples of its
// coarsest stride: then the result is that of a network as large as the
// picture. Beyond its edges the picture is continued by its mirror image.
type Tiles struct {
	Channels      int // of picture and result; tensors are [Channels, height, width]
	Width, Height int // of the network's input
	Margin        int // pixels on each side of a tile whose result is not used
	Scale         int // pixels of the result for one of the picture, along each side; 0 means 1
}

// Check says why t cannot cut a picture.
func (t Tiles) Check() error {
	switch {
	case t.Channels <= 0 || t.Width <= 0 || t.Height <= 0:
		return fmt.Errorf("vision: Tiles are %d×%d×%d; set Channels, Width and Height", t.Channels, t.Height, t.Width)
	case t.Margin < 0 || t.Scale < 0:
		return fmt.Errorf("vision: Tiles.Margin is %d, Scale %d", t.Margin, t.Scale)
	case 2*t.Margin >= min(t.Width, t.Height):
		return fmt.Errorf("vision: margins of %d pixels leave nothing of tiles of %d×%d", t.Margin, t.Width, t.Height)
	}
	return nil
}

// Len is the number of elements of a result for a picture of that size:
// Channels × Scale·height × Scale·width.
func (t Tiles) Len(size image.Point) int {
	return t.Channels * t.scale() * size.Y * t.scale() * size.X
}

func (t Tiles) scale() int { return max(t.Scale, 1) }

// Run computes dst from the picture src, [Channels, size.Y, size.X]: it fills
// in, calls run, which computes out from in, and copies from out, tile by tile,
// row by row. in has Channels × Height × Width elements, out Scale² as many,
// dst t.Len(size). Run stops at the first error of run and returns it.
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

// cut fills in with the tile whose first pixel is at. columns is scratch.
func (t Tiles) cut(in, src []float32, size, at image.Point, columns []int) {
	for i := range columns {
		columns[i] = mirror(at.X+i, size.X)
	}
	// The part of a row that needs no mirror.
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

// paste copies what a tile says of the pixels in part, the inner part of the
// tile as far as the picture goes.
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

// mirror returns which of n pixels continues a row at i, outside of 0 … n−1
// too: edges are mirrors, and the pixel on an edge is not repeated.
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
