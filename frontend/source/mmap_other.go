//go:build !unix

package source

import "os"

// MapFile reads the whole file: the system cannot map files.
func MapFile(path string) (data []byte, release func() error, err error) {
	data, err = os.ReadFile(path)
	return data, func() error { return nil }, err
}
