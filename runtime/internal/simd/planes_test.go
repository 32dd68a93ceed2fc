package simd

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// The kernels of planes give the values of their twins in Go and write nothing else.
func TestPlanes(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(300) {
			r := rand.New(rand.NewPCG(seed, 20))
			a := NewTile(false)
			channels, pitch := 1+int(seed)%PlaneChannels, PlanePitch(1+r.IntN(100))
			a.Lines, a.Rows, a.Run = 1+r.IntN(5), 1+r.IntN(5), 1+r.IntN(7)
			width := pitch + a.Run - 1 + r.IntN(3)
			a.InLine, a.RowStride = width*4*(1+r.IntN(2)), width*4*(1+r.IntN(2))
			a.OutLine = 4 * (pitch + r.IntN(9))
			a.OutBlock = a.Lines * a.OutLine
			if r.IntN(2) == 0 {
				a.Lo, a.Hi = -1, pick(r, 0.5, inf)
			}
			m := &memory{}
			in, w, bias := m.put(random(r, (a.Lines*a.InLine+a.Rows*a.RowStride)/4)), m.put(random(r, a.Rows*a.Run*16)), m.put(random(r, 16))
			out := m.alloc(channels * a.OutBlock / 4)
			compare(t, m, out, func(at func(place) unsafe.Pointer, twin bool) {
				b := a
				b.In, b.W, b.Bias, b.Out = at(in), at(w), at(bias), at(out)
				if b.Pixels = channels; twin {
					b.planes(pitch)
				} else {
					b.Planes(channels, pitch)
				}
			})
		}
	})
}

func TestPoolPlanes(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(300) {
			r := rand.New(rand.NewPCG(seed, 21))
			a := NewTile(false)
			channels, maximum := 1+int(seed)%PlaneChannels, r.IntN(2) == 0
			a.Lines, a.Cols = 1+r.IntN(4), 8+r.IntN(30)
			a.RowStride = 4 * (2*a.Cols + r.IntN(9))
			a.InLine = 2 * a.RowStride
			a.BlockStride = a.Lines * a.InLine
			a.OutLine = 64 * (a.Cols + r.IntN(3))
			m := &memory{}
			in, out := m.put(random(r, channels*a.BlockStride/4)), m.alloc(a.Lines*a.OutLine/4)
			compare(t, m, out, func(at func(place) unsafe.Pointer, twin bool) {
				b := a
				b.In, b.Out = at(in), at(out)
				if b.Pixels = channels; twin {
					b.poolPlanes(maximum)
				} else {
					b.PoolPlanes(maximum, channels)
				}
			})
		}
	})
}

func TestRows(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(100) {
			r := rand.New(rand.NewPCG(seed, 22))
			a := NewTile(false)
			a.Cols = 1 + r.IntN(20)
			a.RowStride, a.OutBlock, a.BlockStride, a.OutLine = 64*(a.Cols+r.IntN(3)), 32*(a.Cols+r.IntN(3)), 64*(a.Cols+r.IntN(3)), 64*(a.Cols+r.IntN(3))
			if r.IntN(2) == 0 {
				a.Lo, a.Hi = -1, pick(r, 0.5, inf)
			}
			m := &memory{}
			in, products := m.put(random(r, 6*a.RowStride/4)), m.put(random(r, 6*a.BlockStride/4))
			positions, out := m.alloc(6*a.OutBlock/4), m.alloc(2*a.OutLine/4)
			compare(t, m, positions, func(at func(place) unsafe.Pointer, twin bool) {
				b := a
				if b.In, b.Out = at(in), at(positions); twin {
					b.rowsIn()
				} else {
					b.RowsIn()
				}
			})
			compare(t, m, out, func(at func(place) unsafe.Pointer, twin bool) {
				b := a
				if b.In, b.Out = at(products), at(out); twin {
					b.rowsOut()
				} else {
					b.RowsOut()
				}
			})
		}
	})
}

// compare runs a kernel and its twin on copies of m, in which canaries fill out, and
// compares all memory.
func compare(t *testing.T, m *memory, out place, run func(at func(place) unsafe.Pointer, twin bool)) {
	t.Helper()
	for i := range m.slice(out) {
		m.slice(out)[i] = canary
	}
	result := func(twin bool) []float32 {
		data := append([]float32(nil), m.data...)
		run(func(p place) unsafe.Pointer { return unsafe.Pointer(&data[p.Off/4]) }, twin)
		return data
	}
	want, got := result(true), result(false)
	for i, v := range want {
		if math.Abs(float64(v-got[i])) > 1e-4 || v == canary && got[i] != canary {
			t.Fatalf("float %d is %g, want %g", i, got[i], v)
		}
	}
}
