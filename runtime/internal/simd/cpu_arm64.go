//go:build !purego

package simd

// Available returns the tiers of this machine, the best last. Every arm64 CPU has
// NEON.
func Available() []*Tier { return []*Tier{&generic, &neon} }
