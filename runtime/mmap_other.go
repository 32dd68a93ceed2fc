//go:build !unix

package runtime

import "os"

// MapFile reads a file whole where the system has no mapping.
func MapFile(path string) ([]byte, error) { return os.ReadFile(path) }
