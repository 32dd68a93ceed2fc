package simd

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// tiers runs f on every tier that this machine has.
func tiers(t *testing.T, f func(t *testing.T)) {
	defer Use(active)
	for _, tier := range Available() {
		Use(tier)
		t.Run(tier.Name, f)
	}
}

const canary = float32(-12345.5)

// memory lays operands out with canaries between them.
type memory struct{ data []float32 }

// place is an operand.
type place struct{ Off, Len int } // bytes, floats

func (m *memory) alloc(n int) place {
	for range 16 {
		m.data = append(m.data, canary)
	}
	p := place{len(m.data) * 4, n}
	m.data = append(m.data, make([]float32, n)...)
	for len(m.data)%16 != 0 { // keep the alignment of cache lines
		m.data = append(m.data, canary)
	}
	return p
}

func (m *memory) put(v []float32) place {
	p := m.alloc(len(v))
	copy(m.slice(p), v)
	return p
}

func (m *memory) slice(p place) []float32 { return m.data[p.Off/4 : p.Off/4+p.Len] }

func random(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// depthwiseLines is Depthwise3 in Go.
func depthwiseLines(a *Tile) {
	for y := range a.Lines {
		b := *a
		b.In, b.Out = unsafe.Add(a.In, y*a.InLine), unsafe.Add(a.Out, y*a.OutLine)
		b.depthwise()
	}
}

// TestMicroKernels compares every micro-kernel with its twin in Go, for every number
// of pixels, all options of the epilogue, and NaN in the input. Canaries surround
// the output and lie between its pixels and blocks. Half of the tiles are computed in
// several calls.
func TestMicroKernels(t *testing.T) {
	kernels := []struct {
		name         string
		vector, twin func(a *Tile)
		width, step  int // the numbers of output channels and of input values of a step; 0 for depthwise
	}{
		{"tile32", func(a *Tile) { a.Compute(32) }, func(a *Tile) { a.compute(32, 16) }, 32, 16},
		{"tile24", func(a *Tile) { a.Compute(32) }, func(a *Tile) { a.compute(32, 16) }, 32, 16},
		{"tile16", func(a *Tile) { a.Compute(16) }, func(a *Tile) { a.compute(16, 16) }, 16, 16},
		{"run32", func(a *Tile) { a.ComputeRun(32) }, func(a *Tile) { a.compute(32, a.Run) }, 32, 5},
		{"run16", func(a *Tile) { a.ComputeRun(16) }, func(a *Tile) { a.compute(16, a.Run) }, 16, 5},
		{"depthwise", (*Tile).ComputeDepthwise, (*Tile).depthwise, 16, 0},
		{"run8", func(a *Tile) { a.ComputeRun(8) }, (*Tile).computeNarrow, 16, 5},
		{"depthwise3", func(a *Tile) { Depthwise3(a) }, depthwiseLines, 16, 0},
		{"poolMax", func(a *Tile) { a.computePool(true, 16) }, func(a *Tile) { a.pool(true, 16) }, 16, 0},
		{"poolSum", func(a *Tile) { a.computePool(false, 16) }, func(a *Tile) { a.pool(false, 16) }, 16, 0},
		{"poolMax8", func(a *Tile) { a.computePool(true, 8) }, func(a *Tile) { a.pool(true, 8) }, 16, 0},
		{"poolSum8", func(a *Tile) { a.computePool(false, 8) }, func(a *Tile) { a.pool(false, 8) }, 16, 0},
	}
	defer func(n int) { callBytes = n }(callBytes)
	tiers(t, func(t *testing.T) {
		for seed := range uint64(2000) {
			callBytes = []int{1 << 20, 1, 5000, 1 << 20, 1 << 20, 9000}[seed/uint64(len(kernels))%6]
			r := rand.New(rand.NewPCG(seed, 10))
			k := kernels[seed%uint64(len(kernels))]
			most := active.TilePixels
			switch {
			case k.name == "depthwise3":
				if active.NeighbourPixels == 0 {
					continue
				}
				most = active.NeighbourPixels
			case strings.HasSuffix(k.name, "8"):
				if most = active.NarrowPixels; most == 0 {
					continue
				}
			case k.step == 0:
				most = active.ChannelPixels
			}
			values := max(16, k.step)
			a := NewTile(false)
			a.Pixels, a.Run = 1+int(seed)/len(kernels)%most, k.step
			a.Blocks, a.Rows, a.Cols = 1+r.IntN(3), 1+r.IntN(3), 1+r.IntN(3)
			a.Pix, a.ColStride = 4*values*(1+r.IntN(2)), 4*values*(1+r.IntN(2))
			if k.name == "depthwise3" {
				a.Rows, a.Cols, a.Pix, a.ColStride = 3, 3, 64*(1+r.IntN(2)), 64
			}
			a.RowStride, a.BlockStride = a.Pix*a.Pixels+a.ColStride*a.Cols, (a.Pix*a.Pixels+a.ColStride*a.Cols)*a.Rows
			a.OutPix, a.ResPix = 64+4*r.IntN(30), 64+4*r.IntN(30)
			a.OutBlock, a.ResBlock = a.OutPix*a.Pixels+4*r.IntN(9), a.ResPix*a.Pixels
			if a.Lines = 1; k.name == "depthwise3" {
				a.Lines, a.InLine, a.OutLine = 1+r.IntN(3), 64*r.IntN(20), a.OutPix*a.Pixels
			}
			if r.IntN(2) == 0 {
				a.Clamp, a.Lo, a.Hi = 1, -1, pick(r, 0.5, inf)
			}
			m := &memory{}
			in := m.put(random(r, (a.Blocks*a.BlockStride+a.Lines*a.InLine)/4+values))
			w := m.put(random(r, a.Blocks*a.Rows*a.Cols*max(k.step, 1)*k.width))
			if k.step == 16 && r.IntN(3) == 0 {
				a.Half, values = 1, 8
				last := m.slice(w)
				last = last[len(last)-a.Rows*a.Cols*16*k.width:]
				for i := range last {
					if i/k.width%16 >= values {
						last[i] = 0
					}
				}
			}
			values32 := random(r, 32)
			if a.HalfOut = k.name == "tile24"; a.HalfOut {
				clear(values32[24:])
				for row := range slices.Chunk(m.slice(w), 32) {
					clear(row[24:])
				}
			}
			bias, res := m.put(values32), m.put(random(r, (2*a.ResBlock+64)/4))
			if r.IntN(4) == 0 && !strings.HasPrefix(k.name, "poolMax") && !a.HalfOut { // a later number replaces NaN on amd64, and channels that do not exist stay 0
				m.slice(in)[r.IntN(values)] = float32(math.NaN())
			}
			out := m.alloc((2*a.OutBlock + a.Lines*a.OutLine + 64) / 4)
			for i := range m.slice(out) {
				m.slice(out)[i] = canary
			}
			residual := r.IntN(2) == 0 && k.name != "depthwise3"
			if strings.HasPrefix(k.name, "pool") { // they neither add nor clamp
				a.Clamp, a.Lo, a.Hi, residual = 0, -inf, inf, false
			}
			run := func(f func(a *Tile)) []float32 {
				data := append([]float32(nil), m.data...)
				b := a
				at := func(r place) unsafe.Pointer { return unsafe.Pointer(&data[r.Off/4]) }
				b.In, b.W, b.Out, b.Bias = at(in), at(w), at(out), at(bias)
				if residual {
					b.Res = at(res)
				}
				f(&b)
				return data
			}
			want, got := run(k.twin), run(k.vector)
			for i, v := range want {
				g := got[i]
				if math.IsNaN(float64(v)) != math.IsNaN(float64(g)) || math.Abs(float64(v-g)) > 1e-4 || v == canary && g != canary {
					t.Fatalf("seed %d, %s of %d pixels: float %d is %g, want %g\n%+v", seed, k.name, a.Pixels, i, g, v, a)
				}
			}
		}
	})
}
