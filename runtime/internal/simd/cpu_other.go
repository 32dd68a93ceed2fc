//go:build (!amd64 && !arm64) || purego

package simd

// Available returns the tiers of this machine: only the generic one.
func Available() []*Tier { return []*Tier{&generic} }
