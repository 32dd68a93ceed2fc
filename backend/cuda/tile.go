package cuda

// tile is how a matrix product is divided: a block computes bm × bn results from bk products
// at a time, and a thread, or a warp with tensor cores, tm × tn of them.
type tile struct{ bm, bn, bk, tm, tn int }

// threads returns the number of threads of a block.
func (t tile) threads(p Precision) int {
	n := t.bm / t.tm * (t.bn / t.tn)
	if p != Float32 {
		n *= 32
	}
	return n
}

// choice is a tile with the share of the peak that a busy multiprocessor reaches: larger
// tiles read shared memory less often per product.
type choice struct {
	tile
	share float64
}

// tilesOf returns the choices for a precision.
func tilesOf(p Precision) []choice {
	if p == Float32 {
		return []choice{
			{tile{128, 128, 8, 8, 8}, 0.85},
			{tile{128, 64, 8, 8, 8}, 0.8},
			{tile{64, 128, 8, 8, 8}, 0.8},
			{tile{64, 64, 8, 8, 4}, 0.7},
			{tile{64, 32, 16, 4, 4}, 0.55},
			{tile{32, 64, 16, 4, 4}, 0.55},
			{tile{32, 32, 16, 4, 4}, 0.5},
		}
	}
	k := 16 // 16 words in any precision
	if p == F16 {
		k = 32
	}
	return []choice{
		{tile{128, 128, k, 64, 32}, 0.5},
		{tile{128, 64, k, 64, 32}, 0.45},
		{tile{64, 64, k, 32, 32}, 0.35},
		{tile{64, 32, k, 32, 16}, 0.25},
		{tile{32, 64, k, 16, 32}, 0.25},
		{tile{32, 32, k, 16, 16}, 0.2},
	}
}

// The machine for which tiles are chosen: an H100. On other GPUs the choice is less good and
// the results are the same.
const (
	multiprocessors = 132
	busyWarps       = 12   // warps that hide the latency of a multiprocessor
	bytesPerClock   = 1900 // of device memory
	launchClocks    = 4000 // of a further kernel
)

// chooseTile returns the tiles and the number of parts of the sum for products of p pixels,
// m filters and k products, in groups. It minimises an estimate in clocks: the blocks of the
// fullest multiprocessor, times the products of a block, over the products per clock. Few
// warps per multiprocessor do not hide latencies. Parts of a sum occupy more multiprocessors,
// but are written, read and added by another kernel, so that small images with many channels
// get several parts.
func chooseTile(p, m, k, groups int, precision Precision) (best tile, splits int) {
	least := 0.0
	for _, t := range tilesOf(precision) {
		steps := (k + t.bk - 1) / t.bk
		for _, s := range []int{1, 2, 3, 4, 6, 8, 12, 16} {
			if s > 1 && steps < 4*s {
				break
			}
			blocks := (p + t.bm - 1) / t.bm * ((m + t.bn - 1) / t.bn) * groups * s
			perProcessor := (blocks + multiprocessors - 1) / multiprocessors
			threads := t.threads(precision)
			rate := precision.rate() * t.share * min(1, float64(min(perProcessor, 2048/threads)*threads/32)/busyWarps)
			clocks := float64(perProcessor) * float64(t.bm*t.bn*t.bk*((steps+s-1)/s)) / rate
			if s > 1 {
				clocks += launchClocks + float64(2*4*s*p*m*groups)/bytesPerClock
			}
			if best.bm == 0 || clocks < least {
				best, splits, least = t.tile, s, clocks
			}
		}
	}
	return best, splits
}
