//go:build unix

package runtime

import (
	"fmt"
	"os"
	goruntime "runtime"
	"syscall"
)

// mapping is a file in memory.
type mapping struct{ data []byte }

// mapFile maps a file read-only into memory.
func mapFile(path string) (mapping, error) {
	f, err := os.Open(path)
	if err != nil {
		return mapping{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return mapping{}, err
	}
	if !st.Mode().IsRegular() || st.Size() == 0 {
		return mapping{}, fmt.Errorf("modelc: %s is empty, or no file", path)
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, int(st.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return mapping{}, fmt.Errorf("modelc: %s: %w", path, err)
	}
	return mapping{b}, nil
}

func (f mapping) unmap() {
	_ = syscall.Munmap(f.data) // it was mapped, so nothing can fail
}

// unmapAfter unmaps the file once nobody uses m: sessions refer to it, and
// keep themselves alive while they run.
func (f mapping) unmapAfter(m *Model) {
	goruntime.AddCleanup(m, func(f mapping) { f.unmap() }, f)
}
