package kernel

import (
	"reflect"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
)

// Governed lists the micro-kernels, by the names of their functions in package simd,
// that a kernel calls only if [Uses] lists them. A copy of the runtime for one network
// omits those that its kernels do not use.
var Governed = []string{
	"Tile32", "Tile16", "Run32", "Run16", "Run8", "Double32", "Double16",
	"PoolMax", "PoolSum", "PoolMax8", "PoolSum8", "Interleave3",
	"Tanh", "Sigmoid", "Exp", "HardSwish", "Gelu", "LeakyRelu", "Silu",
}

// AnyPixels stands for every number of pixels that a micro-kernel supports.
const AnyPixels = 0

// Uses calls use for each micro-kernel of [Governed] that k may call on any machine,
// with the number of pixels of its tiles. double is Double of the plan. If a kernel
// calls a micro-kernel that a copy omits, package simd computes the same result in Go,
// which is slow.
func Uses(k Kernel, double bool, use func(micro string, pixels int)) {
	usesOfActs(reflect.ValueOf(k), use)
	if double {
		for _, name := range []string{"Tile32", "Tile16", "Run32", "Run16", "Double32", "Double16"} {
			use(name, AnyPixels)
		}
	}
	for _, t := range simd.All {
		if t.Lanes == 1 { // the generic tier
			continue
		}
		switch k := k.(type) {
		case *Conv, *ConvDepthwise, *Strassen:
			use("Tile32", AnyPixels)
			use("Tile16", AnyPixels)
		case *Winograd:
			use("Tile32", AnyPixels)
			use("Tile16", AnyPixels)
			if k.Pool > 0 {
				use("PoolMax", AnyPixels)
			}
		case *ConvFirst:
			k.uses(t, use)
		case *ConvFirstPool:
			k.Conv.uses(t, use)
			k.Pool.uses(t, k.pitch(t, false), use)
		case *Pool:
			k.uses(t, 16, use)
		case *GlobalPool:
			use(k.Kind.micro(16), 1)
		case *Dense:
			k.uses(t, use)
		case *SoftmaxRows: // on tiers without the micro-kernel Softmax
			use("Exp", AnyPixels)
		}
	}
}

// usesOfActs calls use for the micro-kernels of the activations in a kernel.
func usesOfActs(v reflect.Value, use func(micro string, pixels int)) {
	switch v.Kind() {
	case reflect.Pointer:
		usesOfActs(v.Elem(), use)
	case reflect.Struct:
		for i := range v.NumField() {
			usesOfActs(v.Field(i), use)
		}
	case reflect.Uint8:
		if fn, ok := v.Interface().(Fn); ok {
			if name := fn.micro(); name != "" {
				use(name, AnyPixels)
			}
		}
	}
}

// micro returns the name of the micro-kernel of a function, "" if it has none.
func (f Fn) micro() string {
	switch f {
	case ActTanh:
		return "Tanh"
	case ActSigmoid:
		return "Sigmoid"
	case ActExp:
		return "Exp"
	case ActHardSwish:
		return "HardSwish"
	case ActGelu:
		return "Gelu"
	case ActLeakyRelu:
		return "LeakyRelu"
	case ActSiLU:
		return "Silu"
	}
	return ""
}

// micro returns the name of the micro-kernel for pixels that are pitch floats apart.
func (k PoolKind) micro(pitch int) string {
	name := "PoolSum"
	if k == PoolMax {
		name = "PoolMax"
	}
	if pitch == 8 {
		name += "8"
	}
	return name
}

// pieces calls use with the sizes of the pieces into which n pixels are cut. A piece
// has at most most pixels.
func pieces(n, most int, micro string, use func(micro string, pixels int)) {
	if n <= 0 || most == 0 {
		return
	}
	tiles := team.Split(n, most)
	use(micro, n/tiles)
	use(micro, team.Split(n, tiles))
}

func (k *ConvFirst) uses(t *simd.Tier, use func(micro string, pixels int)) {
	for ob := range outBlocks(k.Dst.C) {
		switch k.width(t, false, ob) {
		case 32:
			pieces(k.Dst.W, t.TilePixels, "Run32", use)
		case 16:
			pieces(k.Dst.W, t.TilePixels, "Run16", use)
		case 8:
			pieces(k.Dst.W, t.NarrowPixels, "Run8", use)
		}
	}
	if k.C == 3 && !k.NHWC && k.Image.N == 0 {
		use("Interleave3", AnyPixels)
	}
}

func (k *Pool) uses(t *simd.Tier, pitch int, use func(micro string, pixels int)) {
	most := t.ChannelPixels
	if pitch == 8 {
		most = t.NarrowPixels
	}
	lo, hi := k.inside()
	pieces(hi-lo, most, k.Kind.micro(pitch), use)
}

func (k *Dense) uses(t *simd.Tier, use func(micro string, pixels int)) {
	passes := team.Split(k.N, denseRows)
	for _, rows := range []int{k.N / passes, team.Split(k.N, passes)} {
		for ob := range outBlocks(k.M) {
			if blockWidth(k.M, ob) == 32 {
				pieces(rows, t.TilePixels, "Tile32", use)
			} else {
				pieces(rows, t.TilePixels, "Tile16", use)
			}
		}
	}
}
