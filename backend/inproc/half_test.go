package inproc

import (
	"strings"
	"testing"

	"modelc/backend/cpu"
	"modelc/ir"
)

// halfNetwork has the layers that compute on bfloat16 and others between them: a first
// layer, Winograd with a pool, stride 2 with a residual, a concatenation in place and one of
// odd channels, a prologue, and values that are read in both types.
const halfNetwork = `graph "half"
input %x : f32[1,3,16,16]
const %w0 : f32[32,3,3,3] = seed=1
const %w1 : f32[64,32,3,3] = seed=2
const %w2 : f32[32,64,1,1] = seed=3
const %w3 : f32[32,32,3,3] = seed=4
const %w4 : f32[64,64,3,3] = seed=5
const %w5 : f32[24,64,1,1] = seed=6
const %w6 : f32[40,88,1,1] = seed=7
const %wd : f32[64,1,3,3] = seed=8
const %b : f32[64] = seed=9
const %s : f32[64] = seed=10
%a = Conv(%x, %w0) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1 epilogue=Relu
%c = Conv(%a, %w1, %b) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1 epilogue=Relu
%p = Pool(%c) kernel=[2,2] strides=[2,2] pads=[0,0,0,0] dilations=[1,1]
%d = Conv(%p, %w2) strides=[1,1] pads=[0,0,0,0] dilations=[1,1] groups=1 epilogue=Relu
%e = Conv(%d, %w3) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
%j = Concat(%d, %e) axis=1
%f = Conv(%j, %w4, %b, %p, %s, %b) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1 prologue=Relu epilogue=Relu
%g = Conv(%f, %wd) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=64
%h = Conv(%g, %w5) strides=[2,2] pads=[0,0,0,0] dilations=[1,1] groups=1
%k = Pool(%f) kernel=[2,2] strides=[2,2] pads=[0,0,0,0] dilations=[1,1]
%l = Concat(%h, %k) axis=1
%m = Conv(%l, %w6) strides=[1,1] pads=[0,0,0,0] dilations=[1,1] groups=1 epilogue=Relu
output "m" %m
output "e" %e
`

// Networks on bfloat16 compute the values of the reference interpreter, which rounds the
// same results.
func TestHalf(t *testing.T) {
	g, err := ir.Parse(halfNetwork)
	if err != nil {
		t.Fatal(err)
	}
	kept := ""
	for _, keep := range []string{"", "d", "f"} {
		g := g.Clone()
		if err := cpu.NarrowLayers(g, func(n *ir.Node) bool { return n.Out[0].Name == keep }); err != nil {
			t.Fatal(err)
		}
		check(t, g, cpu.Config{}, 2e-2)
		p, err := cpu.Build(g, cpu.Config{})
		if err != nil {
			t.Fatal(err)
		}
		var kernels []string
		for _, l := range p.Layers {
			kernels = append(kernels, l.Kernel)
		}
		list := strings.Join(kernels, " ")
		if keep == "" {
			kept = list
			for _, k := range []string{"bfloat.Conv", "bfloat.ConvFirst", "bfloat.Winograd", "bfloat.Depthwise", "bfloat.Narrow", "bfloat.Widen"} {
				if !strings.Contains(list, k) {
					t.Errorf("no %s in %s", k, list)
				}
			}
		} else if list == kept {
			t.Errorf("%s does not stay in float32: %s", keep, list)
		}
	}
}
