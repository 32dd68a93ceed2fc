//go:build !unix

package source

import "os"

// MapFile reads a file whole where the system has no mapping.
func MapFile(path string) (data []byte, release func() error, err error) {
	data, err = os.ReadFile(path)
	return data, func() error { return nil }, err
}
