package source

import "syscall"

// unload drops the pages of a mapped file. The next access reads them from the file, or from the
// system's cache of it.
func unload(data []byte) {
	if len(data) > 0 {
		_ = syscall.Madvise(data, syscall.MADV_DONTNEED) // only advice
	}
}
