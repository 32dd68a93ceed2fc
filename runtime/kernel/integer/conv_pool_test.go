package integer

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"modelc/backend/cpu/pack"
	"modelc/runtime/internal/simd"
	"modelc/runtime/kernel"
)

// TestConvPool compares ConvPool with the convolution and the pool one after the other, on
// random shapes, windows, borders, groups and widths of weights.
func TestConvPool(t *testing.T) {
	bands := 0
	tiers(t, func(t *testing.T) {
		for seed := range uint64(150) {
			r := rand.New(rand.NewPCG(seed, 6))
			v := Conv{KH: pick(r, 1, 2, 3, 5), KW: pick(r, 1, 2, 3), SH: pick(r, 1, 1, 2, 3), SW: pick(r, 1, 1, 2), DH: pick(r, 1, 1, 2), DW: pick(r, 1, 1, 2)}
			w := Window{KH: pick(r, 1, 2, 3, 4), KW: pick(r, 1, 2, 3, 4), SH: pick(r, 1, 2, 3), SW: pick(r, 1, 2, 3), DH: 1, DW: 1}
			w.PadTop, w.PadLeft = r.IntN(w.KH), r.IntN(w.KW)
			n, ic, oc, block := pick(r, 1, 1, 2), pick(r, 1, 3, 16, 17, 25, 40), pick(r, 1, 5, 16, 20, 32, 33, 49, 70), 16
			groups := pick(r, 1, 1, 1, 2)
			switch v.Groups = groups; {
			case groups > 1:
				ic, oc = pick(r, 16, 32), groups*pick(r, 16, 32, 48)
			case r.IntN(2) == 0:
				ic, block = 1+r.IntN(4), 4
			}
			oh, ow := 1+r.IntN(14), 1+r.IntN(33)
			if seed%10 == 0 { // several bands
				n, ic, oc, v.KH, v.KW, v.SH, v.SW, oh, ow = 1, min(ic, 16), min(oc, 49), 2, 2, 1, 1, 40+r.IntN(10), 90+r.IntN(30)
				if groups > 1 {
					oc = groups * 16
				}
			}
			// Every window has a pixel; the last may leave the image.
			ph, pw := 1+r.IntN((oh-1+w.PadTop)/w.SH+1), 1+r.IntN((ow-1+w.PadLeft)/w.SW+1)
			if seed%10 == 0 {
				ph = (oh-1+w.PadTop)/w.SH + 1
			}
			v.PadTop, v.PadLeft = r.IntN(v.KH), r.IntN(v.KW)
			ih, iw := (oh-1)*v.SH+(v.KH-1)*v.DH+1-v.PadTop, (ow-1)*v.SW+(v.KW-1)*v.DW+1-v.PadLeft
			if ih < 1 || iw < 1 {
				continue
			}
			m := &memory{}
			spare := r.IntN(2)
			v.Src = m.image(r, kernel.Uint8, block, n, groups*ic, ih, iw, v.PadTop+spare, v.PadLeft+spare, spare, r.IntN(2))
			wide := weights(r, oc*ic*v.KH*v.KW, pick(r, 8, 8, 9))
			v.Parts = pack.IntParts(wide)
			var packed []int8
			for g := range groups {
				part := wide[g*oc/groups*ic*v.KH*v.KW:][:oc/groups*ic*v.KH*v.KW]
				if block == 4 {
					packed = pack.IntFirst(part, oc, ic, v.KH, v.KW, v.Parts)
				} else {
					packed = append(packed, pack.IntConv(part, oc/groups, ic, v.KH, v.KW, v.Parts)...)
				}
			}
			v.W = put(m, packed)
			q := result(r, m, wide, oc)
			v.Result = q.Result
			between := m.image(r, kernel.Uint8, 16, n, oc, oh, ow, 0, 0, 0, 0)
			border := r.IntN(2)
			pool := MaxPool{Src: between, Window: w, Dst: m.image(r, kernel.Uint8, 16, n, oc, ph, pw, border, border, border, border)}
			pool.Dst.Clear, pool.Dst.Fill = r.IntN(2) == 0, byte(r.Uint32())
			k := ConvPool{Conv: v, Window: w, Dst: pool.Dst}
			k.Conv.Dst = between
			k.Conv.Dst.Ref = kernel.Ref{}
			if k.band() < k.Dst.H {
				bands++
			}
			if s := k.ScratchBytes(); !simd.Active().IntWords && s > betweenBytes {
				t.Fatalf("seed %d: %d bytes of scratch", seed, s)
			}
			two := &memory{data: bytes.Clone(m.data), guard: m.guard}
			v.Dst = between
			two.run(t, &v)
			two.run(t, &pool)
			m.run(t, &k)
			if got, want := view[byte](m, k.Dst.Ref), view[byte](two, k.Dst.Ref); !bytes.Equal(got, want) {
				for i := range got {
					if got[i] != want[i] {
						t.Fatalf("seed %d: byte %d is %d, want %d\n%+v", seed, i, got[i], want[i], k)
					}
				}
			}
		}
	})
	if bands == 0 {
		t.Error("no kernel has several bands")
	}
}
