//go:build !purego

package runtime

// available returns the tiers of every arm64.
func available() []tier { return []tier{generic, neon} }

// Never called: AVX-512 alone has this kernel, amd64 alone the next.
func doubleTile(a *tileArgs, out *float32, width, step int)                     {}
func winogradWeights(m int, w, dst *float32, g *float64, n, row, posStride int) {}
