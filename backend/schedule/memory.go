package schedule

import (
	"cmp"
	"slices"
)

// align is the alignment of buffers and weight sections: one cache line, one
// AVX-512 register.
const align = 64

func alignUp(n int) int { return (n + align - 1) / align * align }

// plan gives every buffer of the arena an offset so that buffers alive at the
// same time do not overlap, and returns the arena's size and the lower bound:
// the largest sum of bytes alive at one step.
//
// Finding the optimum is NP-hard (it is two-dimensional packing with one axis
// fixed). Best fit in a few orders comes within a few per cent of the bound on
// networks: by size (large buffers first, the rest fills the gaps), by
// lifetime, and by time.
func plan(buffers []*buffer, steps int) (arena, bound int) {
	live := make([]int, steps+1)
	var placed []*buffer
	for _, b := range buffers {
		if !b.inArena() {
			continue
		}
		b.bytes = alignUp(b.bytes)
		placed = append(placed, b)
		for t := b.first; t <= b.last; t++ {
			live[t] += b.bytes
		}
	}
	bound = slices.Max(live)
	orders := []func(a, b *buffer) int{
		func(a, b *buffer) int { return cmp.Or(b.bytes-a.bytes, a.first-b.first) },
		func(a, b *buffer) int { return cmp.Or((b.last-b.first)-(a.last-a.first), b.bytes-a.bytes) },
		func(a, b *buffer) int {
			return cmp.Or(b.bytes*(b.last-b.first+1)-a.bytes*(a.last-a.first+1), a.first-b.first)
		},
		func(a, b *buffer) int { return cmp.Or(a.first-b.first, b.bytes-a.bytes) },
	}
	arena = -1
	best := make([]int, len(placed))
	for _, order := range orders {
		sorted := slices.Clone(placed)
		slices.SortStableFunc(sorted, order)
		if size := fit(sorted); arena < 0 || size < arena {
			arena = size
			for i, b := range placed {
				best[i] = b.off
			}
		}
		if arena == bound {
			break
		}
	}
	for i, b := range placed {
		b.off = best[i]
	}
	for i, b := range placed {
		for _, c := range placed[:i] {
			if b.off < c.off+c.bytes && c.off < b.off+b.bytes {
				b.shared, c.shared = true, true
			}
		}
	}
	return max(arena, 0), bound
}

// fit places each buffer, in the given order, into the smallest gap between
// those already placed that live at the same time, and returns the arena's
// size.
func fit(order []*buffer) int {
	var done []*buffer // by offset
	size := 0
	for _, b := range order {
		at, gap := 0, -1
		end := 0
		for _, c := range done {
			if c.first > b.last || b.first > c.last {
				continue
			}
			if room := c.off - end; room >= b.bytes && (gap < 0 || room < gap) {
				at, gap = end, room
			}
			end = max(end, c.off+c.bytes)
		}
		if gap < 0 {
			at = end
		}
		b.off = at
		size = max(size, at+b.bytes)
		i, _ := slices.BinarySearchFunc(done, at, func(c *buffer, at int) int { return c.off - at })
		done = slices.Insert(done, i, b)
	}
	return size
}
