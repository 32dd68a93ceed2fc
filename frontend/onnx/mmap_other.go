//go:build !unix

package onnx

import "os"

// mapFile reads a file whole where the system has no mapping.
func mapFile(path string) (data []byte, release func() error, err error) {
	data, err = os.ReadFile(path)
	return data, func() error { return nil }, err
}
