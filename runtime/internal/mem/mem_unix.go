//go:build unix

package mem

import (
	"fmt"
	"os"
	"syscall"
)

func init() { mapFile = mmap }

// mappedBytes is the minimum size of a file that is mapped. Smaller files are read,
// so that a program that truncates one while it is in use does no harm. A mapped
// file that is truncated makes the system end the process (SIGBUS). Tests change it.
var mappedBytes int64 = 16 << 20

func mmap(path string) (data []byte, unmap func(), err error) {
	st, err := os.Stat(path) // before Open, which waits for the writer of a pipe
	if err != nil {
		return nil, nil, err
	}
	if !st.Mode().IsRegular() || st.Size() == 0 {
		return nil, nil, fmt.Errorf("%s is %w", path, ErrFile)
	}
	if st.Size() < mappedBytes {
		return readFile(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if st, err = f.Stat(); err != nil {
		return nil, nil, err
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, int(st.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, func() { _ = syscall.Munmap(b) }, nil // b was mapped, so nothing can fail
}
