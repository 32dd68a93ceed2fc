package runtime

import (
	bin "encoding/binary"
	"os"
	"syscall"
	"unsafe"
)

// release tells the system that b, which must not be written, will hardly be
// read again: its pages stop counting as the process's memory. Whoever reads
// them all the same finds them as they were, since that is done only where
// they are pages of a file: the one of mapFile, or the program itself, in
// which an embedded file lies. On the heap, or where a program was unpacked to
// memory, release does nothing.
func release(b []byte) {
	page := uintptr(os.Getpagesize())
	from := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	lo, hi := (from+page-1)&^(page-1), (from+uintptr(len(b)))&^(page-1)
	if lo < hi && ofFile(lo/page, hi/page) {
		syscall.Madvise(b[lo-from:hi-from], syscall.MADV_DONTNEED) // a refusal leaves all as it was
	}
}

// ofFile reports whether, of the pages lo … hi−1, all that are in memory belong
// to files, so that the process can drop them and lose nothing.
func ofFile(lo, hi uintptr) bool {
	f, err := os.Open("/proc/self/pagemap") // proc_pid_pagemap(5): 8 bytes a page
	if err != nil {
		return false
	}
	defer f.Close()
	const present, swapped, file = 1 << 63, 1 << 62, 1 << 61
	var buf [8 << 10]byte
	for lo < hi {
		part := buf[:min(hi-lo, uintptr(len(buf)/8))*8]
		if _, err := f.ReadAt(part, int64(lo)*8); err != nil {
			return false
		}
		for i := 0; i < len(part); i += 8 {
			e := bin.NativeEndian.Uint64(part[i:])
			if e&swapped != 0 || e&present != 0 && e&file == 0 {
				return false
			}
		}
		lo += uintptr(len(part) / 8)
	}
	return true
}
