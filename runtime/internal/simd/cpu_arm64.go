//go:build !purego

package simd

// Available returns the tiers of every arm64.
func Available() []*Tier { return []*Tier{&generic, &neon} }
