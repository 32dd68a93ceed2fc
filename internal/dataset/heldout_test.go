package dataset

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"image/color"
	"os"
	"testing"

	"modelc/runtime/vision"
)

var update = flag.Bool("update", false, "write testdata/digits/heldout-*.gz anew")

// The idx files have the pictures of heldout.png, twenty in a row, and their labels.
func TestHeldOut(t *testing.T) {
	sheet, err := vision.Open("../../testdata/keras/heldout.png")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../testdata/keras/heldout.json")
	if err != nil {
		t.Fatal(err)
	}
	var held struct{ Labels string }
	if err := json.Unmarshal(text, &held); err != nil {
		t.Fatal(err)
	}
	const size, columns = 28, 20
	n := len(held.Labels)
	images := []byte{0, 0, idxBytes, 3, 0, 0, byte(n >> 8), byte(n), 0, 0, 0, size, 0, 0, 0, size}
	labels := []byte{0, 0, idxBytes, 1, 0, 0, byte(n >> 8), byte(n)}
	for i, c := range held.Labels {
		labels = append(labels, byte(c-'0'))
		for y := range size {
			for x := range size {
				images = append(images, color.GrayModel.Convert(sheet.At(i%columns*size+x, i/columns*size+y)).(color.Gray).Y)
			}
		}
	}
	for path, want := range map[string][]byte{"../../testdata/digits/heldout-images-idx3-ubyte.gz": images, "../../testdata/digits/heldout-labels-idx1-ubyte.gz": labels} {
		if *update {
			var b bytes.Buffer
			w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
			if err != nil {
				t.Fatal(err)
			}
			w.Write(want)
			w.Close()
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		rank := 3
		if len(want) < 1000 {
			rank = 1
		}
		_, got, err := readIDX(path, rank)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want[4+4*rank:]) {
			t.Errorf("%s differs from heldout.png; -update writes it", path)
		}
	}
}
