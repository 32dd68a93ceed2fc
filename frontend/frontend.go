// Package frontend loads models. It detects the format from the first bytes of
// a file and calls the front end for it.
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
	"modelc/internal/files"
)

// Load reads the model at path, in any supported format.
func Load(path string, opts source.Options) (*source.Model, error) {
	if folder := savedModel(path); folder != "" {
		return nil, fmt.Errorf("%s is a TensorFlow SavedModel: save the Keras model with model.save(\"model.keras\"), or convert the folder to ONNX: python -m tf2onnx.convert --saved-model %s --output model.onnx", path, folder)
	}
	f, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
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
	case ".keras", ".h5", ".hdf5": // damaged: Keras' front end reports it
		load = keras.Load
	}
	m, err := load(path, opts)
	if other := foreign(head); err != nil && other != "" {
		return nil, fmt.Errorf("%s is %s", path, other)
	}
	return m, err
}

// savedModel returns the folder of the SavedModel at path, which is the folder itself or
// its main file, or "" if there is none.
func savedModel(path string) string {
	const main = "saved_model.pb"
	if filepath.Base(path) == main {
		return filepath.Dir(path)
	}
	if st, err := os.Stat(filepath.Join(path, main)); err == nil && st.Mode().IsRegular() {
		return path
	}
	return ""
}

// foreign describes a file that begins with head, and what to do with it, if
// the file is a known format other than a model. Otherwise it returns "".
func foreign(head []byte) string {
	begins := func(s string) bool { return bytes.HasPrefix(head, []byte(s)) }
	switch {
	case begins("version https://git-lfs.github.com/"):
		return "a Git LFS pointer, not the model: fetch the model with `git lfs pull`"
	case begins("\x89PNG"), begins("\xff\xd8\xff"):
		return "a picture, not a model"
	case begins("\x1f\x8b"):
		return "compressed: unpack it with gunzip first"
	case len(head) >= 8 && string(head[4:8]) == "TFL3":
		return "a TensorFlow Lite model: want ONNX or Keras; export the original model"
	case begins("<"):
		return "a web page or XML, not a model: check the download"
	}
	for i, r := range string(head) {
		cut := r == utf8.RuneError && i > len(head)-utf8.UTFMax
		if !cut && (r == utf8.RuneError || unicode.IsControl(r) && !unicode.IsSpace(r)) {
			return ""
		}
	}
	return "text, not a model: want ONNX or Keras (.keras, .h5, or model.json beside its weights)"
}
