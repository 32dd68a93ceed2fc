package mem

import (
	"bytes"
	"encoding/binary"
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

func init() { large, release, discard = hugePages, adviseRelease, adviseDiscard }

// hugePages returns n bytes in pages of 2 MB. One fault takes a sixth of the time of the
// 512 faults that it replaces. The bytes start with a page, and the last page is theirs
// too, so that small networks gain. hugePages returns nil for less than half a page, and
// if less than twice the number of such pages is free. The system would first compact
// memory, which takes longer than the pages save.
func hugePages(n int) []byte {
	const size = 2 << 20
	if n < size/2 || os.Getpagesize() != 4096 {
		return nil
	}
	whole := (n + size - 1) &^ (size - 1)
	if hugeFree(buddyinfo()) < 2*whole/size {
		return nil
	}
	b := aligned(whole, size)
	syscall.Madvise(b, syscall.MADV_HUGEPAGE) // a refusal changes nothing
	return b[:n:n]
}

// buddyinfo returns the start of /proc/buddyinfo, or nothing. os.ReadFile would start the
// poller of the Go runtime, which takes longer than the rest of NewSession.
func buddyinfo() []byte {
	fd, err := syscall.Open("/proc/buddyinfo", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(fd)
	b := make([]byte, 4096)
	n, err := syscall.Read(fd, b)
	if err != nil {
		return nil
	}
	return b[:n]
}

// hugeFree returns the number of free pages of 2 MB. buddyinfo, see
// proc_buddyinfo(5), counts for each zone the free pieces of 2⁰, 2¹, … pages.
func hugeFree(buddyinfo []byte) (n int) {
	for line := range bytes.Lines(buddyinfo) {
		fields := bytes.Fields(line)
		for order := 9; 4+order < len(fields); order++ { // Node 0, zone Normal
			pieces, err := strconv.Atoi(string(fields[4+order]))
			if err != nil {
				return 0
			}
			n += pieces << (order - 9)
		}
	}
	return n
}

// adviseRelease drops the pages of b if all of them belong to files: to a mapping,
// or to the program itself, which holds embedded files. It does not drop pages of
// the heap or of a program that was unpacked to memory.
func adviseRelease(b []byte) {
	page := uintptr(os.Getpagesize())
	inner := pages(b, page)
	lo := uintptr(unsafe.Pointer(unsafe.SliceData(inner)))
	if len(inner) > 0 && ofFile(lo/page, (lo+uintptr(len(inner)))/page) {
		syscall.Madvise(inner, syscall.MADV_DONTNEED) // a refusal changes nothing
	}
}

// pages returns the whole pages of b.
func pages(b []byte, page uintptr) []byte {
	from := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	lo, hi := (from+page-1)&^(page-1), (from+uintptr(len(b)))&^(page-1)
	if lo >= hi {
		return nil
	}
	return b[lo-from : hi-from]
}

// adviseDiscard drops the pages of b. Later reads find zeros. The pages of the heap
// belong to b until the garbage collector finds it unused, so no other object is lost.
func adviseDiscard(b []byte) {
	const large = 1 << 20 // bytes; the heap reuses smaller regions soon
	if len(b) >= large {
		syscall.Madvise(pages(b, uintptr(os.Getpagesize())), syscall.MADV_DONTNEED) // a refusal changes nothing
	}
}

// ofFile reports whether every page lo ≤ p < hi that is in memory belongs to a
// file, so that the process can drop it without loss.
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
			e := binary.NativeEndian.Uint64(part[i:])
			if e&swapped != 0 || e&present != 0 && e&file == 0 {
				return false
			}
		}
		lo += uintptr(len(part) / 8)
	}
	return true
}
