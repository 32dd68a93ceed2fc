//go:build !linux

package runtime

// hugePages leaves the size of pages to the system.
func hugePages(b []byte) {}
