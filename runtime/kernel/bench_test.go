package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"modelc/backend/cpu/pack"
	"modelc/runtime/internal/mem"
	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
)

// bench is a kernel with the memory of its operands.
type bench struct {
	*testing.B
	m     memory
	w     []float32
	flops float64
}

// coldBytes is larger than the caches.
const coldBytes = 64 << 20

// copies holds copies of a kernel's weights that exceed the caches together, so that
// the next copy is in no cache. In a network, too, weights come from memory, while
// caches hold the code and most activations.
var copies []byte

// weights allocates the kernel's weights.
func (b *bench) weights(n int) Ref {
	b.w = make([]float32, n)
	for i := range b.w {
		b.w[i] = float32(i%17-8) / 64
	}
	return Ref{Space: Weights, Len: n}
}

// run measures k on one worker. It reports the shortest time of all runs, and the
// share of the best peak measured before and after them. On a busy machine that
// ratio stays the same.
func (b *bench) run(k Kernel) {
	c := &Context{team: team.New[*Context](1), scratch: [][]byte{mem.Aligned(k.ScratchBytes() + 64)}}
	data := mem.Aligned(len(b.m.data) * 4)
	copy(Floats(data), b.m.data)
	size := (len(b.w)*4 + 63) &^ 63 // of a copy
	number := 1 + coldBytes/size
	if len(copies) < number*size {
		copies = mem.Aligned(number * size)
	}
	for i := range number {
		copy(Floats(copies[i*size:]), b.w)
	}
	best, peak := time.Duration(1<<62), simd.PeakGFLOPS()
	next := 0
	for b.Loop() {
		c.spaces = [][]byte{data, copies[next*size:]}
		touch(Floats(data))
		start := time.Now()
		k.Run(c)
		best = min(best, time.Since(start))
		next = (next + 1) % number
	}
	peak = max(peak, simd.PeakGFLOPS())
	g := b.flops / float64(best.Nanoseconds())
	b.ReportMetric(float64(best.Nanoseconds())/1e3, "best-µs")
	b.ReportMetric(float64(len(b.w)*4)/float64(best.Nanoseconds()), "weights-GB/s")
	b.ReportMetric(g, "GFLOP/s")
	if peak > 0 {
		b.ReportMetric(100*g/peak, "%peak")
	}
}

// touch brings activations into the caches, as the previous step would.
func touch(x []float32) {
	for i := 0; i < len(x); i += 16 {
		touched += x[i]
	}
}

var touched float32

// layer is a square convolution at hw×hw outputs.
type layer struct{ ic, oc, hw, k, stride int }

func (l layer) String() string {
	return fmt.Sprintf("%dx%ds%d_%d-%d@%d", l.k, l.k, l.stride, l.ic, l.oc, l.hw)
}

var directLayers = []layer{
	// VGG-16.
	{64, 64, 224, 3, 1}, {64, 128, 112, 3, 1}, {128, 128, 112, 3, 1}, {128, 256, 56, 3, 1}, {256, 256, 56, 3, 1},
	{256, 512, 28, 3, 1}, {512, 512, 28, 3, 1}, {512, 512, 14, 3, 1},
	// ResNet-50.
	{64, 64, 56, 1, 1}, {64, 64, 56, 3, 1}, {64, 256, 56, 1, 1}, {256, 64, 56, 1, 1}, {256, 128, 56, 1, 1}, {128, 128, 28, 3, 2}, {128, 512, 28, 1, 1},
	{256, 512, 28, 1, 2}, {512, 128, 28, 1, 1}, {128, 128, 28, 3, 1}, {512, 256, 28, 1, 1}, {256, 256, 14, 3, 2}, {256, 1024, 14, 1, 1}, {512, 1024, 14, 1, 2},
	{1024, 256, 14, 1, 1}, {256, 256, 14, 3, 1}, {1024, 512, 14, 1, 1}, {512, 512, 7, 3, 2}, {512, 2048, 7, 1, 1}, {1024, 2048, 7, 1, 2}, {2048, 512, 7, 1, 1}, {512, 512, 7, 3, 1},
	// DenseNet-121.
	{128, 32, 56, 3, 1}, {128, 32, 28, 3, 1}, {128, 32, 14, 3, 1}, {128, 32, 7, 3, 1}, {992, 128, 7, 1, 1},
	// ResNet-20 for CIFAR.
	{16, 16, 32, 3, 1}, {32, 32, 16, 3, 1}, {64, 64, 8, 3, 1},
}

func BenchmarkConv(b *testing.B) {
	for _, l := range directLayers {
		b.Run(l.String(), func(b *testing.B) { l.conv(b, false) })
	}
}

var prologueLayers = []layer{{256, 128, 56, 1, 1}, {512, 128, 28, 1, 1}, {1024, 128, 14, 1, 1}, {1024, 128, 7, 1, 1}, {256, 64, 56, 1, 1}, {1024, 256, 14, 1, 1}}

// BenchmarkConvPrologue measures the pre-activation convolutions of DenseNet and
// ResNet v2, which apply batch normalisation and ReLU to their operand.
func BenchmarkConvPrologue(b *testing.B) {
	for _, l := range prologueLayers {
		b.Run(l.String(), func(b *testing.B) { l.conv(b, true) })
	}
}

func (l layer) conv(tb *testing.B, prologue bool) {
	b := &bench{B: tb, flops: 2 * float64(l.oc*l.ic*l.k*l.k*l.hw*l.hw)}
	r := rand.New(rand.NewPCG(1, 1))
	p := l.k / 2
	k := Conv{KH: l.k, KW: l.k, SH: l.stride, SW: l.stride, DH: 1, DW: 1, PadTop: p, PadLeft: p, Act: Act{Fn: ActRelu}}
	in := l.hw * l.stride
	k.Src = b.m.image(r, 1, l.ic, in, in, p, p, p, p, 0, true)
	k.Dst = b.m.image(r, 1, l.oc, l.hw, l.hw, 0, 0, 0, 0, 0, false)
	k.W = b.weights(pack.ConvLen(l.oc, l.ic, l.k, l.k))
	if prologue {
		k.Scale, k.Shift, k.Pre = b.m.put(random(r, l.ic)), b.m.put(random(r, l.ic)), Act{Fn: ActRelu}
	}
	b.run(&k)
}

// BenchmarkWinograd measures the blockings from which the compiler chooses.
func BenchmarkWinograd(b *testing.B) {
	for _, l := range directLayers {
		if l.k != 3 || l.stride != 1 {
			continue
		}
		for _, m := range []int{2, 4, 6} {
			all := team.Split(l.hw, m) * team.Split(l.hw, m)
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
					b.Run(fmt.Sprintf("%v_F%d/T=%d,og=%d", l, m, tiles, og), func(b *testing.B) { l.winograd(b, m, tiles, og) })
				}
			}
		}
	}
}

func (l layer) winograd(tb *testing.B, m, tiles, outBlocks int) {
	b := &bench{B: tb, flops: 2 * float64(l.oc*l.ic*9*l.hw*l.hw)}
	r := rand.New(rand.NewPCG(1, 1))
	k := Winograd{M: m, PadTop: 1, PadLeft: 1, Act: Act{Fn: ActRelu}, Tiles: tiles, OutBlocks: outBlocks}
	k.Src = b.m.image(r, 1, l.ic, l.hw, l.hw, 1, 1, 1, 1, 0, true)
	k.Dst = b.m.image(r, 1, l.oc, l.hw, l.hw, 0, 0, 0, 0, 0, false)
	k.W = b.weights(pack.WinogradLen(m, l.oc, l.ic))
	b.run(&k)
}

// BenchmarkWinogradStrided measures the first 3×3 convolution of each stage of
// ResNet-18 and ResNet-50.
func BenchmarkWinogradStrided(b *testing.B) {
	for _, l := range []layer{{64, 128, 28, 3, 2}, {128, 128, 28, 3, 2}, {128, 256, 14, 3, 2}, {256, 256, 14, 3, 2}} {
		b.Run(l.String(), func(tb *testing.B) {
			b := &bench{B: tb, flops: 2 * float64(l.oc*l.ic*9*l.hw*l.hw)}
			r := rand.New(rand.NewPCG(1, 1))
			k := Winograd{M: 2, Strided: true, PadTop: 1, PadLeft: 1, Act: Act{Fn: ActRelu}, Tiles: 28, OutBlocks: 4}
			k.Src = b.m.image(r, 1, l.ic, 2*l.hw, 2*l.hw, 1, 1, 0, 0, 0, true)
			k.Dst = b.m.image(r, 1, l.oc, l.hw, l.hw, 0, 0, 0, 0, 0, false)
			k.W = b.weights(pack.StridedLen(l.oc, l.ic))
			b.run(&k)
		})
	}
}

// BenchmarkFive measures 5×5 convolutions of AlexNet and GoogLeNet, computed
// directly and as F(2×2,5×5).
func BenchmarkFive(b *testing.B) {
	for _, l := range []layer{{64, 192, 27, 5, 1}, {16, 32, 28, 5, 1}, {32, 96, 28, 5, 1}} {
		l.both(b, l.String(), 1, Winograd{M: 2, Five: true, PadTop: 2, PadLeft: 2, Tiles: 42, OutBlocks: 2})
	}
}

// BenchmarkDilated measures dilated 3×3 convolutions of FCN-ResNet-50 and of a
// denoiser, computed directly and as F(4×4) of their phases.
func BenchmarkDilated(b *testing.B) {
	for _, c := range []struct {
		layer
		dilation int
	}{{layer{256, 256, 28, 3, 1}, 2}, {layer{512, 512, 28, 3, 1}, 4}, {layer{64, 64, 256, 3, 1}, 3}} {
		d := c.dilation
		c.both(b, fmt.Sprintf("%v_dilated%d", c.layer, d), d, Winograd{M: 4, Dilation: d, PadTop: d, PadLeft: d, Tiles: 28, OutBlocks: 4})
	}
}

// both measures a layer with equal padding on all sides, computed directly and as w.
func (l layer) both(b *testing.B, name string, dilation int, w Winograd) {
	for _, direct := range []bool{true, false} {
		b.Run(fmt.Sprintf("%s_direct=%t", name, direct), func(tb *testing.B) {
			b := &bench{B: tb, flops: 2 * float64(l.oc*l.ic*l.k*l.k*l.hw*l.hw)}
			r := rand.New(rand.NewPCG(1, 1))
			p := w.PadTop
			src := b.m.image(r, 1, l.ic, l.hw, l.hw, p, p, p, p, 0, true)
			dst := b.m.image(r, 1, l.oc, l.hw, l.hw, 0, 0, 0, 0, 0, false)
			if direct {
				b.run(&Conv{Src: src, Dst: dst, KH: l.k, KW: l.k, SH: 1, SW: 1, DH: dilation, DW: dilation, PadTop: p, PadLeft: p, Act: Act{Fn: ActRelu},
					W: b.weights(pack.ConvLen(l.oc, l.ic, l.k, l.k))})
				return
			}
			k := w
			k.Src, k.Dst, k.Act = src, dst, Act{Fn: ActRelu}
			k.W = b.weights(pack.WinogradLen(k.side()-2, l.oc, l.ic))
			b.run(&k)
		})
	}
}

func BenchmarkConvFirst(b *testing.B) {
	for _, l := range []layer{{3, 64, 224, 3, 1}, {3, 64, 112, 7, 2}, {3, 64, 112, 3, 2}, {3, 32, 112, 3, 2}, {1, 6, 28, 5, 1}, {3, 16, 32, 3, 1}} {
		for _, nhwc := range []bool{false, true} {
			b.Run(fmt.Sprintf("%v_nhwc=%t", l, nhwc), func(tb *testing.B) {
				b := &bench{B: tb, flops: 2 * float64(l.oc*l.ic*l.k*l.k*l.hw*l.hw)}
				r := rand.New(rand.NewPCG(1, 1))
				in := l.hw * l.stride
				k := ConvFirst{NHWC: nhwc, N: 1, C: l.ic, H: in, W: in, KH: l.k, KW: l.k, SH: l.stride, SW: l.stride, DH: 1, DW: 1, PadTop: l.k / 2, PadLeft: l.k / 2, Act: Act{Fn: ActRelu}}
				k.Src = b.m.put(random(r, l.ic*in*in))
				k.Dst = b.m.image(r, 1, l.oc, l.hw, l.hw, 1, 1, 1, 1, 0, false)
				k.Wt = b.weights(pack.FirstLen(l.oc, l.ic, l.k, l.k))
				b.run(&k)
			})
		}
	}
}

func BenchmarkDense(b *testing.B) {
	for _, s := range []struct{ n, k, m int }{{1, 25088, 4096}, {1, 4096, 4096}, {1, 4096, 1000}, {1, 2048, 1000}, {1, 400, 120}, {1, 120, 84}, {1, 84, 10}, {8, 4096, 4096}, {14, 4096, 4096}, {32, 4096, 1000}} {
		b.Run(fmt.Sprintf("%dx%d-%d", s.n, s.k, s.m), func(tb *testing.B) {
			b := &bench{B: tb, flops: 2 * float64(s.n*s.k*s.m)}
			r := rand.New(rand.NewPCG(1, 1))
			b.run(&Dense{N: s.n, K: s.k, M: s.m, X: b.m.put(random(r, s.n*s.k)), Y: b.m.alloc(s.n * s.m), W: b.weights(pack.DenseLen(s.k, s.m)), Act: Act{Fn: ActRelu}})
		})
	}
}

func BenchmarkDepthwise(b *testing.B) {
	for _, l := range []layer{{0, 32, 112, 3, 1}, {0, 96, 56, 3, 2}, {0, 144, 56, 3, 1}, {0, 192, 28, 3, 1}, {0, 384, 14, 3, 1}, {0, 576, 7, 3, 2}, {0, 960, 7, 3, 1}, {0, 240, 28, 5, 1}, {0, 672, 7, 5, 2}} {
		b.Run(l.String(), func(tb *testing.B) {
			b := &bench{B: tb, flops: 2 * float64(l.oc*l.k*l.k*l.hw*l.hw)}
			r := rand.New(rand.NewPCG(1, 1))
			in, p := l.hw*l.stride, l.k/2
			k := Depthwise{KH: l.k, KW: l.k, SH: l.stride, SW: l.stride, DH: 1, DW: 1, PadTop: p, PadLeft: p, Act: Act{Fn: ActClip, Beta: 6}}
			k.Src = b.m.image(r, 1, l.oc, in, in, p, p, p, p, 0, true)
			k.Dst = b.m.image(r, 1, l.oc, l.hw, l.hw, 0, 0, 0, 0, 0, false)
			k.W = b.weights(pack.DepthwiseLen(l.oc, l.k, l.k))
			b.run(&k)
		})
	}
}

// BenchmarkConvFirstDepthwise compares one step with two.
func BenchmarkConvFirstDepthwise(b *testing.B) {
	for _, stride := range []int{1, 2} {
		one := layer{3, 32, 112, 3, stride}
		for _, name := range []string{"one step", "two steps"} {
			b.Run(fmt.Sprintf("%s_%v", name, one), func(tb *testing.B) {
				b := &bench{B: tb, flops: 2 * 112 * 112 * 32 * (27 + 9/float64(stride*stride))}
				r := rand.New(rand.NewPCG(1, 1))
				act := Act{Fn: ActClip, Beta: 6}
				f := ConvFirst{N: 1, C: 3, H: 224, W: 224, KH: 3, KW: 3, SH: 2, SW: 2, DH: 1, DW: 1, PadTop: 1, PadLeft: 1, Act: act}
				f.Src, f.Wt = b.m.put(random(r, 3*224*224)), b.weights(pack.FirstLen(32, 3, 3, 3))
				d := Depthwise{KH: 3, KW: 3, SH: stride, SW: stride, DH: 1, DW: 1, PadTop: 1, PadLeft: 1, Act: act}
				d.Dst, d.W = b.m.image(r, 1, 32, 112/stride, 112/stride, 0, 0, 0, 0, 0, false), b.weights(pack.DepthwiseLen(32, 3, 3))
				if name == "one step" {
					f.Dst = Image{N: 1, C: 32, H: 112, W: 112, Left: 1, Right: 1}
					d.Src = f.Dst
					b.run(&ConvFirstDepthwise{f, d})
					return
				}
				f.Dst = b.m.image(r, 1, 32, 112, 112, 1, 1, 1, 1, 0, false)
				d.Src = f.Dst
				b.run(&twoSteps{f, d})
			})
		}
	}
}

type twoSteps struct {
	first ConvFirst
	depth Depthwise
}

func (k *twoSteps) Check(*Verifier)   {}
func (k *twoSteps) ScratchBytes() int { return k.first.ScratchBytes() }
func (k *twoSteps) Run(c *Context)    { k.first.Run(c); k.depth.Run(c) }
