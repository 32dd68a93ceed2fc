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
	"Tile32", "Tile24", "Tile16", "Run32", "Run16", "Run8", "Double32", "Double16", "Pair32", "Pair16", "PairRun32", "PairRun16",
	"PoolMax", "PoolSum", "PoolMax8", "PoolSum8", "Planes", "PoolMaxPlanes", "PoolSumPlanes", "RowsIn", "RowsOut", "Interleave3",
	"IntBlock32", "IntBlock16", "IntPixel32", "IntPixel16", "IntProduct32", "IntProduct16", "IntPair32", "IntPair16",
	"Tanh", "Sigmoid", "Exp", "HardSwish", "Gelu", "LeakyRelu", "Silu",
}

// AnyPixels stands for every number of pixels that a micro-kernel supports.
const AnyPixels = 0

// microUser is a kernel that lists the micro-kernels of [Governed] that it calls in
// a tier. Activations need no entry.
type microUser interface {
	uses(t *simd.Tier, use useFunc)
}

// MicroUser is a kernel of another package that lists the micro-kernels of [Governed]
// that it calls in a tier. use takes the arguments of that of [Uses].
type MicroUser interface {
	Uses(t *simd.Tier, use func(micro string, pixels int))
}

// useFunc takes the name of a micro-kernel and the number of pixels of a tile, or
// AnyPixels.
type useFunc func(micro string, pixels int)

// Uses calls use for each micro-kernel of [Governed] that k may call on any machine,
// with the number of pixels of its tiles. double is Double of the plan. If a kernel
// calls a micro-kernel that a copy omits, package simd computes in Go, which is slow.
func Uses(k Kernel, double bool, use func(micro string, pixels int)) {
	usesOfActs(reflect.ValueOf(k), use)
	if double {
		for _, name := range []string{"Tile32", "Tile16", "Run32", "Run16", "Double32", "Double16"} {
			use(name, AnyPixels)
		}
	}
	var list func(t *simd.Tier, use useFunc)
	switch u := k.(type) {
	case microUser:
		list = u.uses
	case MicroUser:
		list = func(t *simd.Tier, use useFunc) { u.Uses(t, use) }
	default:
		// Kernels of other packages call none. A kernel on images that does not
		// list them may call all.
		if reflect.TypeOf(k).Elem().PkgPath() == reflect.TypeFor[Conv]().PkgPath() {
			for _, name := range Governed {
				use(name, AnyPixels)
			}
		}
		return
	}
	for _, t := range simd.All {
		if t.Lanes > 1 { // all but the generic tier
			list(t, use)
		}
	}
}

// usesTiles is for kernels that compute the whole image dst by register tiles.
func usesTiles(dst *Image, use useFunc) {
	use("Tile32", AnyPixels)
	if dst.C%32 > 16 && halfOut(dst, dst.C/32*2) {
		use("Tile24", AnyPixels)
	}
	use("Tile16", AnyPixels)
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

// pieces calls use with the sizes of the pieces into which n pixels are cut. A piece
// has at most most pixels.
func pieces(n, most int, micro string, use useFunc) {
	if n <= 0 || most == 0 {
		return
	}
	tiles := team.Split(n, most)
	use(micro, n/tiles)
	use(micro, team.Split(n, tiles))
}

// These kernels call none of them, apart from activations.
func (*Affine) uses(*simd.Tier, useFunc)            {}
func (*AffineDouble) uses(*simd.Tier, useFunc)      {}
func (*Binary) uses(*simd.Tier, useFunc)            {}
func (*PRelu) uses(*simd.Tier, useFunc)             {}
func (*LRN) uses(*simd.Tier, useFunc)               {}
func (*Widen) uses(*simd.Tier, useFunc)             {}
func (*Pack) uses(*simd.Tier, useFunc)              {}
func (*Unpack) uses(*simd.Tier, useFunc)            {}
func (*Copy) uses(*simd.Tier, useFunc)              {}
func (*ResizeImage) uses(*simd.Tier, useFunc)       {}
func (*PadImage) uses(*simd.Tier, useFunc)          {}
func (*NormalizeChannels) uses(*simd.Tier, useFunc) {}
func (*SelectChannels) uses(*simd.Tier, useFunc)    {}
func (*Spread) uses(*simd.Tier, useFunc)            {}
func (*UnpackWoven) uses(*simd.Tier, useFunc)       {}
func (*ConvLast) uses(*simd.Tier, useFunc)          {}
func (*Depthwise) uses(*simd.Tier, useFunc)         {}
func (*StrassenWeights) uses(*simd.Tier, useFunc)   {}
func (*WinogradWeights) uses(*simd.Tier, useFunc)   {}
