// Package frontend loads models: it tells their format from the bytes and
// hands over to the front end that reads it.
package frontend

import (
	"bytes"
	"fmt"
	"io"
	"os"

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
	head := make([]byte, 8)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return nil, err
	}
	head = head[:n]
	switch {
	case n == 0:
		return nil, fmt.Errorf("%s is empty", path)
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return nil, fmt.Errorf("%s is a zip archive; Keras archives are not supported yet: export the model to ONNX", path)
	case bytes.HasPrefix(head, []byte("\x89HDF\r\n\x1a\n")):
		return nil, fmt.Errorf("%s is an HDF5 file; Keras models are not supported yet: export the model to ONNX", path)
	}
	return onnx.Load(path, opts)
}
