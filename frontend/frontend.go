// Package frontend loads models: it tells their format from the bytes and
// hands over to the front end that reads it.
package frontend

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"modelc/frontend/keras"
	"modelc/frontend/onnx"
	"modelc/frontend/source"
)

// Load reads the model at path, whatever its format.
func Load(path string, opts source.Options) (*source.Model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		return nil, fmt.Errorf("%s is a folder, not a model", path)
	}
	head := make([]byte, 64)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return nil, err
	}
	head = head[:n]
	switch {
	case n == 0:
		return nil, fmt.Errorf("%s is empty", path)
	case keras.Sniff(head):
		return keras.Load(path, opts)
	}
	load := onnx.Load
	switch strings.ToLower(filepath.Ext(path)) {
	case ".keras", ".h5", ".hdf5": // damaged: Keras' front end says so
		load = keras.Load
	}
	m, err := load(path, opts)
	if other := foreign(head); err != nil && other != "" {
		return nil, fmt.Errorf("%s is %s", path, other)
	}
	return m, err
}

// foreign says what a file is that begins like this, where that is known to be
// no model that can be read, and what to do about it; "" where it is not known.
func foreign(head []byte) string {
	begins := func(s string) bool { return bytes.HasPrefix(head, []byte(s)) }
	switch {
	case begins("version https://git-lfs.github.com/"):
		return "a pointer of Git LFS, not the model: fetch that with `git lfs pull`"
	case begins("\x89PNG"), begins("\xff\xd8\xff"):
		return "a picture, not a model"
	case begins("\x1f\x8b"):
		return "compressed: unpack it with gunzip first"
	case len(head) >= 8 && string(head[4:8]) == "TFL3":
		return "a TensorFlow Lite model: want ONNX or Keras; export the model that it was made of"
	case begins("<"):
		return "a web page or XML, not a model: look at what was downloaded"
	}
	for i, r := range string(head) {
		cut := r == utf8.RuneError && i > len(head)-utf8.UTFMax
		if !cut && (r == utf8.RuneError || unicode.IsControl(r) && !unicode.IsSpace(r)) {
			return ""
		}
	}
	return "text, not a model: want ONNX or Keras (.keras, .h5, or model.json beside its weights)"
}
