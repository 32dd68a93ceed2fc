//go:build !purego

package runtime

// available returns the tiers of every arm64.
func available() []tier { return []tier{generic, neon} }
