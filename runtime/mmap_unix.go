//go:build unix

package runtime

import (
	"fmt"
	"os"
	"syscall"
)

// MapFile maps a file read-only into memory. The mapping lives as long as the
// process: models share it.
func MapFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() == 0 {
		return nil, fmt.Errorf("modelc: %s is empty", path)
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, int(st.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("modelc: %s: %w", path, err)
	}
	return b, nil
}
