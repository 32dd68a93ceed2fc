package vision

import (
	"bytes"
	"fmt"
	"image"
	_ "image/jpeg" // register the formats that Decode reads
	_ "image/png"
	"io"
	"os"
)

// Limits of Decode. They are far above the pictures of cameras and low enough for
// a server that accepts pictures from anyone.
const (
	maxBytes  = 256 << 20
	maxPixels = 128 << 20
)

// Open reads the PNG or JPEG file at path.
func Open(path string) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	img, err := Decode(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return img, nil
}

// Decode reads a PNG or JPEG picture. Files above 256 MB and pictures above 128
// Mpixel are errors, which it returns before it allocates the pixels. It ignores
// the EXIF orientation, like Pillow by default. Levels of a PNG are equal to
// Pillow's. Some levels of a JPEG differ by one, because Go and libjpeg round the
// cosine transform differently.
func Decode(r io.Reader) (image.Image, error) {
	file, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	if len(file) > maxBytes {
		return nil, fmt.Errorf("vision: the file has more than %d MB", maxBytes>>20)
	}
	config, _, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("vision: not a PNG or JPEG picture: %w", err)
	}
	if int64(config.Width)*int64(config.Height) > maxPixels {
		return nil, fmt.Errorf("vision: a picture of %d×%d exceeds the limit of %d Mpixel", config.Width, config.Height, maxPixels>>20)
	}
	img, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("vision: damaged picture: %w", err)
	}
	return img, nil
}
