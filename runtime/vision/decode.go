package vision

import (
	"bytes"
	"fmt"
	"image"
	_ "image/jpeg" // registers the formats that Decode reads
	_ "image/png"
	"io"
	"os"
)

// Limits of what Decode reads: far above any camera, and what a server can
// afford when a stranger sends a picture.
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

// Decode reads a PNG or JPEG picture. It refuses files above 256 MB and
// pictures above 128 Mpixel before it allocates their pixels. The orientation
// that cameras store in EXIF is ignored, as Pillow does unless told otherwise.
// PNG levels are Pillow's; those of a JPEG differ by one here and there, where
// Go and libjpeg round the cosine transform differently.
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
		return nil, fmt.Errorf("vision: a picture of %d×%d is above the limit of %d Mpixel", config.Width, config.Height, maxPixels>>20)
	}
	img, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("vision: damaged picture: %w", err)
	}
	return img, nil
}
