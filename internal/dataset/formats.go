package dataset

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"strings"

	"modelc/internal/files"
)

// maxFile is the maximum size of a list, and of an idx file without compression.
const maxFile = 1 << 30

// csv adds the examples in a list. A row has a file, relative to the folder of the list, and
// its class: the name or the number. A first row whose file does not exist is a heading.
func (s *Set) csv(path string) error {
	b, err := files.Read(path, maxFile)
	if err != nil {
		return err
	}
	r := csv.NewReader(bytes.NewReader(b))
	r.FieldsPerRecord = -1
	r.TrimLeadingSpace = true
	rows, err := r.ReadAll()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	var paths, names []string
	for i, row := range rows {
		if len(row) != 2 {
			return fmt.Errorf("%s: row %d has %d fields, want a file and a label", path, i+1, len(row))
		}
		file := row[0]
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(path), filepath.FromSlash(file))
		}
		if _, err := os.Stat(file); err != nil {
			if i == 0 && len(rows) > 1 {
				continue
			}
			return fmt.Errorf("%s: row %d: %w", path, i+1, err)
		}
		if !isExample(file) {
			return fmt.Errorf("%s: row %d: %s: want %s", path, i+1, file, known)
		}
		paths, names = append(paths, file), append(names, row[1])
	}
	label, err := s.labels(path, names)
	if err != nil {
		return err
	}
	for i, file := range paths {
		if err := s.file(file, label(names[i])); err != nil {
			return err
		}
	}
	return nil
}

// The idx format (Y. LeCun, The MNIST database): two zero bytes, the element type, the number
// of axes, and their extents as big-endian uint32.
const (
	idxBytes  = 8 // the element type uint8
	idxImages = "-images-idx3"
	idxLabels = "-labels-idx1"
)

// isIDX reports whether path is named as the images of MNIST.
func isIDX(path string) bool { return strings.Contains(filepath.Base(path), idxImages) }

// idx adds the pictures in an idx file, which may be compressed. Its labels are in the file
// beside it, named with labels-idx1 in the place of images-idx3.
func (s *Set) idx(path string) error {
	dims, pixels, err := readIDX(path, 3)
	if err != nil {
		return err
	}
	n, h, w := dims[0], dims[1], dims[2]
	labels := []byte(nil)
	beside := filepath.Join(filepath.Dir(path), strings.Replace(filepath.Base(path), idxImages, idxLabels, 1))
	if _, err := os.Stat(beside); err == nil {
		var count []int
		if count, labels, err = readIDX(beside, 1); err != nil {
			return err
		}
		if count[0] != n {
			return fmt.Errorf("%s has %d labels, %s has %d pictures", beside, count[0], path, n)
		}
	}
	for i := range n {
		img := &image.Gray{Pix: pixels[i*h*w : (i+1)*h*w], Stride: w, Rect: image.Rect(0, 0, w, h)}
		it := item{name: fmt.Sprintf("%s, picture %d", path, i), label: -1, read: func() (image.Image, error) { return img, nil }}
		if labels != nil {
			it.label = int(labels[i])
		}
		s.items = append(s.items, it)
	}
	return nil
}

// readIDX reads the extents and the bytes of an idx file.
func readIDX(path string, rank int) ([]int, []byte, error) {
	b, err := files.Read(path, maxFile)
	if err != nil {
		return nil, nil, err
	}
	if bytes.HasPrefix(b, []byte("\x1f\x8b")) {
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err == nil {
			b, err = io.ReadAll(io.LimitReader(r, maxFile+1))
		}
		if err == nil && len(b) > maxFile {
			err = fmt.Errorf("more than %d bytes", maxFile)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	head := 4 + 4*rank
	if len(b) < head || b[0] != 0 || b[1] != 0 || b[2] != idxBytes || int(b[3]) != rank {
		return nil, nil, fmt.Errorf("%s: not an idx file of bytes with %d axes", path, rank)
	}
	dims, total := make([]int, rank), 1
	for i := range dims {
		dims[i] = int(binary.BigEndian.Uint32(b[4+4*i:]))
		if dims[i] > 0 && total > len(b)/dims[i] {
			return nil, nil, fmt.Errorf("%s: truncated, or damaged", path)
		}
		total *= dims[i]
	}
	if total != len(b)-head {
		return nil, nil, fmt.Errorf("%s: %d bytes for %v elements: truncated, or damaged", path, len(b)-head, dims)
	}
	return dims, b[head:], nil
}
