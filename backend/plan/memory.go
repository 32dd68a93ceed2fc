package plan

import (
	"cmp"
	"slices"
)

// Buffer is memory for tensors: a part of the arena, or a region outside it such
// as the weights or an input or output of the model.
type Buffer struct {
	// Name is the name of the layer whose result is the largest in the buffer.
	Name string
	// Space is 0 for the arena. The machine defines the other numbers, each for a
	// region outside the arena.
	Space int
	// Off is the distance in bytes from the start of the space. Place sets it for
	// buffers in the arena.
	Off int
	// Bytes is the size. Place rounds it up to the alignment.
	Bytes int
	// First and Last are the indices of the first and the last step that use the
	// buffer. First is negative if no step uses it.
	First, Last int
	// Shared reports whether other buffers use the same memory at other times.
	// Place sets it.
	Shared bool
}

// Touch extends the lifetime of b to the given step.
func (b *Buffer) Touch(step int) {
	if b.First < 0 {
		b.First = step
	}
	b.Last = max(b.Last, step)
}

// InArena reports whether b is a part of the arena that a step uses.
func (b *Buffer) InArena() bool { return b.Space == 0 && b.First >= 0 }

// AlignUp returns the smallest multiple of align that is not below n.
func AlignUp(n, align int) int { return (n + align - 1) / align * align }

// Place gives every buffer in the arena an offset, a multiple of align bytes,
// so that buffers alive at the same step do not overlap. It returns the size of
// the arena in bytes, and a lower bound of that size: the largest sum of bytes
// alive at one step.
//
// Finding the optimum is NP-hard: it is two-dimensional packing with one axis
// fixed. Place tries best fit in four orders and keeps the best result: largest
// first, longest lifetime first, largest product of both first, and in order of
// time. On networks this comes within a few per cent of the bound.
func Place(buffers []*Buffer, steps, align int) (arena, bound int) {
	live := make([]int, steps+1)
	var placed []*Buffer
	for _, b := range buffers {
		if !b.InArena() {
			continue
		}
		b.Bytes = AlignUp(b.Bytes, align)
		placed = append(placed, b)
		for t := b.First; t <= b.Last; t++ {
			live[t] += b.Bytes
		}
	}
	bound = slices.Max(live)
	orders := []func(a, b *Buffer) int{
		func(a, b *Buffer) int { return cmp.Or(b.Bytes-a.Bytes, a.First-b.First) },
		func(a, b *Buffer) int { return cmp.Or((b.Last-b.First)-(a.Last-a.First), b.Bytes-a.Bytes) },
		func(a, b *Buffer) int {
			return cmp.Or(b.Bytes*(b.Last-b.First+1)-a.Bytes*(a.Last-a.First+1), a.First-b.First)
		},
		func(a, b *Buffer) int { return cmp.Or(a.First-b.First, b.Bytes-a.Bytes) },
	}
	arena = -1
	best := make([]int, len(placed))
	for _, order := range orders {
		sorted := slices.Clone(placed)
		slices.SortStableFunc(sorted, order)
		if size := fit(sorted); arena < 0 || size < arena {
			arena = size
			for i, b := range placed {
				best[i] = b.Off
			}
		}
		if arena == bound {
			break
		}
	}
	for i, b := range placed {
		b.Off = best[i]
	}
	for i, b := range placed {
		for _, c := range placed[:i] {
			if b.Off < c.Off+c.Bytes && c.Off < b.Off+b.Bytes {
				b.Shared, c.Shared = true, true
			}
		}
	}
	return max(arena, 0), bound
}

// fit places each buffer, in the given order, into the smallest gap between
// the buffers already placed that live at the same time. It returns the size of
// the arena.
func fit(order []*Buffer) int {
	var done []*Buffer // by offset
	size := 0
	for _, b := range order {
		at, gap := 0, -1
		end := 0
		for _, c := range done {
			if c.First > b.Last || b.First > c.Last {
				continue
			}
			if room := c.Off - end; room >= b.Bytes && (gap < 0 || room < gap) {
				at, gap = end, room
			}
			end = max(end, c.Off+c.Bytes)
		}
		if gap < 0 {
			at = end
		}
		b.Off = at
		size = max(size, at+b.Bytes)
		i, _ := slices.BinarySearchFunc(done, at, func(c *Buffer, at int) int { return c.Off - at })
		done = slices.Insert(done, i, b)
	}
	return size
}

func byOffset(list []*Buffer) {
	slices.SortFunc(list, func(a, b *Buffer) int { return a.Off - b.Off })
}
