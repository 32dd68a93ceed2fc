//go:build !purego

package runtime

// available returns the tiers of every arm64.
func available() []tier { return []tier{generic, neon} }

// Never called: AVX-512 alone has the kernel.
func doubleTile(a *tileArgs, out *float32, width, step int) {}
