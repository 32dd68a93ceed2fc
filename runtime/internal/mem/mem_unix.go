//go:build unix

package mem

import (
	"fmt"
	"os"
	"syscall"
)

func init() { mapFile = mmap }

func mmap(path string) (data []byte, unmap func(), err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !st.Mode().IsRegular() || st.Size() == 0 {
		return nil, nil, fmt.Errorf("modelc: %s is empty or not a regular file", path)
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, int(st.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("modelc: %s: %w", path, err)
	}
	return b, func() { _ = syscall.Munmap(b) }, nil // b was mapped, so nothing can fail
}
