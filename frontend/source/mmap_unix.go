//go:build unix

package source

import (
	"fmt"
	"os"
	"syscall"
)

// Map maps the regular file f read-only and closes it. release unmaps it.
func Map(f *os.File) (data []byte, release func() error, err error) {
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if st.Size() == 0 {
		return nil, func() error { return nil }, nil
	}
	data, err = syscall.Mmap(int(f.Fd()), 0, int(st.Size()), syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return data, func() error { return syscall.Munmap(data) }, nil
}
