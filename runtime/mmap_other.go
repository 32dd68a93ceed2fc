//go:build !unix

package runtime

import "os"

// mapping is a file in memory.
type mapping struct{ data []byte }

// mapFile reads a file whole where the system has no mapping.
func mapFile(path string) (mapping, error) {
	b, err := os.ReadFile(path)
	return mapping{b}, err
}

func (f mapping) unmap() {}

func (f mapping) unmapAfter(*Model) {}
