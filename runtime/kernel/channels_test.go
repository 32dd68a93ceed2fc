package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// SelectChannels gives exactly the selected channels.
func TestSelectChannels(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(150) {
			r := rand.New(rand.NewPCG(seed, 21))
			m := &memory{}
			n, h, w := 1+r.IntN(2), 1+r.IntN(5), 1+r.IntN(11)
			var k SelectChannels
			type channel struct{ img, c int }
			var all []channel
			for i := range 1 + r.IntN(3) {
				img := m.image(r, n, 1+r.IntN(40), h, w, r.IntN(2), r.IntN(2), r.IntN(2), r.IntN(2), r.IntN(2), true)
				k.Src = append(k.Src, img)
				for c := range img.C {
					all = append(all, channel{i, c})
				}
			}
			for range 1 + r.IntN(50) {
				k.From = append(k.From, int32(r.IntN(len(all))))
			}
			k.Dst = m.image(r, n, len(k.From), h, w, r.IntN(2), r.IntN(2), r.IntN(2), r.IntN(2), 0, false)
			k.Dst.Clear = true
			m.run(t, &k)
			for i := range n {
				for c, from := range k.From {
					for y := range h {
						for x := range w {
							s := all[from]
							if got, want := m.at(&k.Dst, i, c, y, x), m.at(&k.Src[s.img], i, s.c, y, x); got != want {
								t.Fatalf("seed %d: channel %d of pixel %d,%d is %g, want %g", seed, c, y, x, got, want)
							}
						}
					}
				}
			}
		}
	})
}

// Copy gives exactly the copied channels, wherever their range starts, and keeps the
// others.
func TestCopyChannels(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(150) {
			r := rand.New(rand.NewPCG(seed, 22))
			m := &memory{}
			h, w := 1+r.IntN(5), 1+r.IntN(11)
			k := Copy{Channels: 1 + r.IntN(40), SrcChannel: r.IntN(20), DstChannel: r.IntN(20)}
			k.Src = m.image(r, 1, k.SrcChannel+k.Channels+r.IntN(20), h, w, 0, r.IntN(2), 0, 1, 0, true)
			k.Dst = m.image(r, 1, k.DstChannel+k.Channels+r.IntN(2)*r.IntN(20), h, w, 1, r.IntN(2), 0, 0, 0, true)
			before := append([]float32(nil), m.slice(k.Dst.Ref)...)
			m.run(t, &k)
			for b := range k.Dst.Blocks() {
				for y := range h {
					got, was := k.Dst.row(m.slice(k.Dst.Ref), 0, b, y), k.Dst.row(before, 0, b, y)
					for i, v := range got {
						c, x := b*16+i%16, i/16
						want := was[i]
						switch {
						case c >= k.DstChannel && c < k.DstChannel+k.Channels:
							want = float32(m.at(&k.Src, 0, c-k.DstChannel+k.SrcChannel, y, x))
						case c >= k.Dst.C && k.DstChannel+k.Channels == k.Dst.C:
							want = 0
						}
						if v != want {
							t.Fatalf("seed %d: channel %d of pixel %d,%d is %g, want %g\n%+v", seed, c, y, x, v, want, k)
						}
					}
				}
			}
		}
	})
}

func TestNormalizeChannels(t *testing.T) {
	for _, double := range []bool{false, true} {
		tiers(t, func(t *testing.T) {
			for seed := range uint64(60) {
				r := rand.New(rand.NewPCG(seed, 23))
				m := &memory{double: double}
				c, h, w := 16*(1+r.IntN(5)), 1+r.IntN(4), 1+r.IntN(9)
				k := NormalizeChannels{Epsilon: pick[float32](r, 1e-6, 0.1)}
				k.Src = m.image(r, 2, c, h, w, 0, r.IntN(2), 1, 0, 0, true)
				k.Dst = m.image(r, 2, c, h, w, r.IntN(2), 0, 0, 1, 1, false)
				if r.IntN(2) == 0 {
					k.Scale = m.put(random(r, c))
				}
				if r.IntN(2) == 0 {
					k.Shift = m.put(random(r, c))
				}
				// Values far from zero: a variance from sums of squares would cancel.
				for i := range m.slice(k.Src.Ref) {
					m.slice(k.Src.Ref)[i] += 30
				}
				m.run(t, &k)
				for n := range 2 {
					for y := range h {
						for x := range w {
							mean, variance := 0.0, 0.0
							for ch := range c {
								mean += m.at(&k.Src, n, ch, y, x) / float64(c)
							}
							for ch := range c {
								d := m.at(&k.Src, n, ch, y, x) - mean
								variance += d * d / float64(c)
							}
							for ch := range c {
								want := (m.at(&k.Src, n, ch, y, x) - mean) / math.Sqrt(variance+float64(k.Epsilon))
								if k.Scale.Present() {
									want *= float64(m.slice(k.Scale)[ch])
								}
								if k.Shift.Present() {
									want += float64(m.slice(k.Shift)[ch])
								}
								if got := m.at(&k.Dst, n, ch, y, x); math.Abs(got-want) > 2e-5 {
									t.Fatalf("seed %d: channel %d of pixel %d,%d is %g, want %g", seed, ch, y, x, got, want)
								}
							}
						}
					}
				}
			}
		})
	}
}

// Pack and Unpack are inverse, with channels first and channels last.
func TestPackUnpack(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(100) {
			r := rand.New(rand.NewPCG(seed, 24))
			m := &memory{}
			n, c, h, w := 1+r.IntN(2), 1+r.IntN(40), 1+r.IntN(5), 1+r.IntN(20)
			nhwc := r.IntN(2) == 0
			src := m.put(random(r, n*c*h*w))
			img := m.image(r, n, c, h, w, r.IntN(2), r.IntN(2), r.IntN(2), r.IntN(2), r.IntN(2), false)
			dst := m.alloc(n * c * h * w)
			m.run(t, &Pack{Src: src, NHWC: nhwc, Dst: img})
			m.run(t, &Unpack{Src: img, NHWC: nhwc, Dst: dst})
			for i := range n {
				for ch := range c {
					for y := range h {
						for x := range w {
							at := ((i*c+ch)*h+y)*w + x
							if nhwc {
								at = ((i*h+y)*w+x)*c + ch
							}
							want := m.slice(src)[at]
							if got := float32(m.at(&img, i, ch, y, x)); got != want {
								t.Fatalf("seed %d: packed channel %d of pixel %d,%d is %g, want %g", seed, ch, y, x, got, want)
							}
							if got := m.slice(dst)[at]; got != want {
								t.Fatalf("seed %d: unpacked channel %d of pixel %d,%d is %g, want %g", seed, ch, y, x, got, want)
							}
						}
					}
				}
			}
			for i := range n { // channels that do not exist
				for y := range h {
					for x := range w {
						for lane := c; lane < img.Blocks()*16; lane++ {
							if v := m.at(&img, i, lane, y, x); v != 0 {
								t.Fatalf("seed %d: unused channel %d is %g", seed, lane, v)
							}
						}
					}
				}
			}
			checkBorder(t, m, &img)
		}
	})
}

func TestUnpackWoven(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 25))
		m := &memory{}
		k := UnpackWoven{SY: 1 + r.IntN(3), SX: 1 + r.IntN(3)}
		n, c, h, w, channels := 1+r.IntN(2), 1+r.IntN(40), 1+r.IntN(4), 1+r.IntN(9), 1+r.IntN(3)
		k.Src = m.image(r, n, c, h, w, r.IntN(2), r.IntN(2), r.IntN(2), r.IntN(2), r.IntN(2), true)
		for range k.SY * k.SX * channels {
			k.From = append(k.From, int32(r.IntN(c)))
		}
		k.Dst = m.alloc(n * k.SY * k.SX * channels * h * w)
		m.run(t, &k)
		at := 0
		for i := range n {
			for ch := range channels {
				for y := range h * k.SY {
					for x := range w * k.SX {
						from := k.From[(y%k.SY*k.SX+x%k.SX)*channels+ch]
						if got, want := m.slice(k.Dst)[at], float32(m.at(&k.Src, i, int(from), y/k.SY, x/k.SX)); got != want {
							t.Fatalf("seed %d: element %d is %g, want %g", seed, at, got, want)
						}
						at++
					}
				}
			}
		}
	}
}

func TestSoftmaxRows(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(80) {
			r := rand.New(rand.NewPCG(seed, 26))
			m := &memory{}
			k := SoftmaxRows{Rows: 1 + r.IntN(300), N: 1 + r.IntN(40)}
			x := random(r, k.Rows*k.N)
			for i := range x {
				x[i] *= 20
			}
			if r.IntN(4) == 0 {
				x[r.IntN(len(x))] = pick(r, NaN32, -Inf32)
			}
			k.Src, k.Dst = m.put(x), m.alloc(len(x))
			m.run(t, &k)
			got := m.slice(k.Dst)
			for row := range k.Rows {
				top, sum := math.Inf(-1), 0.0
				for _, v := range x[row*k.N:][:k.N] {
					top = max(top, float64(v))
				}
				for _, v := range x[row*k.N:][:k.N] {
					sum += math.Exp(float64(v) - top)
				}
				for i := range k.N {
					want, g := math.Exp(float64(x[row*k.N+i])-top)/sum, float64(got[row*k.N+i])
					if math.IsNaN(want) != math.IsNaN(g) || math.Abs(g-want) > 1e-6 {
						t.Fatalf("seed %d: row %d of %d: element %d is %g, want %g", seed, row, k.N, i, g, want)
					}
				}
			}
		}
	})
}
