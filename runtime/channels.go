package runtime

import "unsafe"

// SelectChannels makes an image of channels of others: channel c of Dst is
// channel From[c] of the sources, which are counted through, NC16 to NC16.
type SelectChannels struct {
	Src  []Image // of the extents of Dst
	Dst  Image
	From []int32
}

// ScratchBytes is zero.
func (k *SelectChannels) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *SelectChannels) Run(c *Context) {
	k.Dst.clearBorder(c)
	c.do(k.Dst.N*k.Dst.Blocks(), 2*k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W, k)
}

// part fills one block of one image.
func (k *SelectChannels) part(c *Context, i, worker int) {
	n, b := i/k.Dst.Blocks(), i%k.Dst.Blocks()
	var s laneSources
	for lane, from := range k.From[b*16 : min(b*16+16, len(k.From))] {
		at := int(from)
		img := 0
		for at >= k.Src[img].C {
			at -= k.Src[img].C
			img++
		}
		s.add(c, lane, &k.Src[img], n, at)
	}
	s.gather(c, &k.Dst, n, b, false)
}

// laneSources says where the 16 lanes of a block of pixels come from.
type laneSources struct {
	half [2]struct {
		groups [8]laneGroup
		n      int
	}
}

// laneGroup is what eight lanes take of eight others: lane i those of Mask i
// not zero, from lane Perm[i]. Assembly reads it.
type laneGroup struct {
	in   unsafe.Pointer // the eight lanes of the pixel
	perm [8]int32
	mask [8]int32
	row  int // bytes to the pixel below
}

// add says that a lane is channel ch of image n of img.
func (s *laneSources) add(c *Context, lane int, img *Image, n, ch int) {
	h := &s.half[lane/8]
	at := n*img.BatchStride + ch/16*img.Plane() + img.Origin() + ch%16&8
	in := unsafe.Pointer(&c.f32(img.Ref)[at])
	g := 0
	for g < h.n && h.groups[g].in != in {
		g++
	}
	if g == h.n {
		h.groups[g].in, h.groups[g].row = in, img.Row()*4
		h.n++
	}
	h.groups[g].perm[lane%8], h.groups[g].mask[lane%8] = int32(ch%8), -1
}

// gather writes the lanes of block b of image n of dst. Lanes without a source
// become zero, or keep their values.
func (s *laneSources) gather(c *Context, dst *Image, n, b int, keep bool) {
	at := n*dst.BatchStride + b*dst.Plane() + dst.Origin()
	out := c.f32(dst.Ref)[at:]
	for i := range s.half {
		h := &s.half[i]
		// Where no border lies between the rows they are one.
		rows, width := dst.H, dst.W
		flat := dst.Left+dst.Right == 0
		for g := range h.groups[:h.n] {
			flat = flat && h.groups[g].row == dst.W*64
		}
		if flat {
			rows, width = 1, dst.H*dst.W
		}
		for y := range rows {
			o := out[y*dst.Row()+i*8:]
			if active >= avx2 {
				gatherLanes(&o[0], width, &h.groups[0], h.n, keep)
			} else {
				gatherLanesGo(o, width, h.groups[:h.n], keep)
			}
			for g := range h.groups[:h.n] {
				h.groups[g].in = unsafe.Add(h.groups[g].in, h.groups[g].row)
			}
		}
	}
}

// gatherLanesGo writes eight lanes of the pixels of out.
func gatherLanesGo(out []float32, pixels int, groups []laneGroup, keep bool) {
	for x := range pixels {
		o := out[x*16 : x*16+8]
		if !keep {
			clear(o)
		}
		for g := range groups {
			in := (*[8]float32)(unsafe.Add(groups[g].in, x*64))
			for i, m := range groups[g].mask {
				if m != 0 {
					o[i] = in[groups[g].perm[i]&7]
				}
			}
		}
	}
}
