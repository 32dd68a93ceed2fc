package integer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"modelc/backend/cpu/pack"
	"modelc/runtime/internal/mem"
	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// bench is a kernel with the memory of its operands.
type bench struct {
	*testing.B
	m   memory
	r   *rand.Rand
	w   []byte
	ops float64
}

func newBench(b *testing.B, ops float64) *bench {
	return &bench{B: b, r: rand.New(rand.NewPCG(1, 1)), ops: ops}
}

// coldBytes is larger than the caches.
const coldBytes = 64 << 20

// copies holds copies of a kernel's weights that exceed the caches together, so that the
// next copy is in no cache, as in a network.
var copies []byte

// weights allocates n weights of the given size.
func (b *bench) weights(n, size int) kernel.Ref {
	b.w = make([]byte, n*size)
	for i := range b.w {
		b.w[i] = byte(b.r.Uint32()) >> (i % size * 8) // small words
	}
	return kernel.Ref{Space: kernel.Weights, Len: n}
}

// result returns operands that requantise to all bytes.
func (b *bench) result(oc, terms int) Result {
	multiplier := make([]float32, oc)
	for i := range multiplier {
		multiplier[i] = 0.01 / float32(terms)
	}
	n := (oc + 15) &^ 15
	return Result{Bias: put(&b.m, make([]int32, n)), Sums: put(&b.m, make([]int32, n)), Multiplier: put(&b.m, multiplier), Zero: 128, Hi: 255}
}

// run measures k on one worker. It reports the shortest and the median time of all runs,
// and the share of the peak: four times that of float32 with dot products of bytes, and
// twice that of float32 without.
func (b *bench) run(k kernel.Kernel) {
	data := mem.Aligned(len(b.m.data))
	copy(data, b.m.data)
	size := (len(b.w) + 63) &^ 63 // of a copy
	number := 1 + coldBytes/max(size, 1<<16)
	if len(copies) < number*size {
		copies = mem.Aligned(number * size)
	}
	for i := range number {
		copy(copies[i*size:], b.w)
	}
	var times []time.Duration
	spaces := [][]byte{data, nil}
	c := kernel.NewContext(spaces, 1, k.ScratchBytes(), false, nil)
	for i := 0; b.Loop(); i++ {
		spaces[kernel.Weights] = copies[i%number*size:]
		touch(data)
		start := time.Now()
		k.Run(c)
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	best := float64(times[0].Nanoseconds())
	b.ReportMetric(best/1e3, "best-µs")
	b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/1e3, "median-µs")
	b.ReportMetric(b.ops/best, "GOP/s")
	if peak := simd.PeakGFLOPS(); peak > 0 {
		faster := 4.0
		if simd.Active().IntWords {
			faster = 2
		}
		b.ReportMetric(100*b.ops/best/peak/faster, "%peak")
	}
}

// touch brings activations into the caches, as the previous step would.
func touch(x []byte) {
	for i := 0; i < len(x); i += 64 {
		touched += x[i]
	}
}

var touched byte

// layer is a square convolution at hw×hw outputs.
type layer struct{ ic, oc, hw, k, stride int }

func (l layer) String() string {
	return fmt.Sprintf("%dx%ds%d_%d-%d@%d", l.k, l.k, l.stride, l.ic, l.oc, l.hw)
}

func (l layer) ops() float64 { return 2 * float64(l.oc*l.ic*l.k*l.k*l.hw*l.hw) }

func (l layer) images(b *bench, block int) (src, dst kernel.Image) {
	p, in := l.k/2, l.hw*l.stride
	src = b.m.image(b.r, kernel.Uint8, block, 1, l.ic, in, in, p, p, p, p)
	return src, b.m.image(b.r, kernel.Uint8, 16, 1, l.oc, l.hw, l.hw, 0, 0, 0, 0)
}

var layers = []layer{
	// VGG-16.
	{64, 64, 224, 3, 1}, {128, 128, 112, 3, 1}, {256, 256, 56, 3, 1}, {512, 512, 28, 3, 1}, {512, 512, 14, 3, 1},
	// ResNets.
	{64, 64, 56, 3, 1}, {128, 128, 28, 3, 1}, {256, 256, 14, 3, 1}, {512, 512, 7, 3, 1}, {128, 128, 28, 3, 2},
	{256, 64, 56, 1, 1}, {64, 256, 56, 1, 1}, {512, 128, 28, 1, 1}, {1024, 256, 14, 1, 1}, {2048, 512, 7, 1, 1},
	// DenseNet-121.
	{128, 32, 56, 3, 1}, {128, 32, 28, 3, 1}, {128, 32, 14, 3, 1}, {128, 32, 7, 3, 1},
	// MobileNet v2 and SqueezeNet.
	{32, 16, 112, 1, 1}, {16, 96, 112, 1, 1}, {24, 144, 56, 1, 1}, {384, 64, 14, 1, 1}, {160, 960, 7, 1, 1}, {16, 64, 55, 3, 1}, {32, 128, 27, 3, 1}, {48, 192, 13, 3, 1}, {64, 256, 13, 3, 1},
}

func BenchmarkConv(tb *testing.B) {
	for _, l := range layers {
		tb.Run(l.String(), func(tb *testing.B) {
			b := newBench(tb, l.ops())
			k := Conv{KH: l.k, KW: l.k, SH: l.stride, SW: l.stride, DH: 1, DW: 1, PadTop: l.k / 2, PadLeft: l.k / 2}
			k.Src, k.Dst = l.images(b, 16)
			k.Result, k.W = b.result(l.oc, l.ic*l.k*l.k), b.weights(pack.IntConvLen(l.oc, l.ic, l.k, l.k, 1), 1)
			b.run(&k)
		})
	}
}

// BenchmarkWinograd measures the blockings from which the compiler chooses.
func BenchmarkWinograd(tb *testing.B) {
	for _, l := range layers {
		if l.k != 3 || l.stride != 1 {
			continue
		}
		all := team.Split(l.hw, 4) * team.Split(l.hw, 4)
		seen := map[int]bool{}
		for _, t := range []int{14, 28, 42, 56, 112} {
			tiles := team.Split(all, team.Split(all, t))
			if seen[tiles] {
				continue
			}
			seen[tiles] = true
			for _, og := range []int{1, 2, 4, 8, 16} {
				if og > 1 && og*32 > l.oc {
					continue
				}
				tb.Run(fmt.Sprintf("%v/T=%d,og=%d", l, tiles, og), func(tb *testing.B) {
					b := newBench(tb, l.ops())
					k := Winograd{PadTop: 1, PadLeft: 1, Tiles: tiles, OutBlocks: og}
					k.Src, k.Dst = l.images(b, 16)
					k.Result, k.W = b.result(l.oc, l.ic*9), b.weights(pack.IntWinogradLen(l.oc, l.ic), 2)
					b.run(&k)
				})
			}
		}
	}
}

func BenchmarkFirst(tb *testing.B) {
	for _, l := range []layer{{3, 64, 224, 3, 1}, {3, 64, 112, 7, 2}, {3, 32, 112, 3, 2}} {
		tb.Run(l.String(), func(tb *testing.B) {
			b := newBench(tb, l.ops())
			k := Conv{KH: l.k, KW: l.k, SH: l.stride, SW: l.stride, DH: 1, DW: 1, PadTop: l.k / 2, PadLeft: l.k / 2}
			k.Src, k.Dst = l.images(b, 4)
			k.Result, k.W = b.result(l.oc, l.ic*l.k*l.k), b.weights(pack.IntFirstLen(l.oc, l.k, l.k, 1), 1)
			b.run(&k)
		})
	}
}

func BenchmarkDepthwise(tb *testing.B) {
	for _, l := range []layer{{1, 32, 112, 3, 1}, {1, 96, 56, 3, 2}, {1, 96, 56, 3, 1}, {1, 192, 28, 3, 1}, {1, 384, 14, 3, 1}, {1, 960, 7, 3, 1}, {1, 240, 28, 5, 1}} {
		tb.Run(l.String(), func(tb *testing.B) {
			b := newBench(tb, l.ops())
			k := Depthwise{KH: l.k, KW: l.k, SH: l.stride, SW: l.stride, DH: 1, DW: 1, PadTop: l.k / 2, PadLeft: l.k / 2}
			wide := l
			wide.ic = l.oc
			k.Src, k.Dst = wide.images(b, 16)
			k.Result, k.W = b.result(l.oc, l.k*l.k), b.weights(pack.IntDepthwiseLen(l.oc, l.k, l.k, 1), 1)
			b.run(&k)
		})
	}
}

func BenchmarkDense(tb *testing.B) {
	for _, s := range []struct{ n, k, m int }{{1, 25088, 4096}, {1, 4096, 4096}, {1, 2048, 1000}, {8, 4096, 4096}} {
		tb.Run(fmt.Sprintf("%dx%d-%d", s.n, s.k, s.m), func(tb *testing.B) {
			b := newBench(tb, 2*float64(s.n*s.k*s.m))
			k := Dense{N: s.n, K: s.k, M: s.m, X: b.m.alloc(s.n*s.k, 1), Y: b.m.alloc(s.n*s.m, 1)}
			k.Result, k.W = b.result(s.m, s.k), b.weights(pack.IntDenseLen(s.k, s.m, 1), 1)
			b.run(&k)
		})
	}
}

func BenchmarkWinogradWeights(tb *testing.B) {
	const oc, ic = 512, 512
	b := newBench(tb, oc*ic*9)
	k := WinogradWeights{IC: ic, OC: oc, Dst: b.m.alloc(pack.IntWinogradLen(oc, ic), 2)}
	k.W = b.weights(pack.IntConvLen(oc, ic, 3, 3, 1), 1)
	b.run(&k)
}
