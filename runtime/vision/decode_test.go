package vision

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	img := open(t, "source.png")
	if size := img.Bounds().Size(); size != image.Pt(61, 47) {
		t.Errorf("PNG has size %v", size)
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, img, nil); err != nil {
		t.Fatal(err)
	}
	got, err := Decode(&file)
	if err != nil {
		t.Fatal(err)
	}
	if got.Bounds() != img.Bounds() {
		t.Errorf("JPEG has bounds %v", got.Bounds())
	}
}

func TestDecodeErrors(t *testing.T) {
	file, err := os.ReadFile("testdata/source.png")
	if err != nil {
		t.Fatal(err)
	}
	huge := bytes.Clone(file)
	binary.BigEndian.PutUint32(huge[16:], 1<<14) // the width in IHDR
	binary.BigEndian.PutUint32(huge[20:], 1<<14)
	binary.BigEndian.PutUint32(huge[29:], crc32.ChecksumIEEE(huge[12:29]))
	for want, data := range map[string][]byte{
		"not a PNG or JPEG picture": []byte("GIF89a"),
		"damaged picture":           file[:len(file)/2],
		"16384×16384 exceeds":       huge,
	} {
		path := filepath.Join(t.TempDir(), "x.png")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("error %v, want %q with the path", err, want)
		}
	}
}
