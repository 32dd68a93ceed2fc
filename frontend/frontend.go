// Package frontend loads models: it tells their format from the bytes and
// hands over to the front end that reads it.
package frontend

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

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
	switch strings.ToLower(filepath.Ext(path)) {
	case ".keras", ".h5", ".hdf5": // damaged: Keras' front end says so
		return keras.Load(path, opts)
	}
	return onnx.Load(path, opts)
}
