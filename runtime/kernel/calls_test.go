package kernel

import (
	"flag"
	"math"
	"math/rand/v2"
	goruntime "runtime"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"modelc/runtime/internal/simd"
)

var pauses = flag.Bool("kernel.pauses", false, "measure how long garbage collections wait for kernels")

type longKernel struct {
	name   string
	kernel Kernel
}

// longKernels returns kernels whose rows have n pixels, which is more than one call of
// a micro-kernel computes. They read floats from the start of the arena and write to
// the rest from out on. inputs is the number of inputs of the dense layer.
func longKernels(n, inputs int) (list []longKernel, out, arena int) {
	image := func(off, c, h, w int) Image {
		m := Image{N: 1, C: c, H: h, W: w}
		m.BatchStride = m.Blocks() * m.Plane()
		m.Ref = Ref{Off: off * 4, Len: m.BatchStride}
		return m
	}
	side := int(math.Sqrt(float64(n)))
	out = 2 * max(16*n, inputs)
	src, dst := image(0, 16, 1, n), image(out, 16, 1, n)
	square, squareDst := image(0, 16, side, side), image(out, 16, side, side)
	one, result := image(0, 16, 1, 1), image(out, 16, 1, 1)
	reverse := make([]int32, 16)
	for i := range reverse {
		reverse[i] = int32(15 - i)
	}
	weights := func(n int) Ref { return Ref{Space: Weights, Len: n} }
	return []longKernel{
		{"Affine", &Affine{Src: src, Dst: dst, Scale: weights(16), Act: Act{Fn: ActGelu}}},
		{"Affine clamp", &Affine{Src: src, Dst: dst, Shift: weights(16), Act: Act{Fn: ActRelu}}},
		{"Binary", &Binary{A: src, B: src, Dst: dst, Act: Act{Fn: ActTanh}}},
		{"Binary pixel", &Binary{Fn: BinMul, A: src, B: one, Dst: dst}},
		{"SelectChannels", &SelectChannels{Src: []Image{square}, Dst: squareDst, From: reverse}},
		{"SoftmaxRows", &SoftmaxRows{Src: Ref{Len: 16 * n}, Dst: Ref{Off: out * 4, Len: 16 * n}, Rows: 1, N: 16 * n}},
		{"NormalizeChannels", &NormalizeChannels{Src: src, Dst: dst}},
		{"Pack", &Pack{Src: Ref{Len: 16 * n}, Dst: dst}},
		{"Unpack", &Unpack{Src: src, Dst: Ref{Off: out * 4, Len: 16 * n}}},
		{"GlobalPool max", &GlobalPool{Src: src, Dst: result}},
		{"GlobalPool mean", &GlobalPool{Kind: PoolAvg, Src: src, Dst: result}},
		{"Dense", &Dense{X: Ref{Len: inputs}, Y: Ref{Off: out * 4, Len: 64}, W: weights(inputs * 64), N: 1, K: inputs, M: 64}},
		{"Conv", &Conv{Src: image(0, 16, 100, 100), Dst: image(out, 32, 3, 3), W: weights(32 * 16 * 98 * 98), KH: 98, KW: 98, SH: 1, SW: 1, DH: 1, DW: 1}},
		{"ConvFirst", &ConvFirst{Src: Ref{Len: 3 * n}, N: 1, C: 3, H: 1, W: n, Dst: image(out, 8, 1, n), Wt: weights(3 * 3 * 16), KH: 1, KW: 3, SH: 1, SW: 1, DH: 1, DW: 1, PadLeft: 1}},
		{"Copy", &Copy{Src: src, Dst: dst, Channels: 16}},
	}, out, out + 32*n
}

// The calls of micro-kernels are cut so that garbage collections need not wait. The
// parts of long rows and of long sums give the values of whole rows on the generic tier.
func TestLongCalls(t *testing.T) {
	defer simd.Use(simd.Active())
	cut := callFloats
	defer func() { callFloats = cut }()
	list, out, arena := longKernels(3*callFloats/16+21, 40_000)
	spaces := [][]byte{make([]byte, arena*4), make([]byte, 32*16*98*98*4), nil}
	r := rand.New(rand.NewPCG(1, 2))
	for _, space := range spaces[:2] {
		for i, f := 0, Floats(space); i < len(f); i++ {
			f[i] = float32(r.NormFloat64())
		}
	}
	results := Floats(spaces[Arena])[out:]
	for _, k := range list {
		var want []float32
		scale := 0.0
		for _, tier := range simd.Available() { // generic is the first
			simd.Use(tier)
			if callFloats = cut; want == nil {
				callFloats = math.MaxInt / 64
			}
			for i := range results {
				results[i] = -1
			}
			k.kernel.Run(NewContext(spaces, 1, k.kernel.ScratchBytes(), false, nil))
			if want == nil {
				want = slices.Clone(results)
				for _, v := range want {
					scale = max(scale, math.Abs(float64(v)))
				}
			}
			for i, v := range want {
				if k.name == "ConvFirst" && i%16 >= 8 {
					continue // channels that do not exist
				}
				if math.Abs(float64(results[i]-v)) > 1e-4*scale {
					t.Errorf("%s on %s: float %d is %g, want %g", k.name, tier.Name, i, results[i], v)
					break
				}
			}
		}
	}
}

func TestLongApply(t *testing.T) {
	x := make([]float32, 3*callFloats+7)
	for i := range x {
		x[i] = float32(i)/float32(callFloats) - 1
	}
	y := slices.Clone(x)
	Apply(y, Act{Fn: ActTanh})
	for i, v := range x {
		if d := float64(y[i]) - math.Tanh(float64(v)); math.Abs(d) > 1e-6 {
			t.Fatalf("tanh %g is %g", v, y[i])
		}
	}
}

// A garbage collection waits at most about 1 ms for a kernel. The machine must be idle:
// the times include those for which the system stops a thread.
func TestPauses(t *testing.T) {
	if !*pauses {
		t.Skip("-kernel.pauses is not set")
	}
	waits := func() *metrics.Float64Histogram {
		s := []metrics.Sample{{Name: "/sched/pauses/stopping/gc:seconds"}}
		metrics.Read(s)
		h := *s[0].Value.Float64Histogram()
		h.Counts = append([]uint64(nil), h.Counts...)
		return &h
	}
	list, _, arena := longKernels(1<<20, 1<<18)
	spaces := [][]byte{make([]byte, arena*4), make([]byte, 64<<18*4), nil}
	for _, k := range list {
		c := NewContext(spaces, 1, k.kernel.ScratchBytes(), false, nil)
		k.kernel.Run(c)
		stop, ended := make(chan bool), make(chan bool)
		before := waits()
		go func() {
			defer close(ended)
			for {
				select {
				case <-stop:
					return
				default:
					goruntime.GC()
				}
			}
		}()
		for begin := time.Now(); time.Since(begin) < time.Second; {
			k.kernel.Run(c)
		}
		close(stop)
		<-ended
		after := waits()
		total, late, longest := uint64(0), uint64(0), 0.0
		for i, n := range after.Counts {
			if n -= before.Counts[i]; n > 0 {
				total += n
				if longest = after.Buckets[i]; longest > 1e-3 {
					late += n
				}
			}
		}
		t.Logf("%-18s %5d pauses, %3d of more than 1 ms, longest %6.0f µs", k.name, total, late, longest*1e6)
		if late > total/4 {
			t.Errorf("%s: %d of %d garbage collections waited for more than 1 ms", k.name, late, total)
		}
	}
}
