package simd

import "unsafe"

// Gather writes eight lanes of so many pixels, 16 floats apart, to out. Lanes
// without a source become zero, or keep their values.
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
