//go:build (!amd64 && !arm64) || purego

package simd

// Available returns the tier of every machine.
func Available() []*Tier { return []*Tier{&generic} }
