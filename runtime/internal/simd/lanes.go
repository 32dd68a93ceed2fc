package simd

import "unsafe"

// Gather writes eight lanes of each pixel to out, where pixels are 16 floats apart.
// The lanes come from the first n of groups. Lanes without a source become zero, or
// keep their values if keep is set.
func Gather(out []float32, pixels int, groups *[8]LaneGroup, n int, keep bool) {
	if !GatherLanes(&out[0], pixels, &groups[0], n, keep) {
		gather(out, pixels, groups[:n], keep)
	}
}

func gather(out []float32, pixels int, groups []LaneGroup, keep bool) {
	for x := range pixels {
		o := out[x*16 : x*16+8]
		if !keep {
			clear(o)
		}
		for g := range groups {
			in := (*[8]float32)(unsafe.Add(groups[g].In, x*64))
			for i, m := range groups[g].Mask {
				if m != 0 {
					o[i] = in[groups[g].Perm[i]&7]
				}
			}
		}
	}
}
