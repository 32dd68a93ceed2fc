package vision

import (
	"errors"
	"fmt"
	"image"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// blur is a network with stride 2. It adds pixels of 2×2 blocks at even positions
// of a tile, then the values of adjacent pixels, and enlarges the result by
// scale. Its input is padded with zeros.
func blur(dst, src []float32, width, height, scale int) {
	at := func(x, y int) float32 {
		if x < 0 || y < 0 || x >= width || y >= height {
			return 0
		}
		x, y = x&^1, y&^1
		return src[y*width+x] + src[y*width+min(x+1, width-1)] + src[min(y+1, height-1)*width+x]
	}
	for y := range scale * height {
		for x := range scale * width {
			c, r := x/scale, y/scale
			dst[y*scale*width+x] = at(c, r) + at(c-1, r) + at(c+1, r) + at(c, r-1) + at(c, r+1)
		}
	}
}

// The result of tiles is that of a network with the picture's size on the picture
// and its mirror images.
func TestTilesHaveNoSeams(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range []image.Point{{40, 30}, {8, 8}, {7, 9}, {1, 1}, {1, 17}, {3, 2}, {53, 16}} {
		for _, scale := range []int{1, 3} {
			for _, tile := range []Tiles{
				{Channels: 1, Width: 16, Height: 16, Margin: 4, Scale: scale},
				{Channels: 2, Width: 64, Height: 12, Margin: 2, Scale: scale},
			} {
				src := make([]float32, tile.Channels*size.X*size.Y)
				for i := range src {
					src[i] = rng.Float32()
				}
				in, out := make([]float32, tile.Channels*tile.Width*tile.Height), make([]float32, tile.Len(image.Pt(tile.Width, tile.Height)))
				got := make([]float32, tile.Len(size))
				err := tile.Run(got, src, size, in, out, func() error {
					for c := range tile.Channels {
						n := tile.Width * tile.Height
						blur(out[c*n*scale*scale:], in[c*n:], tile.Width, tile.Height, scale)
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}

				// The picture with four mirrored pixels at each edge.
				const margin = 4
				big := size.Add(image.Pt(2*margin, 2*margin))
				all := make([]float32, big.X*big.Y)
				whole := make([]float32, len(all)*scale*scale)
				for c := range tile.Channels {
					for y := range big.Y {
						for x := range big.X {
							all[y*big.X+x] = src[(c*size.Y+mirror(y-margin, size.Y))*size.X+mirror(x-margin, size.X)]
						}
					}
					blur(whole, all, big.X, big.Y, scale)
					for y := range scale * size.Y {
						want := whole[(y+scale*margin)*scale*big.X+scale*margin:][:scale*size.X]
						if got := got[(c*scale*size.Y+y)*scale*size.X:][:len(want)]; !slices.Equal(got, want) {
							t.Fatalf("%v, %+v: channel %d, row %d is %v, want %v", size, tile, c, y, got, want)
						}
					}
				}
			}
		}
	}
}

func TestMirror(t *testing.T) {
	for n, want := range map[int]string{
		1: "[0 0 0 0 0 0 0 0 0]",
		2: "[0 1 0 1 0 1 0 1 0]",
		3: "[0 1 2 1 0 1 2 1 0]",
		4: "[2 3 2 1 0 1 2 3 2]",
	} {
		var got []int
		for i := -4; i <= 4; i++ {
			got = append(got, mirror(i, n))
		}
		if fmt.Sprint(got) != want {
			t.Errorf("of %d: %v, want %s", n, got, want)
		}
	}
}

func TestTilesErrors(t *testing.T) {
	ok := Tiles{Channels: 1, Width: 8, Height: 8, Margin: 1}
	nothing := func() error { return nil }
	buf := make([]float32, 64)
	for _, test := range []struct {
		size   image.Point
		in     []float32
		run    func() error
		want   string
		change func(*Tiles)
	}{
		{size: image.Pt(8, 8), in: buf, run: nothing, change: func(*Tiles) {}},
		{size: image.Pt(8, 8), in: buf, run: nothing, change: func(t *Tiles) { t.Channels = 0 }, want: "set Channels"},
		{size: image.Pt(8, 8), in: buf, run: nothing, change: func(t *Tiles) { t.Margin = 4 }, want: "are too small"},
		{size: image.Pt(8, 8), in: buf, run: nothing, change: func(t *Tiles) { t.Margin = -1 }, want: "Margin is -1"},
		{size: image.Pt(8, 8), in: buf, run: nothing, change: func(t *Tiles) { t.Scale = 2 }, want: "dst has 64 elements, want 256"},
		{size: image.Pt(8, 8), in: buf[1:], run: nothing, change: func(*Tiles) {}, want: "in has 63 elements, want 64"},
		{size: image.Pt(0, 8), in: buf, run: nothing, change: func(*Tiles) {}, want: "empty"},
		{size: image.Pt(8, 8), in: buf, run: func() error { return errors.New("no power") }, change: func(*Tiles) {}, want: "no power"},
	} {
		tiles := ok
		test.change(&tiles)
		err := tiles.Run(buf, buf, test.size, test.in, buf, test.run)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v, %v: error %v, want %q", tiles, test.size, err, test.want)
		}
	}
}
